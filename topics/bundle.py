"""Many files of one job in one message: how they are put together, and taken apart again.

A bundle's value has what all its files share once, and below `files` what each has of its own, its `traceparent` too:

    {"job_id": "trip", "collection": "photos", "files": [{"path": "/photos/a.jpg"}, {"path": "/photos/b.jpg"}]}

The key of each of its files leads to the same partition; the bundle has the key of the first. Its headers are those
that all files share, and `files`, their number. Every topic of bundles also takes a file by itself, see
docs/decisions/0060-bundles.md.
"""

import json
from collections.abc import Container, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.errors import InvalidMessageError
from topics.files import FileOfJob
from topics.limits import MAX_NAME
from topics.record import PACKED, HeaderList, Headers, RawHeaders, Topic

MAX_FILES = 256
MAX_BYTES = 512 << 10
# More than a message of at most MAX_MESSAGE_BYTES can hold: an offset and an index make one number.
MAX_FILES_READ = 1 << 16

SHARED = ("job_id", "collection", "caption", "model_id", "roots", "walk_id", "counted", "source")
"""The fields that stand once for all files of a message, as it is written. What they all share may."""
_SHARED = frozenset(SHARED)

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """One file of a message. `refused`: where it is not valid, what it would be alone, and why."""

    index: int
    headers: Headers
    record: R | None
    refused: "Refused | None" = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Key and value that a file of a bundle would have alone, and what is wrong with it."""

    key: bytes
    value: bytes
    error: InvalidMessageError


class Alike(NamedTuple):
    """What files share that may be in one bundle: the JSON of their fields, and their headers."""

    fields: bytes
    headers: Headers


class Own(NamedTuple):
    """What a file has of its own: the key that its message would have alone, and the JSON of its fields.

    `record`: the whole file, where there is one.
    """

    key: bytes
    fields: bytes
    record: FileOfJob | None = None
    traceparent: str = ""


@cache
def _column(record: type[BaseModel], name: str) -> TypeAdapter[list[Any]]:
    """Return what validates one field of many files at once: a fraction of a microsecond for each."""
    field = record.model_fields[name]
    return TypeAdapter(list[Annotated[field.annotation, field]])  # type: ignore[name-defined]


class Bundle(Generic[R]):
    """The files of a message, as JSON has them. Raises InvalidMessageError where they are too many, or none."""

    def __init__(self, topic: Topic[R], fields: dict[str, Any], headers: Headers) -> None:
        self.headers = headers
        self.files: list[Any] = fields.pop("files")
        self._topic = topic
        self._shared = fields
        if not self.files or len(self.files) > MAX_FILES_READ:
            raise InvalidMessageError(
                f"A message on {topic.name} has {len(self.files)} files: 1 to {MAX_FILES_READ} are taken."
            )

    @cached_property
    def first(self) -> R | None:
        """The record of the first file, by which all that they share is valid; None where it is not."""
        return self.entry(0).record

    def plain(self, names: Set[str]) -> list[tuple[int, dict[str, Any]]]:
        """Return the files that have just these fields, with their indexes, each field as the topic's record has it.

        They make no record, so what is wrong with one of them is found here: none is returned then, and each is to be
        taken by itself. So it is where they share more than is written once for all.
        """
        if not self._shared.keys() <= _SHARED:
            return []
        found = [
            (index, file) for index, file in enumerate(self.files) if isinstance(file, dict) and file.keys() == names
        ]
        try:
            for name in names:
                _column(self._topic.record, name).validate_python([file[name] for _, file in found], strict=True)
        except ValidationError:
            return []
        return found

    def indexes_without(self, taken: Container[int]) -> list[int]:
        """Return the indexes of all files but those that are taken."""
        return [index for index in range(len(self.files)) if index not in taken]

    def entry(self, index: int) -> Entry[R]:
        """Return one file."""
        fields = self.files[index]
        if not isinstance(fields, dict):
            fields = {"file": fields}  # it lacks a path, which is said of it alone
        alone = self._shared | fields
        trace = alone.pop("traceparent", "")
        headers = self.headers
        if trace or headers.traceparent:
            headers = replace(headers, traceparent=trace if isinstance(trace, str) and len(trace) <= MAX_NAME else "")
        try:
            record = self._topic.validate(alone)
        except InvalidMessageError as error:
            refused = Refused(str(alone.get(self._topic.key, "")).encode(), orjson.dumps(alone), error)
            return Entry(index, headers, None, refused)
        return Entry(index, headers.of_file(getattr(record, "file_id", "")), record)


def key_of(topic: Topic[Any], record: Any) -> bytes:
    """Return the key that a file has in messages of a topic."""
    if topic.key == "path":
        return bytes(record.path_bytes)
    return str(getattr(record, "lies_by", None) or getattr(record, topic.key, "")).encode()


def take_apart(key: bytes, record: FileOfJob, headers: Headers) -> tuple[Alike, Own]:
    """Return what one file shares with others, and what it has of its own."""
    fields = record.model_dump(mode="json", exclude_none=True, context=PACKED)
    shared = {name: fields.pop(name) for name in SHARED if name in fields}
    of_all = headers.of_file("")
    if headers.traceparent:
        fields["traceparent"] = headers.traceparent
        of_all = replace(of_all, traceparent="")
    alike = Alike(orjson.dumps(shared), of_all)
    return alike, Own(key, _dumped(fields), record, headers.traceparent)


def _dumped(fields: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except orjson.JSONEncodeError:  # a number of more than 64 bits, which anyone may have sent
        return json.dumps(fields).encode()


def alike_of(record: FileOfJob, headers: Headers) -> Alike:
    """Return what a file shares with others that came with these headers."""
    return take_apart(b"", record, record.headers(headers))[0]


def encode(alike: Alike, files: Sequence[Own]) -> bytes:
    """Return the value of a bundle."""
    shared: dict[str, Any] = orjson.loads(alike.fields)
    return orjson.dumps(shared | {"files": [orjson.Fragment(file.fields) for file in files]})


def message(topic: Topic[Any], alike: Alike, files: Sequence[Own]) -> tuple[bytes, HeaderList]:
    """Return value and headers of the message with these files: of one in the form of a single file."""
    first = files[0]
    record = first.record or topic.validate(orjson.loads(alike.fields) | orjson.loads(first.fields))
    if len(files) > 1:
        return encode(alike, files), topic.headers(record, alike.headers, len(files))
    caused = replace(alike.headers, traceparent=first.traceparent)
    return topic.encode(record), topic.headers(record, record.headers(caused))


def decode(topic: Topic[R], value: bytes, raw: RawHeaders) -> Iterator[Entry[R]]:
    """Yield the files of a message. Raises InvalidMessageError where it is neither a bundle nor a file of the topic."""
    bundle = opened(topic, value, raw)
    if bundle is None:
        yield Entry(0, Headers.decode(raw), topic.decode(value))
        return
    for index in range(len(bundle.files)):
        yield bundle.entry(index)


def opened(topic: Topic[R], value: bytes, raw: RawHeaders) -> Bundle[R] | None:
    """Return the files of a message, or None for one that is no bundle."""
    if not topic.has_bundles or b'"files"' not in value:
        return None
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or "path" in fields or not isinstance(fields.get("files"), list):
        return None
    return Bundle(topic, fields, Headers.decode(raw))
