"""One job, as the fold of its events: the same code serves `track` and the API's read view.

What a file ends as is folded free of order (rules.outcomes). What belongs to the job itself
is either a set that only grows (seals, commands) or a gauge for people (stages, rate), and
an event at or before `offset` is not applied to those a second time. Times come from the
events, never from a clock, so that a replayed fold gives the same document.
"""

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel

from rules.kinds import counted, kind_of, left_out_line
from rules.outcomes import OUTCOMES, FileReport, Outcome, fold_file
from settings import STAGES, Stage
from topics import job_event as events
from topics.job_status import FINISHED, State

LOG_LINES = 100
# A walk that is begun again seals under a new name; what the newest few say is kept.
MAX_WALKS = 20
MAX_ROOTS = 100
# A path may have 4096 bytes, and a reason may name it: the document has to fit into one message.
LOG_LINE_CHARACTERS = 1000
RATE_SAMPLES = 20
RATE_SAMPLE_SECONDS = 0.5


class Job(BaseModel):
    """The state of one job. `counts` and `seen` follow from its files and can be counted again from them."""

    job_id: str
    collection: str = ""
    sources: list[str] = []
    caption: bool = False
    reread: bool = False
    model_id: str | None = None
    exclude: list[str] = []  # what a walk leaves out
    roots: list[str] | None = None  # of its files, so that one that begins again is bound as before

    queued_at: float | None = None
    started_at: float | None = None
    last_progress_at: float | None = None
    offset: int = -1

    walk_begun: bool = False
    seals: dict[str, list[int]] = {}  # walk id → partitions sealed by it
    partitions: int | None = None
    cancelled: bool = False
    paused: bool = False
    failed_reason: str | None = None

    seen: int = 0
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    skipped: dict[str, int] = {}  # by kind, as rules.kinds has them
    left_out: events.LeftOut | None = None  # of the newest walk

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
        """Every partition was sealed by one walk: no further file will come."""
        count = self.partitions
        return count is not None and any(sum(p < count for p in seals) >= count for seals in self.seals.values())

    @property
    def state(self) -> State:
        """The job's state. It is finished only when every file that was seen has its outcome."""
        sealed = self.sealed
        # A walk that has begun may have published files that nobody has seen yet.
        if self.processed == self.seen and (sealed or not self.walk_begun):
            if self.failed_reason is not None:
                return "failed"
            if self.cancelled:
                return "cancelled"
            if sealed:
                return "completed_with_errors" if self.counts["failed"] else "completed"
        if self.paused and not self.cancelled:
            return "paused"
        if self.walk_begun and not sealed:
            return "scanning"
        return "running" if self.seen or sealed else "queued"

    def reset_counts(self) -> None:
        """Begin to count the files again; `count` is then called for each."""
        self.seen = 0
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.skipped = {}

    def count(self, file: FileReport) -> None:
        """Count one file of the job."""
        self.seen += 1
        if file.outcome is not None:
            self.counts[file.outcome] += 1
        self.count_skipped(file, 1)

    def count_skipped(self, file: FileReport, by: int) -> None:
        """Count a file among its kind, if it is skipped."""
        if file.outcome == "skipped":
            self.skipped = counted(self.skipped, kind_of(file.path, file.reason), by)


def apply(
    job: Job, event: events.AnyJobEvent, offset: int, lookup: Callable[[str], FileReport | None]
) -> list[FileReport]:
    """Fold one event into the job; return the files whose rows have changed.

    `lookup` gives the row of a file of this job by its id, or None.
    """
    changed = _apply_files(job, event, lookup)
    if changed:
        _note_progress(job, event.at)
        job.started_at = job.started_at or event.at
        _sample_rate(job, event.at)
    if offset > job.offset:
        job.offset = offset
        if not isinstance(event, events.Stalled):
            # Any other event is a sign of life.
            job.active_offset, job.stalled = offset, None
        _apply_to_job(job, event)
    return changed


def _apply_files(job: Job, event: events.AnyJobEvent, lookup: Callable[[str], FileReport | None]) -> list[FileReport]:
    match event:
        case events.Seen():
            job.collection = job.collection or event.collection
            if event.roots is not None and event.roots != job.roots:
                job.roots = sorted({*(job.roots or []), *event.roots})[:MAX_ROOTS]
            reports = [FileReport(file.file_id, file.path, path_b64=file.path_b64) for file in event.files]
            replay = False
        case events.Outcomes():
            job.collection = job.collection or event.collection
            reports = [
                FileReport(file.file_id, file.path, file.outcome, file.reason, file.sha256, file.path_b64)
                for file in event.files
            ]
            replay = event.replay
        case _:
            return []
    changed: dict[str, FileReport] = {}
    for report in reports:
        known = changed.get(report.file_id) or lookup(report.file_id)
        folded = fold_file(known, report, replay=replay)
        if folded != known:
            changed[report.file_id] = folded
            _count(job, known, folded)
    return list(changed.values())


