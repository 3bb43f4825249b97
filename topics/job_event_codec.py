"""How events of a job are written and read: those of many files that have ended alike as columns.

This is what looking again at many files brings; a record for each would cost more than all else about them. On the
topic these are `outcomes` like any other.
"""

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import orjson

from core.errors import InvalidMessageError
from rules.outcomes import Outcome
from topics.job_event import JOB_EVENT, AnyJobEvent, Outcomes, Seen
from topics.limits import MAX_NAME, MAX_PATH

# What an event of few files has: it costs nothing to read it file by file.
FEW_BYTES = 2000
# Outcomes of which there is no more to tell than the outcome.
_PLAIN: frozenset[Outcome] = frozenset({"stored", "cached", "duplicate", "unchanged"})
_COLUMNS = itemgetter("file_id", "path", "outcome", "sha256")
_HEXADECIMAL = re.compile("[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class OutcomesAlike:
    """`Outcomes` of different files that have all ended alike, with a content and no reason."""

    job_id: str
    at: float
    collection: str
    walk_id: str | None
    outcome: Outcome
    file_ids: list[str]
    paths: list[str]
    sha256s: list[str]


JobEvent = AnyJobEvent | OutcomesAlike
"""An event as it is read."""


def encode_event(event: JobEvent) -> bytes:
    """Return the JSON of an event; it says nothing of how it is to be read."""
    if not isinstance(event, OutcomesAlike):
        return JOB_EVENT.encode(event)
    fields: dict[str, Any] = {"job_id": event.job_id, "at": event.at, "type": "outcomes"}
    fields["collection"] = event.collection
    if event.walk_id is not None:
        fields["walk_id"] = event.walk_id
    columns = zip(event.file_ids, event.paths, event.sha256s, strict=True)
    fields["files"] = [
        {"file_id": file_id, "path": path, "outcome": event.outcome, "sha256": sha256}
        for file_id, path, sha256 in columns
    ]
    return orjson.dumps(fields)


def files_of(event: JobEvent) -> list[str]:
    """Return the ids of the files that an event is about."""
    match event:
        case OutcomesAlike():
            return event.file_ids
        case Seen() | Outcomes():
            return [file.file_id for file in event.files]
        case _:
            return []


def outcomes_alike(value: bytes) -> OutcomesAlike | None:
    """Read an event of files that have ended alike; None: it is another, or is to be read the general way."""
    try:
        fields: dict[str, Any] = orjson.loads(value)
        files = fields.pop("files")
        if {*map(type, files)} != {dict} or {*map(len, files)} != {4}:
            return None
        file_ids, paths, outcomes, sha256s = map(list, zip(*map(_COLUMNS, files), strict=True))
        event = JOB_EVENT.decode(orjson.dumps(fields | {"files": files[:1]}))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidMessageError):
        return None
    if not isinstance(event, Outcomes) or event.replay or event.files[0].outcome not in _PLAIN:
        return None
    are_texts = {*map(type, file_ids), *map(type, paths), *map(type, sha256s)} == {str}
    if not are_texts or outcomes.count(outcomes[0]) < len(files) or len({*file_ids}) < len(files):
        return None
    if max(map(len, file_ids)) > MAX_NAME or max(map(len, paths)) > MAX_PATH:
        return None
    if {*map(len, sha256s)} != {64} or not _HEXADECIMAL.fullmatch("".join(sha256s)):
        return None
    outcome = event.files[0].outcome
    return OutcomesAlike(event.job_id, event.at, event.collection, event.walk_id, outcome, file_ids, paths, sha256s)


def decode_keyed(key: bytes | None, value: bytes | None) -> JobEvent:
    """Return the event in a message. Raises InvalidMessageError, also where the key is not the job's id.

    Such a message stands on a partition of its own, whose offsets say nothing about those of the job's other events.
    """
    value = value or b""
    is_large = len(value) > FEW_BYTES and b'"outcomes"' in value[:FEW_BYTES]
    event = (outcomes_alike(value) if is_large else None) or JOB_EVENT.decode(value)
    if key != event.job_id.encode():
        said = (key or b"")[:200]
        raise InvalidMessageError(f"An event of job {event.job_id} has the key {said!r}: the key is the job's id.")
    return event
