"""What the stages know of jobs: the newest document of each unfinished job, read from `job-status`.

A reader without a group: every worker process reads all partitions.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

import structlog

from core.errors import InvalidMessageError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from rules.sources import holds_up, overtakes
from topics.job_status import FINISHED, JOB_STATUS, REMOVALS_SETTLED, JobStatus, RemovalStatus

# Files of a finished job may still come in, from a replay or a slow publisher: its end is remembered a while.
REMEMBERED_CANCELLATIONS = 10_000
LATELY_SECONDS = 7 * 86_400
REMEMBERED_SYNCS = 1000
ASKED_BEFORE = 100

BY_KAFKA = 1
"""The type of a time that is the broker's."""

T = TypeVar("T")

log = structlog.get_logger()


class _Look(NamedTuple):
    """A look at a source: when it began, and the first of the places that it has seen.

    By Kafka's clock: by those of workers, a look of one whose clock was wrong would be the newest for years.
    """

    begun: float
    places: tuple[str, ...]

    @classmethod
    def of(cls, status: JobStatus) -> Self:
        """Return what the status of a look says of it."""
        return cls(_seconds(status.begun_time or status.start_time), tuple(status.sources))

    def settled(self, others: "dict[str, _Look]") -> list[str]:
        """Return the jobs of those of the others that this one settles."""
        return [job_id for job_id, other in others.items() if self.settles(other)]

    def settles(self, other: "_Look") -> bool:
        """Tell whether what the other was asked about is removed with all that this one has removed."""
        return other.begun < self.begun and overtakes(self.places, other.places)


