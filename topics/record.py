"""What all topics share: how a record becomes bytes and headers, and back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from core.errors import InvalidMessageError
from topics.cloud_event import cloud_event
from topics.limits import MAX_NAME

# Context for pydantic: what is large is written in its compact form.
PACKED = {"packed": True}

HeaderList = list[tuple[str, bytes]]
# As they are received. Kafka lets a header have no value.
RawHeaders = Mapping[str, bytes | None] | Iterable[tuple[str, bytes | None]] | None


class Record(BaseModel):
    """A value of a topic. Fields that are not known are ignored, so that newer programs can publish to older ones."""

    model_config = ConfigDict(extra="ignore", frozen=True)


R = TypeVar("R")


class Topic(Generic[R]):
    """One topic: its name, its key in words, its record, and whether Kafka compacts it.

    `has_bundles`: its messages are about files, one or many (topics.bundle).
    `most_files`: what we put into one of these, where that is fewer than fit.
    `brings_files`: these are files on their way into a collection, and a message without a value ends a walk.
    `event_id`: for a public topic, what tells its events apart; its messages are CloudEvents.
    """

    def __init__(
        self,
        name: str,
        *,
        key: str,
        record: Any,
        compacted: bool = False,
        has_bundles: bool = False,
        most_files: int | None = None,
        brings_files: bool = False,
        event_id: Callable[[R, "Headers"], str] | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.compacted = compacted
        self.has_bundles = has_bundles
        self.most_files = most_files
        self.brings_files = brings_files
        self.record = record
        self._event_id = event_id
        self._adapter: TypeAdapter[R] = TypeAdapter(record)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a value, as it is read."""
        return self._adapter.json_schema()

    @property
    def is_public(self) -> bool:
        """Whether its messages are CloudEvents."""
        return self._event_id is not None

    def headers(self, record: R, headers: "Headers", files: int = 1) -> HeaderList:
        """Return all headers of a message about a record, or about so many `files` of which it is the first."""
        encoded = headers.encode()
        count = f"{files}" if files > 1 else ""
        if count:
            encoded.append(("files", count.encode()))
        if self._event_id is None:
            return encoded
        event_id = "/".join(filter(None, (self._event_id(record, headers), count)))
        return [*encoded, *cloud_event(self.name, event_id, headers.job_id)]

    def encode(self, record: R) -> bytes:
        """Return the JSON bytes of a record; fields that are None are left out."""
        return self._adapter.dump_json(record, exclude_none=True)

    def decode(self, value: bytes) -> R:
        """Return the record in these bytes. Raises InvalidMessageError that names each field that is wrong."""
        return self._validated(lambda: self._adapter.validate_json(value))

    def validate(self, fields: Mapping[str, Any]) -> R:
        """Return the record with these fields, as JSON has them. Raises InvalidMessageError as `decode` does."""
        return self._validated(lambda: self._adapter.validate_python(fields))

    def _validated(self, validate: Callable[[], R]) -> R:
        try:
            return validate()
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc']) or 'value'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)[:5]
            )
            raise InvalidMessageError(f"A message on {self.name} does not validate: {problems}") from error


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers that every message about a file or a job carries."""

    job_id: str = ""
    file_id: str = ""
    model_id: str = ""
    attempt: int = 1
    replay: bool = False
    traceparent: str = ""

    @property
    def begun(self) -> int:
        """How often the watchdog had the file begin. The attempts of a replay are those of a dead letter."""
        return 1 if self.replay else self.attempt

    def of_file(self, file_id: str) -> "Headers":
        """Return the same for a file. Written out, as each file has some, and `dataclasses.replace` takes longer."""
        return Headers(self.job_id, file_id, self.model_id, self.attempt, self.replay, self.traceparent)

    def encode(self) -> HeaderList:
        """Return Kafka's form; empty headers are left out."""
        named = {
            "job_id": self.job_id,
            "file_id": self.file_id,
            "model_id": self.model_id,
            "traceparent": self.traceparent,
        }
        headers = [(name, value.encode()) for name, value in named.items() if value]
        headers.append(("content-type", b"application/json"))
        if self.attempt > 1:
            headers.append(("attempt", str(self.attempt).encode()))
        if self.replay:
            headers.append(("replay", b"true"))
        return headers

    @classmethod
    def decode(cls, raw: RawHeaders) -> Self:
        """Read Kafka's form; what is missing or unreadable takes its default."""
        found = header_texts(raw)
        return cls(
            job_id=found.get("job_id", ""),
            file_id=found.get("file_id", ""),
            model_id=found.get("model_id", ""),
            attempt=whole_number(found.get("attempt", "")) or 1,
            replay=found.get("replay") == "true",
            traceparent=_passed_on(found.get("traceparent", "")),
        )


def _passed_on(trace: str) -> str:
    """Return a trace context, or nothing where it is longer than one may be: every message carries it on."""
    return trace if len(trace) <= MAX_NAME else ""


def header_texts(raw: RawHeaders) -> dict[str, str]:
    """Return headers as text, by name; of several with one name the last."""
    return {name: (value or b"").decode("utf-8", "replace") for name, value in dict(raw or {}).items()}


def files_in(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """Return how many files a message says that it is about."""
    return next(
        (whole_number((value or b"").decode("ascii", "replace")) or 1 for name, value in headers if name == "files"), 1
    )


def whole_number(text: str) -> int | None:
    """Return the number in a header, or None for anything else; Python refuses to read thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < 19 else None