def _count(job: Job, before: FileReport | None, after: FileReport) -> None:
    if before is None:
        job.seen += 1
    elif before.outcome is not None:
        job.counts[before.outcome] -= 1
    if after.outcome is not None:
        job.counts[after.outcome] += 1
    if before is not None:
        job.count_skipped(before, -1)
    job.count_skipped(after, 1)
    if after.outcome == "failed" and (before is None or before.outcome != "failed"):
        _log(job, f"{after.path}: failed: {after.reason}")


def _apply_to_job(job: Job, event: events.AnyJobEvent) -> None:  # noqa: PLR0912 - a case for each event
    match event:
        case events.Queued():
            _queue(job, event)
        case events.Scanning():
            job.collection = job.collection or event.collection
            job.sources = job.sources or event.sources
            job.exclude = job.exclude or event.exclude
            job.caption = job.caption or event.caption
            job.reread = job.reread or event.reread
            job.model_id = job.model_id or event.model_id
            job.started_at = job.started_at or event.at
            # One that was cancelled before has ended: what this walk still finds is skipped.
            job.walk_begun = job.walk_begun or not job.cancelled
            if job.failed_reason is not None:
                # The request was replayed. The walk that failed has sealed only what was before it.
                job.failed_reason = None
                job.seals = {}
            job.left_out = None
            _log(job, "Scan begun.")
        case events.Sealed():
            _seal(job, event)
        case events.LeftOut():
            job.left_out = event
            _log(job, left_out_line(event.files, event.folders, more=event.more))
        case events.Moved():
            job.moved[event.stage] += event.files
            job.waiting.pop(event.stage, None)
        case events.MLSent():
            job.ml_images_sent += event.images
        case events.Waiting():
            _wait(job, event)
        case events.Command():
            _command(job, event)
        case events.JobFailed():
            _fail(job, event)
        case events.Stalled():
            _stall(job, event)
        case events.Restarted():
            job.restarts = max(job.restarts, event.attempt)
            _log(job, f"{event.files} files without an outcome begin again.")
        case _:
            pass


def _queue(job: Job, event: events.Queued) -> None:
    job.collection = event.collection
    job.sources = event.sources
    job.caption = event.caption
    job.reread = event.reread
    job.model_id = event.model_id
    job.exclude = event.exclude
    if job.queued_at is None:
        job.queued_at = event.at
        _log(job, event.message or f"Queued for collection {event.collection}.")


def _seal(job: Job, event: events.Sealed) -> None:
    if job.sealed:
        return
    job.partitions = event.partitions
    partitions = job.seals.setdefault(event.walk_id, [])
    if event.partition in partitions:
        return
    partitions.append(event.partition)
    if len(job.seals) > MAX_WALKS:
        del job.seals[next(iter(job.seals))]
    _note_progress(job, event.at)
    if job.sealed:
        _log(job, f"All files are known: {job.seen}.")


def _wait(job: Job, event: events.Waiting) -> None:
    if event.target is None:
        job.waiting.pop(event.stage, None)
        return
    if job.waiting.get(event.stage) != event.target:
        _log(job, f"Stage {event.stage} waits for {event.target}.")
    job.waiting[event.stage] = event.target


def _stall(job: Job, event: events.Stalled) -> None:
    if event.reason is not None and job.stalled is None:
        _log(job, f"Stalled: {event.reason}.")
    job.stalled = event.reason


def _command(job: Job, event: events.Command) -> None:
    if job.state in FINISHED:
        return
    if event.type == "cancel":
        job.cancelled = True
        _note_progress(job, event.at)
    else:
        job.paused = event.type == "pause"
    _log(job, f"Asked to {event.type}.")


def _fail(job: Job, event: events.JobFailed) -> None:
    # A request may be delivered again when its walk is done, and its folder gone: too late to fail.
    if job.sealed or job.failed_reason is not None:
        return
    job.collection = job.collection or event.collection
    job.failed_reason = event.reason
    _note_progress(job, event.at)
    _log(job, event.reason)


def _note_progress(job: Job, at: float) -> None:
    """Progress has a time that never runs back: the clocks of two machines differ."""
    job.last_progress_at = max(at, job.last_progress_at or at)
    job.stalled = None


def _log(job: Job, line: str) -> None:
    job.logs = [*job.logs[1 - LOG_LINES :], line[:LOG_LINE_CHARACTERS]]


def _sample_rate(job: Job, at: float) -> None:
    if not job.samples or at - job.samples[-1][0] >= RATE_SAMPLE_SECONDS:
        job.samples = [*job.samples[1 - RATE_SAMPLES :], (at, job.processed)]
