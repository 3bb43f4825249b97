"""Many files of one job in one message: how they are put together, and taken apart again.

A bundle's value has what its files share once, and below `files` what each has of its own: the fields of the topic's
record, and `traceparent`. All its files go to the partition that each one's own key leads to; the bundle's key is that
of its first file. Its headers are what all files share, and `files`: how many they are. The form of a single file is
read on every topic as well, see docs/decisions/0060-bundles.md.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import orjson

from core.errors import InvalidMessageError
from topics.files import FileOfJob
from topics.limits import MAX_NAME
from topics.record import Headers, RawHeaders, Topic

MAX_FILES = 256
MAX_BYTES = 512 << 10
# More than a message of at most MAX_MESSAGE_BYTES can hold: an offset and a place make one number.
PLACES = 1 << 16

_SHARED = ("job_id", "collection", "caption", "model_id", "roots", "walk_id")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Entry(Generic[R]):
    """One file of a message. `refused`: where it is not valid, what it would be alone, and why."""

    place: int
    headers: Headers
    record: R | None
    refused: "Refused | None" = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Key and value that a file of a bundle would have alone, and what is wrong with it."""

    key: bytes
    value: bytes
    error: InvalidMessageError


@dataclass(frozen=True, slots=True)
class Own:
    """What a file has of its own in a bundle, and what it shares with others that may be in the same one."""

    shared: bytes
    own: bytes
    headers: Headers

    @property
    def size(self) -> int:
        """Bytes that the file adds to a bundle."""
        return len(self.own)


def key_of(topic: Topic[Any], record: Any) -> bytes:
    """Return the key that a file has in messages of a topic."""
    return bytes(record.path_bytes) if topic.key == "path" else str(getattr(record, topic.key, "")).encode()


def own(record: FileOfJob, headers: Headers) -> Own:
    """Take apart what one file has to say."""
    fields = record.model_dump(mode="json", exclude_none=True)
    shared = {name: fields.pop(name) for name in _SHARED if name in fields}
    if headers.traceparent:
        fields["traceparent"] = headers.traceparent
    return Own(orjson.dumps(shared), orjson.dumps(fields), replace(headers, file_id="", traceparent=""))


def encode(files: Iterable[Own]) -> bytes:
    """Return the value of a bundle of files that share the same."""
    owns = [*files]
    shared: dict[str, Any] = orjson.loads(owns[0].shared)
    return orjson.dumps(shared | {"files": [orjson.Fragment(each.own) for each in owns]})


def decode(topic: Topic[R], value: bytes, raw: RawHeaders) -> Iterator[Entry[R]]:
    """Yield the files of a message. Raises InvalidMessageError where it is neither a bundle nor a file of the topic."""
    headers = Headers.decode(raw)
    bundle = _bundle(value) if topic.has_bundles else None
    if bundle is None:
        yield Entry(0, headers, topic.decode(value))
        return
    files = bundle.pop("files")
    if not files or len(files) > PLACES:
        raise InvalidMessageError(f"A message on {topic.name} has {len(files)} files: 1 to {PLACES} are taken.")
    for place, fields in enumerate(files):
        if not isinstance(fields, dict):
            fields = {"file": fields}  # noqa: PLW2901 - it lacks a path, which is said of it alone
        trace = fields.pop("traceparent", "")
        alone = bundle | fields
        own_headers = replace(headers, traceparent=trace if isinstance(trace, str) and len(trace) <= MAX_NAME else "")
        try:
            record = topic.validate(alone)
        except InvalidMessageError as error:
            refused = Refused(str(alone.get(topic.key, "")).encode(), orjson.dumps(alone), error)
            yield Entry(place, own_headers, None, refused)
        else:
            yield Entry(place, replace(own_headers, file_id=getattr(record, "file_id", "")), record)


def _bundle(value: bytes) -> dict[str, Any] | None:
    """Return the fields of a bundle, or None for the form of a single file."""
    if b'"files"' not in value:
        return None
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict) or "path" in fields or not isinstance(fields.get("files"), list):
        return None
    return fields
