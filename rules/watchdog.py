"""What stands still, and why: decided from two samples of the consumer groups, and from when each job last moved.

Only a difference over time tells work from its absence: a stage with a backlog may be busy, and one whose offsets
rest may have nothing to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.settings import STAGES, Stage
from rules.wording import plural

RESTARTS = 3
"""How often the files of one job are started again; each pause is twice as long as the one before."""

NO_END_MARKER = "no end marker"
"""Of a job that stands still: nothing of it is on its way, no walk of it is under way, and none has ended."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a group has read a partition: offsets of the first message it has not finished, and of the end."""

    topic: str
    partition: int
    committed: int
    end: int

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return max(0, self.end - self.committed)


@dataclass(frozen=True, slots=True)
class StageSample:
    """The consumer group of a stage at one moment."""

    has_workers: bool
    positions: tuple[Position, ...]

    @property
    def lag(self) -> int:
        """Messages that wait, over all partitions."""
        return sum(position.lag for position in self.positions)


Sample = Mapping[Stage, StageSample]
"""The groups of all stages at one moment."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """A stage that stands still: what it does not do, and what is left to do."""

    what: str
    left: str

    def __str__(self) -> str:
        return f"{self.what}: {self.left}"


@dataclass(frozen=True, slots=True)
class JobSample:
    """An unfinished job at one moment. `idle_seconds`: since its last event that was not the watchdog's own.

    `stalled` is what its status says now; `is_held`: it is paused, or waits for ML or Qdrant. `missing` files were
    published by a walk that has ended, and never seen.
    """

    idle_seconds: float
    seen: int
    unfinished: int
    walk_begun: bool
    sealed: bool
    is_held: bool
    stalled: str | None
    restarts: int
    missing: int = 0
    walks_again: int = 0
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class SyncSample:
    """A sync whose job has ended, while what has left is being found or removed still: see JobSample."""

    idle_seconds: float
    asked_again: int


_OF_REMOVALS: tuple[Stage, ...] = ("hash", "prepare", "store", "track")


def is_to_be_asked_again(sync: SyncSample, before: Sample | None, now: Sample, *, after_seconds: float) -> bool:
    """Tell whether what a sync waits for was lost: it is idle, and nothing was on its way, then and now.

    A look at many files goes on by a message after the other, and tells nothing before the last.
    """
    if before is None or sync.idle_seconds < after_seconds * 2**sync.asked_again:
        return False
    return not any(sample[stage].lag for sample in (before, now) for stage in _OF_REMOVALS)


def stuck_stages(before: Sample, now: Sample, *, waiting: Iterable[Stage]) -> dict[Stage, Stuck]:
    """Return the stages that had messages to read at both times and finished none of some partition in between.

    `waiting` are those that wait for a service: their messages rest for a reason that the status shows. A scan
    finishes its message with its walk, so it is judged by whether it has a worker only.
    """
    waits = set(waiting)
    found: dict[Stage, Stuck] = {}
    for stage in STAGES:
        if not before[stage].lag or not now[stage].lag:
            continue
        if not before[stage].has_workers and not now[stage].has_workers:
            found[stage] = Stuck(f"stage {stage} has no worker", _messages(now[stage].lag))
        elif stage != "scan" and stage not in waits and (rests := _at_rest(before[stage], now[stage])):
            found[stage] = Stuck(f"{stage} does not move on partition {rests.partition}", _messages(rests.lag))
    return found


def stall(
    job: JobSample, now: Sample, stuck: Mapping[Stage, Stuck], *, after_seconds: float, held: str | None = None
) -> str | None:
    """Return why a job stands still; None where it does not, or is meant to.

    `held` says which open transaction hides messages, maybe those of this job: they are no lag.
    """
    if job.is_held:
        return None
    if job.idle_seconds < after_seconds:
        return job.stalled
    if held is not None:
        return held
    stages = _stages_of(job)
    for stage in stages:
        if stage in stuck:
            # The number alone is no news.
            told = job.stalled is not None and job.stalled.startswith(f"{stuck[stage].what}: ")
            return job.stalled if told else str(stuck[stage])
    if _files_are_on_their_way(job, now):
        return None
    if job.unfinished:
        again = f" after {RESTARTS} restarts" if job.restarts >= RESTARTS else ""
        return (
            f"{plural(job.unfinished, 'file has', 'files have')} no outcome{again}, and no message about them is left"
        )
    if job.missing:
        return missing_in_words(job.missing)
    if "scan" in stages and now["scan"].lag:
        return f"the scan has found no further file for {after_seconds:g} s" if job.walk_begun else None
    return NO_END_MARKER


def is_to_be_restarted(job: JobSample, now: Sample, *, after_seconds: float) -> bool:
    """Tell whether the unfinished files of a job are to begin again: it is idle, and nothing is on its way.

    A scan may be under way: it holds while too many of the job's files are unfinished, and would do so for ever.
    In a cancelled job they end as they begin: that is tried as often as it takes.
    """
    if job.is_held or not job.unfinished or (job.restarts >= RESTARTS and not job.cancelled):
        return False
    is_idle = job.idle_seconds >= after_seconds * (1 if job.cancelled else 2**job.restarts)
    return is_idle and not _files_are_on_their_way(job, now)


def is_to_be_walked_again(job: JobSample, now: Sample, *, after_seconds: float) -> bool:
    """Tell whether the folders of a job are to be walked once more.

    It is idle, nothing is on its way, and its walk has ended (scan is done with its request), but files of it, or its
    end markers, never came. Files that did come are begun again first. If that does not help, a person decides.
    """
    if job.is_held or job.cancelled or job.walks_again or not _is_lost_in_part(job, now):
        return False
    if job.unfinished and job.restarts < RESTARTS:
        return False
    return job.idle_seconds >= after_seconds and not _files_are_on_their_way(job, now)


def is_to_be_closed(job: JobSample, now: Sample, *, after_seconds: float) -> bool:
    """Tell whether a job that was cancelled waits for end markers or files of an ended walk, which never came."""
    if not job.cancelled or not _is_lost_in_part(job, now):
        return False
    return job.idle_seconds >= after_seconds and not _files_are_on_their_way(job, now)


def _is_lost_in_part(job: JobSample, now: Sample) -> bool:
    return bool(job.missing) if job.sealed else job.walk_begun and not now["scan"].lag


def _stages_of(job: JobSample) -> list[Stage]:
    """Return the stages that the job depends on: when its files are done, only those that bring its end."""
    scan: list[Stage] = ["scan"] if not job.sealed and (job.walk_begun or not job.seen) else []
    if job.unfinished:
        return [*scan, "hash", "prepare", "embed", "store", "track"]
    return [*scan, "hash", "prepare", "track"]


def _at_rest(before: StageSample, now: StageSample) -> Position | None:
    """Return the first partition that had messages at both times, of which none was finished."""
    earlier = {(position.topic, position.partition): position for position in before.positions}
    at_rest = [
        position
        for position in now.positions
        if (then := earlier.get((position.topic, position.partition)))
        and then.lag
        and then.committed == position.committed
    ]
    return min(at_rest, key=lambda position: position.partition, default=None)


def _files_are_on_their_way(job: JobSample, now: Sample) -> bool:
    return any(now[stage].lag for stage in _stages_of(job) if stage != "scan")


def missing_in_words(files: int) -> str:
    """Say that files are missing, as the sentinels of their walk count them."""
    return f"{plural(files, 'file was', 'files were')} published and not seen"


def _messages(count: int) -> str:
    return plural(count, "message waits", "messages wait")
