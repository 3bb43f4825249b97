"""`job-event`: everything that happens to a job, keyed by its id. The jobs table is the fold of this topic."""

from typing import Annotated, Literal

from pydantic import Field

from core.settings import Stage
from rules.outcomes import Outcome
from topics.files import OfJob, Sha256, Task
from topics.limits import Count, Name, Paths, PathText, Reason
from topics.record import Record, Topic
from topics.removal_event import Guarded, LeftAll, Overtaken, Sweeping, Swept, Tallied, WouldLeave
from topics.source import SourceName


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


class Queued(OfJob):
    """A job was submitted."""

    type: Literal["queued"] = "queued"
    collection: Name
    sources: Paths = []
    caption: bool = False
    model_id: Name | None = None
    reread: bool = False
    task: Task | None = None
    accept_failed: bool = False
    exclude: Paths = []
    source: SourceName | None = None
    message: Reason = ""


class Scanning(OfJob):
    """A walk over the job's folders has begun."""

    type: Literal["scanning"] = "scanning"
    collection: Name
    sources: Paths = []
    caption: bool = False
    model_id: Name | None = None
    reread: bool = False
    task: Task | None = None
    walk_id: Name
    exclude: Paths = []
    source: SourceName | None = None
    # Each of its files names the walk, so that those that are never seen can be counted.
    counted: bool = False


class Seen(OfJob):
    """Files were taken up by the hash stage. `walk_id`: the walk that published them, where they say so."""

    type: Literal["seen"] = "seen"
    collection: Name
    walk_id: Name | None = None
    # As in topics.files, of all these files.
    roots: Paths | None = None
    files: list[SeenFile]


class Outcomes(OfJob):
    """Files have their outcome. `replay`: caused by a replay, so it may lift a failure and nothing else.

    `walk_id`: the walk that published them, where they are seen by this event.
    """

    type: Literal["outcomes"] = "outcomes"
    collection: Name
    walk_id: Name | None = None
    files: list[FileOutcome]
    replay: bool = False


class Sealed(OfJob):
    """No further file of this walk comes through this partition of `raw-path`.

    `files`: how many different ones it has published there; None: not counted.
    """

    type: Literal["sealed"] = "sealed"
    walk_id: Name
    partition: Count
    partitions: Annotated[int, Field(ge=1)]
    files: Count | None = None


class LeftOut(OfJob):
    """A walk has left out so many files, in so many folders; `more`: at least. They have no outcome."""

    type: Literal["left-out"] = "left-out"
    walk_id: Name
    files: Count
    folders: Count
    more: bool = False


class Moved(OfJob):
    """A stage has handed on so many files: a gauge for people, no part of the accounting."""

    type: Literal["moved"] = "moved"
    stage: Stage
    files: Count


class Step(OfJob):
    """How far a job of several steps is, or how it ended, for people."""

    type: Literal["step"] = "step"
    text: Reason


class MLSent(OfJob):
    """So many images of this job were sent to ML in one request."""

    type: Literal["ml-sent"] = "ml-sent"
    images: Count


WaitTarget = Literal["ml", "qdrant"]


class Waiting(OfJob):
    """A stage waits for a service that is away (`target`), or no longer does (None)."""

    type: Literal["waiting"] = "waiting"
    stage: Stage
    target: WaitTarget | None = None


class Command(OfJob):
    """Someone asked for it over HTTP."""

    type: Literal["cancel", "pause", "resume", "confirm", "keep"]


class JobFailed(OfJob):
    """The job as a whole cannot go on, such as one whose folder is missing."""

    type: Literal["job-failed"] = "job-failed"
    collection: Name
    reason: Reason


class Stalled(OfJob):
    """The watchdog sees the job stand still (`reason`), or no longer does (None)."""

    type: Literal["stalled"] = "stalled"
    reason: Reason | None = None


class Restarted(OfJob):
    """The watchdog has files without an outcome begin again, for the `attempt`th time."""

    type: Literal["restarted"] = "restarted"
    files: Count
    attempt: Annotated[int, Field(ge=1)]


class WalkedAgain(OfJob):
    """The watchdog has the folders of the job walked again, as files were published and never seen."""

    type: Literal["walked-again"] = "walked-again"


class AskedAgain(OfJob):
    """The watchdog has what a sync had asked of the stages asked again, for the `attempt`th time: it was lost."""

    type: Literal["asked-again"] = "asked-again"
    attempt: Annotated[int, Field(ge=1)]


class StatusAsked(OfJob):
    """Track is to publish the job's status as it is by now: the next look at a source goes by what this one came to."""

    type: Literal["status-asked"] = "status-asked"


class Forget(OfJob):
    """The files of a job that is over are to be forgotten; its last status stays.

    `after`: track goes on behind this file, a few at a time. Others leave it out.
    """

    type: Literal["forget"] = "forget"
    after: Name | None = None


AnyJobEvent = (
    Sweeping
    | Guarded
    | Overtaken
    | Swept
    | WouldLeave
    | Tallied
    | LeftAll
    | Queued
    | Scanning
    | LeftOut
    | Seen
    | Outcomes
    | Sealed
    | Moved
    | Step
    | MLSent
    | Waiting
    | Command
    | JobFailed
    | Stalled
    | Restarted
    | WalkedAgain
    | AskedAgain
    | StatusAsked
    | Forget
)

JOB_EVENT: Topic[AnyJobEvent] = Topic(
    "job-event", key="job id", record=Annotated[AnyJobEvent, Field(discriminator="type")]
)
