"""One job: what is known of it, and what follows from that."""

from typing import Literal

from pydantic import BaseModel

from core.settings import STAGES, Stage
from rules.kinds import counted
from rules.outcomes import OUTCOMES, FileReport, Outcome
from tables.job_file import kind_of_skipped
from topics.job_event import LeftOut
from topics.job_status import State


class Job(BaseModel):
    """The state of one job; `seen`, `counts` and `walk_files` count its files as of `offset`."""

    job_id: str
    collection: str = ""
    sources: list[str] = []  # of many the first few; `sources_total` counts them all
    sources_total: int = 0
    caption: bool = False
    reread: bool = False
    model_id: str | None = None

    queued_at: float | None = None
    started_at: float | None = None
    last_progress_at: float | None = None
    offset: int = -1
    newest_at: float | None = None  # of the events up to that offset: Kafka's time, seconds since 1970
    moved_by: int = 0  # what is added to the offsets of `job-event`; see tables.job_fold.place

    walk_begun: bool = False
    seals: dict[str, list[int]] = {}  # walk id → partitions sealed by it
    published: dict[str, int | None] = {}  # walk id → files that its seals speak of; None: not counted
    partitions: int | None = None
    walks_again: int = 0
    cancelled: bool = False
    paused: bool = False
    failed_reason: str | None = None
    forgotten: bool = False

    seen: int = 0
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    walk_files: dict[str, int] = {}  # walk id → files that were seen of it, for walks whose files name them
    # Rows of version 0.1.0 may count files that their offset does not include; see agents.track.
    keeps_counts: bool = False
    skipped: dict[str, int] = {}  # by kind, as rules.kinds has them
    left_out: LeftOut | None = None  # of the newest walk

    moved: dict[Stage, int] = dict.fromkeys(STAGES, 0)
    ml_images_sent: int = 0
    waiting: dict[Stage, Literal["ml", "qdrant"]] = {}
    stalled: str | None = None
    active_offset: int = -1  # of the newest event that is not the watchdog's word
    restarts: int = 0
    samples: list[tuple[float, int]] = []  # (time, files with an outcome)
    logs: list[str] = []

    @property
    def processed(self) -> int:
        """Files that have their outcome."""
        return sum(self.counts.values())

    @property
    def sealed(self) -> bool:
        """Every partition was sealed by one walk: no further file of it will come."""
        return bool(self._sealed_walks())

    @property
    def missing(self) -> int:
        """Files that were published and never seen, by the best of the walks that have ended and were counted."""
        missing = [self._missing_of(walk) for walk in self._sealed_walks()]
        return min((files for files in missing if files is not None), default=0)

    @property
    def whole(self) -> bool:
        """A walk has ended of which every file was seen, as far as anyone counted: all files are known."""
        return any(not self._missing_of(walk) for walk in self._sealed_walks())

    @property
    def state(self) -> State:
        """The job's state. It is finished only when every file that was seen has its outcome."""
        sealed, whole = self.sealed, self.whole
        # A walk that has begun may have published files that nobody has seen yet.
        if self.processed == self.seen and (whole or not self.walk_begun):
            if self.failed_reason is not None:
                return "failed"
            if self.cancelled:
                return "cancelled"
            if whole:
                return "completed_with_errors" if self.counts["failed"] or self.missing else "completed"
        if self.paused and not self.cancelled:
            return "paused"
        if self.walk_begun and not sealed:
            return "scanning"
        return "running" if self.seen or sealed else "queued"

    def _sealed_walks(self) -> list[str]:
        count = self.partitions
        if count is None:
            return []
        return [walk for walk, seals in self.seals.items() if sum(number < count for number in seals) >= count]

    def _missing_of(self, walk: str) -> int | None:
        """Return how many files of a walk that has ended were never seen; None where they were not counted."""
        published, seen = self.published.get(walk), self.walk_files.get(walk)
        return None if published is None or seen is None else max(0, published - seen)

    def begin_count(self) -> None:
        """Begin to count the files again; `count` is then called for each."""
        self.seen = 0
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.skipped = {}

    def count(self, file: FileReport) -> None:
        """Count one file of the job."""
        self.seen += 1
        if file.outcome is not None:
            self.counts[file.outcome] += 1
        if (kind := kind_of_skipped(file)) is not None:
            self.count_skipped(kind, 1)

    def count_skipped(self, kind: str, by: int) -> None:
        """Count a skipped file among its kind."""
        self.skipped = counted(self.skipped, kind, by)
