"""`job-status`: the public status document of each job. Compacted; readers keep the highest offset."""

from typing import Literal

from core.settings import Stage
from rules.departures import GuardCode
from topics.files import JobId, Task
from topics.record import Record, Topic

State = Literal["queued", "scanning", "running", "paused", "completed", "completed_with_errors", "failed", "cancelled"]
JobsShown = Literal["all", "running", "errors", "completed", "cancelled"]
"""Which jobs a list shows. `running`: not finished. `errors`: failed, or with a file that did."""
FINISHED: frozenset[State] = frozenset({"completed", "completed_with_errors", "failed", "cancelled"})
COMPLETED: frozenset[State] = frozenset({"completed", "completed_with_errors"})


class OutcomeCounts(Record):
    """Files by outcome; always all six."""

    stored: int = 0
    cached: int = 0
    duplicate: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0


class StageGauge(Record):
    """Files that a stage has handed on, and files it has yet to."""

    done: int = 0
    in_flight: int = 0


class LeftOutCounts(Record):
    """Files that a scan has left out, in so many folders; `more`: at least. They have no outcome."""

    files: int
    folders: int
    more: bool = False


RemovalState = Literal["looking", "none", "counting", "removing", "held", "removed", "kept", "overtaken", "guarded"]
"""`held`: what is gone waits for a yes or no. `kept`: it was a no. `overtaken`: nobody has answered, and a newer look
asks. `guarded`: nothing is removed, for a `reason`.
"""
REMOVALS_SETTLED: frozenset[RemovalState] = frozenset({"none", "held", "removed", "kept", "overtaken", "guarded"})
RemovalCode = GuardCode | Literal["many", "overtaken"]
"""Why nothing is removed, or not yet. After `other-mount` and `link-away`, `sources accept` takes what is there now."""


class RemovalStatus(Record):
    """What a sync has found to have left its source: paths by reason, where it is counted.

    `lost`: pictures that have no path then. `unread`: paths of which the disk did not tell: they stay. `reason`: why
    nothing is removed, not before a person says so, or not everywhere; `code`: the same for programs.
    """

    state: RemovalState
    moved: int = 0
    gone: int = 0
    replaced: int = 0
    excluded: int = 0
    lost: int = 0
    unread: int = 0
    reason: str | None = None
    code: RemovalCode | None = None
    since: str | None = None  # that it stands so, by Kafka's clock


class JobStatus(Record):
    """The status document, as HTTP serves it. Times are ISO 8601 in UTC; rates are files a second.

    Where nothing else is said, times are by the clocks of workers.
    """

    job_id: JobId
    status: State
    collection: str
    model_id: str | None = None
    caption: bool = False
    reread: bool = False
    task: Task | None = None
    source: str | None = None  # that this is a look at
    removals: RemovalStatus | None = None
    # Of many the first few; `sources_total` counts them all.
    sources: list[str] = []
    sources_total: int = 0
    progress: float
    total_files: int
    total_known: bool
    processed_files: int
    cached_files: int
    failed_files: int
    # Published and never seen: they are in no other number.
    missing_files: int = 0
    outcomes: OutcomeCounts
    skipped_kinds: dict[str, int] = {}  # of the skipped files, by extension or reason
    left_out: LeftOutCounts | None = None
    stages: dict[Stage, StageGauge]
    rate: float
    eta_seconds: float | None = None
    # When Kafka had the first event of it, by Kafka's clock: of two jobs it tells which is the newer.
    begun_time: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    last_progress_at: str | None = None
    waiting_for: Literal["ml", "qdrant"] | None = None
    stalled: str | None = None
    cancelling: bool = False
    paused: bool = False
    # Which files it had is no longer known, and nothing changes it any more.
    forgotten: bool = False
    ml_images_sent: int
    message: str
    logs: list[str]
    offset: int  # of the newest job-event that is included


JOB_STATUS: Topic[JobStatus] = Topic(
    "job-status",
    key="job id",
    record=JobStatus,
    compacted=True,
    event_id=lambda status, _: f"{status.job_id}/{status.offset}",
)