class JobsWatch:
    """Follows `job-status`. `start` returns when what was there at the start has been read."""

    def __init__(self, kafka: ClientOptions, on_fatal: Callable[[BaseException], None]) -> None:
        self._kafka = kafka
        self._on_fatal = on_fatal
        self._jobs: dict[str, JobStatus] = {}
        self._cancelled: OrderedDict[str, None] = OrderedDict()
        # Source → its syncs that have removed something: when, and how many pictures went.
        self._lost: dict[str, dict[str, tuple[float, int]]] = {}
        # Source → its syncs of which it is not known, or not settled, what is removed.
        self._unsettled: dict[str, dict[str, JobStatus]] = {}
        # Source → its syncs that brought files, and by which nothing that is gone was removed, of which none that sees
        # as much has removed all since.
        self._not_removed: dict[str, dict[str, _Look]] = {}
        # Source → its other syncs that brought files.
        self._brought: dict[str, dict[str, _Look]] = {}
        # Source → its syncs by which all was removed.
        self._removed: dict[str, dict[str, _Look]] = {}
        # Source → its syncs that were not able to see what has left, and none since that has seen as much.
        self._in_vain: dict[str, dict[str, _Look]] = {}
        # Unfinished looks at sources: when each was last heard of, by this process.
        self._heard: dict[str, float] = {}
        # Looks at sources that have ended; of many, the newest.
        self._ended: OrderedDict[str, None] = OrderedDict()
        # Looks at sources, with the offset of the newest event that is known of each; of many, the newest.
        self._offsets: dict[str, int] = {}
        self._changed = asyncio.Event()
        # The time of the newest message, by Kafka's clock, in seconds since 1970.
        self.newest = 0.0
        self._reading = contextlib.AsyncExitStack()
        self._task: asyncio.Task[None] | None = None

    async def start(self, partitions: int) -> None:
        """Begin to follow."""
        reader = Reader(self._kafka, all_partitions(JOB_STATUS.name, partitions))
        await self._reading.enter_async_context(reader)
        begins, ends = await reader.begins(), await reader.ends()
        reader.go_to(begins)
        async for records in reader.up_to(ends):
            self._take_all(records)
        self._task = asyncio.create_task(self._follow(reader))

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._reading.aclose()

    def status(self, job_id: str) -> JobStatus | None:
        """Return the newest document of a job that is not finished, or None."""
        return self._jobs.get(job_id)

    def of_collection(self, collection: str) -> list[JobStatus]:
        """Return the newest documents of the unfinished jobs of a collection."""
        return [status for status in self._jobs.values() if status.collection == collection]

    def lost_lately(self, source: str, asked_at: float) -> int:
        """Return how many pictures a source has lost by syncs within seven days. `asked_at`: Kafka's time of a message.

        No clock of a worker is asked: one that is wrong would leave some out, or keep them in.
        """
        now = max(asked_at, self.newest)
        return sum(lost for since, lost in self._lost.get(source, {}).values() if since >= now - LATELY_SECONDS)

    def unsettled(self, source: str) -> list[JobStatus]:
        """Return the newest documents of a source's syncs whose removals are under way, or wait for a person."""
        return [*self._unsettled.get(source, {}).values()]

    def asked_before(self, source: str) -> list[str]:
        """Return the source's syncs, since one that has removed all, that were guarded, or nobody has said yes to.

        One that looked at a part has removed all of that part alone. With them come all that brought files since the
        first of these began: what is asked about may have moved on.
        """
        not_removed = self._not_removed.get(source, {})
        if not not_removed:
            return []
        first = min(look.begun for look in not_removed.values())
        since = [job_id for job_id, look in self._brought.get(source, {}).items() if look.begun >= first]
        return [*not_removed, *since][:ASKED_BEFORE]

    def has_looked_in_vain(self, source: str) -> bool:
        """Tell whether a sync of the source could not see what has left, and the next one is to look for it.

        Where another disk is mounted, one that accepts it has the source looked at anew.
        """
        return bool(self._in_vain.get(source))

    def is_looked_at(self, source: str) -> bool:
        """Tell whether a look at a source is under way, and the next one waits for its end."""
        now = time.monotonic()
        return any(
            holds_up(now - self._heard[status.job_id], stalled=status.stalled, paused=status.paused)
            for status in self._jobs.values()
            if status.source == source
        )

    def has_ended(self, job_id: str) -> bool:
        """Tell whether a look at a source has ended, as far as that was told lately."""
        return job_id in self._ended

    def undecided(self, source: str) -> set[str]:
        """Return the looks at a source of which it is not known what they come to, or a person may decide that."""
        under_way = {status.job_id for status in self._jobs.values() if status.source == source}
        return under_way | self._unsettled.get(source, {}).keys()

    def knows(self, job_id: str, offset: int = 0) -> bool:
        """Tell whether a look at a source is known as it is behind an event of it."""
        return self._offsets.get(job_id, -1) >= offset

    def is_cancelled(self, job_id: str) -> bool:
        """Tell whether the files of a job that have not been taken up are to be skipped."""
        return job_id in self._cancelled

    def cancelling(self) -> set[str]:
        """Return the jobs that are cancelled and have files without an outcome."""
        return {job_id for job_id, status in self._jobs.items() if status.cancelling}

    async def changed(self, seconds: float) -> None:
        """Wait for the next document, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def _follow(self, reader: Reader) -> None:
        try:
            while True:
                self._take_all(await reader.take())
                self._changed.set()
                self._changed = asyncio.Event()
        except Exception as error:
            self._on_fatal(error)

    def _take_all(self, records: Iterable[KafkaRecord]) -> None:
        for record in records:
            if record.timestamp_type == BY_KAFKA:
                self.newest = max(self.newest, record.timestamp / 1000)
            if record.value is None:
                self._forget((record.key or b"").decode("utf-8", "replace"))
                continue
            try:
                self._take(JOB_STATUS.decode(record.value))
            except InvalidMessageError as error:
                log.warning("job-status-ignored", reason=str(error))

    def _take(self, status: JobStatus) -> None:
        if status.source is not None and status.status in FINISHED:
            self._note_in_vain(status.source, status)
        if status.source is not None and status.removals is not None:
            self._note_lost(status.source, status, status.removals)
            self._note_unsettled(status.source, status, status.removals)
            self._note_not_removed(status.source, status, status.removals)
        if status.source is not None:
            _remember(self._offsets, status.job_id, status.offset, REMEMBERED_SYNCS)
        self._heard.pop(status.job_id, None)
        if status.status in FINISHED:
            self._jobs.pop(status.job_id, None)
            if status.source is not None:
                self._ended[status.job_id] = None
                if len(self._ended) > REMEMBERED_SYNCS:
                    self._ended.popitem(last=False)
        else:
            self._jobs[status.job_id] = status
            if status.source is not None:
                self._heard[status.job_id] = time.monotonic()
        if status.cancelling or status.status == "cancelled":
            self._cancelled[status.job_id] = None
            if len(self._cancelled) > REMEMBERED_CANCELLATIONS:
                self._cancelled.popitem(last=False)

    def _note_lost(self, source: str, status: JobStatus, removals: RemovalStatus) -> None:
        lost = self._lost.setdefault(source, {})
        lost.pop(status.job_id, None)
        if removals.state in {"removing", "removed"}:
            at = _seconds(removals.since or status.end_time)
            _remember(lost, status.job_id, (at, removals.lost), REMEMBERED_SYNCS)

    def _note_unsettled(self, source: str, status: JobStatus, removals: RemovalStatus) -> None:
        unsettled = self._unsettled.setdefault(source, {})
        unsettled.pop(status.job_id, None)
        if not status.forgotten and (removals.state == "held" or removals.state not in REMOVALS_SETTLED):
            _remember(unsettled, status.job_id, status, REMEMBERED_SYNCS)

    def _note_in_vain(self, source: str, status: JobStatus) -> None:
        in_vain, look = self._in_vain.setdefault(source, {}), _Look.of(status)
        in_vain.pop(status.job_id, None)
        removals = status.removals
        if removals is None or removals.state == "guarded":
            if removals is None or removals.code != "other-mount":
                _remember(in_vain, status.job_id, look)
        elif removals.state in REMOVALS_SETTLED:
            for job_id in look.settled(in_vain):
                del in_vain[job_id]

    def _note_not_removed(self, source: str, status: JobStatus, removals: RemovalStatus) -> None:
        not_removed, removed = self._not_removed.setdefault(source, {}), self._removed.setdefault(source, {})
        brought = self._brought.setdefault(source, {})
        not_removed.pop(status.job_id, None)
        brought.pop(status.job_id, None)
        look, outcomes = _Look.of(status), status.outcomes
        has_brought = outcomes.stored or outcomes.cached or outcomes.duplicate
        if removals.state == "removed":
            for job_id in look.settled(not_removed):
                _remember(brought, job_id, not_removed.pop(job_id))
            _remember(removed, status.job_id, look)
        if has_brought and removals.state in {"none", "removed"}:
            _remember(brought, status.job_id, look)
        elif has_brought and removals.state in {"held", "kept", "overtaken", "guarded"}:
            is_settled = any(other.settles(look) for other in removed.values())
            _remember(brought if is_settled else not_removed, status.job_id, look)

    def _forget(self, job_id: str) -> None:
        """Know no more of a job whose status was deleted: nobody waits for it, or skips its files."""
        self._jobs.pop(job_id, None)
        self._heard.pop(job_id, None)
        self._cancelled.pop(job_id, None)
        for unsettled in self._unsettled.values():
            unsettled.pop(job_id, None)


def _seconds(told: str | None) -> float:
    """Return a time of a document as seconds since 1970; 0 for none."""
    return 0.0 if told is None else datetime.fromisoformat(told).timestamp()


def _remember(known: dict[str, T], job_id: str, told: T, most: int = ASKED_BEFORE) -> None:
    """Note what was told of a job as the newest, and forget the oldest of too many."""
    known.pop(job_id, None)
    known[job_id] = told
    if len(known) > most:
        del known[next(iter(known))]
