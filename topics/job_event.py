"""`job-event`: everything that happens to a job, keyed by its id. The jobs table is the fold of this topic."""

import re
from dataclasses import dataclass
from operator import itemgetter
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from core.errors import InvalidMessageError
from core.settings import Stage
from rules.outcomes import Outcome
from topics.files import JobId, Sha256
from topics.limits import MAX_NAME, MAX_PATH, Name, Paths, PathText, Reason
from topics.record import Record, Topic


class SeenFile(Record):
    """A file that belongs to the job from now on."""

    file_id: Name
    path: PathText
    path_b64: PathText | None = None


class FileOutcome(SeenFile):
    """What became of a file."""

    outcome: Outcome
    reason: Reason | None = None
    sha256: Sha256 | None = None


Count = Annotated[int, Field(ge=0)]


class _Event(Record):
    job_id: JobId
    # Seconds since 1970, by the clock of the process that publishes; the bound is the year 5138.
    at: Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]


class Queued(_Event):
    """A job was submitted."""

    type: Literal["queued"] = "queued"
    collection: Name
    sources: Paths = []
    caption: bool = False
    model_id: Name | None = None
    reread: bool = False
    exclude: Paths = []
    message: Reason = ""


class Scanning(_Event):
    """A walk over the job's folders has begun."""

    type: Literal["scanning"] = "scanning"
    collection: Name
    sources: Paths = []
    caption: bool = False
    model_id: Name | None = None
    reread: bool = False
    walk_id: Name
    exclude: Paths = []
    # Each of its files names the walk, so that those that are never seen can be counted.
    counted: bool = False


class Seen(_Event):
    """Files were taken up by the hash stage. `walk_id`: the walk that published them, where they say so."""

    type: Literal["seen"] = "seen"
    collection: Name
    walk_id: Name | None = None
    # As in topics.files, of all these files.
    roots: Paths | None = None
    files: list[SeenFile]


class Outcomes(_Event):
    """Files have their outcome. `replay`: caused by a replay, so it may lift a failure and nothing else.

    `walk_id`: the walk that published them, where they are seen by this event.
    """

    type: Literal["outcomes"] = "outcomes"
    collection: Name
    walk_id: Name | None = None
    files: list[FileOutcome]
    replay: bool = False


class Sealed(_Event):
    """No further file of this walk comes through this partition of `raw-path`.

    `files`: how many different ones it has published there; None: not counted.
    """

    type: Literal["sealed"] = "sealed"
    walk_id: Name
    partition: Count
    partitions: Annotated[int, Field(ge=1)]
    files: Count | None = None


class LeftOut(_Event):
    """A walk has left out so many files, in so many folders; `more`: at least. They have no outcome."""

    type: Literal["left-out"] = "left-out"
    walk_id: Name
    files: Count
    folders: Count
    more: bool = False


class Moved(_Event):
    """A stage has handed on so many files: a gauge for people, no part of the accounting."""

    type: Literal["moved"] = "moved"
    stage: Stage
    files: Count


class MLSent(_Event):
    """So many images of this job were sent to ML in one request."""

    type: Literal["ml-sent"] = "ml-sent"
    images: Count


WaitTarget = Literal["ml", "qdrant"]


class Waiting(_Event):
    """A stage waits for a service that is away (`target`), or no longer does (None)."""

    type: Literal["waiting"] = "waiting"
    stage: Stage
    target: WaitTarget | None = None


class Command(_Event):
    """Someone asked for it over HTTP."""

    type: Literal["cancel", "pause", "resume"]


class JobFailed(_Event):
    """The job as a whole cannot go on, such as one whose folder is missing."""

    type: Literal["job-failed"] = "job-failed"
    collection: Name
    reason: Reason


class Stalled(_Event):
    """The watchdog sees the job stand still (`reason`), or no longer does (None)."""

    type: Literal["stalled"] = "stalled"
    reason: Reason | None = None


class Restarted(_Event):
    """The watchdog has files without an outcome begin again, for the `attempt`th time."""

    type: Literal["restarted"] = "restarted"
    files: Count
    attempt: Annotated[int, Field(ge=1)]


class WalkedAgain(_Event):
    """The watchdog has the folders of the job walked again, as files were published and never seen."""

    type: Literal["walked-again"] = "walked-again"


class Forget(_Event):
    """The files of a job that is over are to be forgotten; its last status stays.

    `after`: track goes on behind this file, a few at a time. Others leave it out.
    """

    type: Literal["forget"] = "forget"
    after: Name | None = None


AnyJobEvent = (
    Queued
    | Scanning
    | LeftOut
    | Seen
    | Outcomes
    | Sealed
    | Moved
    | MLSent
    | Waiting
    | Command
    | JobFailed
    | Stalled
    | Restarted
    | WalkedAgain
    | Forget
)

JOB_EVENT: Topic[AnyJobEvent] = Topic(
    "job-event", key="job id", record=Annotated[AnyJobEvent, Field(discriminator="type")]
)


# What an event of few files has: it costs nothing to read it file by file.
FEW_BYTES = 2000
# Outcomes of which there is no more to tell than the outcome.
_PLAIN: frozenset[Outcome] = frozenset({"stored", "cached", "duplicate", "unchanged"})
_COLUMNS = itemgetter("file_id", "path", "outcome", "sha256")
_HEXADECIMAL = re.compile("[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class OutcomesAlike:
    """`Outcomes` of different files that have all ended alike, with a content and no reason, as columns.

    This is what looking again at many files brings: a record for each would cost more than all else about them.
    """

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
