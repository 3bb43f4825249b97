"""Looks at the consumer groups and the unfinished jobs every few seconds; says and does what rules.watchdog decides.

What it says goes through `job-event`, so that several of these tell the same and a restart forgets nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import structlog
from aiokafka.client import AIOKafkaClient

from api.jobs import scan_requests
from api.jobs.publisher import Outgoing, Publisher
from api.jobs.restarting import begin_again
from api.system import measure
from api.system.throughput import Throughput
from api.view.view import JobView
from core.settings import STAGES, Settings, Stage
from gateways.kafka import groups, transactions
from gateways.kafka.client import Connection
from gateways.kafka.connection import client_options
from gateways.kafka.reader import all_partitions
from gateways.kafka.transactions import OpenTransaction
from rules import watchdog as rules
from tables.job import Job
from topics.admin import wanted
from topics.job_status import State
from topics.topology import INPUTS, partitions_read

LONGEST_PAUSE_SECONDS = 5.0
SAMPLE_SECONDS = 15.0
LAST_LOOK_SECONDS = 3.0

_Transaction = tuple[str, int, str | None, float | None]

log = structlog.get_logger()


@dataclass(slots=True)
class _Known:
    """A job's newest event, and when it was first seen, by the monotonic clock; what we said is in at `told_offset`."""

    active_offset: int
    since: float
    told_offset: int = -1
    has_no_request: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    """What is looked at of a job: there may be thousands that nobody closed."""

    job_id: str
    state: State
    offset: int
    active_offset: int
    waiting: tuple[Stage, ...]
    stalled: str | None
    looked: rules.JobSample

    @classmethod
    def of(cls, job: Job) -> "_Job":
        """Return a job as it is, without the time that it has rested."""
        looked = rules.JobSample(
            idle_seconds=0,
            seen=job.seen,
            unfinished=job.seen - job.processed,
            walk_begun=job.walk_begun,
            sealed=job.sealed,
            is_held=job.state == "paused",
            stalled=job.stalled,
            restarts=job.restarts,
            missing=job.missing,
            walks_again=job.walks_again,
            cancelled=job.cancelled,
        )
        return cls(job.job_id, job.state, job.offset, job.active_offset, tuple(job.waiting), job.stalled, looked)


@dataclass(frozen=True, slots=True)
class Look:
    """The newest look at the stages, at `at` (seconds since 1970), and those that stand still."""

    at: float
    sample: rules.Sample
    stuck: Mapping[Stage, rules.Stuck]
    held: Sequence[OpenTransaction]


class Watchdog:
    """The task. `problem` is for `/ready`, `throughput` and `look` (None while Kafka cannot be asked) for people."""

    def __init__(self, settings: Settings, view: JobView, publisher: Publisher) -> None:
        self._settings = settings
        self._kafka = Connection(client_options(settings))
        self._view = view
        self._publisher = publisher
        self._groups = {stage: settings.group(stage) for stage in STAGES}
        self._reads = partitions_read(settings, STAGES)
        self._everywhere = [
            part for topic in wanted(settings) for part in all_partitions(topic.name, settings.kafka_partitions)
        ]
        self._samples: deque[tuple[float, rules.Sample]] = deque()
        self._known: dict[str, _Known] = {}
        self._stuck: dict[Stage, rules.Stuck] = {}
        # Transactions that are open for long.
        self._held: list[OpenTransaction] = []
        self._held_since: dict[_Transaction, float] = {}
        self.look: Look | None = None
        self.throughput = Throughput()

    @property
    def problem(self) -> str | None:
        """Say which stages stand still, and which transactions hold them; None when none does."""
        return "; ".join([*map(str, self._stuck.values()), *(one.reason for one in self._held)]) or None

    @property
    def _hidden(self) -> str | None:
        """Say which transaction hides messages of files; None when none does."""
        return next((one.reason for one in self._held if one.topic in INPUTS), None)

    async def run(self, ended: asyncio.Event) -> None:
        """Watch until `ended` is set."""
        async with self._kafka:
            await self._run(ended)

    async def _run(self, ended: asyncio.Event) -> None:
        pause = min(LONGEST_PAUSE_SECONDS, self._settings.stalled_after_seconds / 3)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), pause)
                return
            try:
                async with asyncio.timeout(SAMPLE_SECONDS), self._kafka.asking() as client:
                    sample = await self._sample(client)
                    held = await transactions.holding(client, self._everywhere)
                self._note_held(held, time.monotonic())
                measure.stages(sample, self._groups)
                await self._look(sample)
                self.look = Look(time.time(), sample, self._stuck, held)
                self.throughput.add(self.look.at, sample)
            except Exception as error:  # whatever it is: a watchdog that dies watches nothing
                # Nothing can move without Kafka: what rested meanwhile is nobody's fault.
                self._samples.clear()
                self._stuck, self._held = {}, []
                self.look = None
                measure.blind()
                log.warning("watchdog-blind", reason=f"{type(error).__name__}: {error}")

    async def _sample(self, client: AIOKafkaClient) -> rules.Sample:
        found = await groups.describe(client, self._groups.values())
        positions = await groups.positions(client, self._reads)
        return {
            stage: rules.StageSample(
                has_workers=name in found and bool(found[name].members),
                positions=tuple(
                    rules.Position(part.topic, part.partition, committed, end)
                    for part, (committed, end) in positions[name].items()
                ),
            )
            for stage, name in self._groups.items()
        }

    def _note_held(self, held: Sequence[OpenTransaction], now: float) -> None:
        """Keep what is open for long, from when it was seen first: the broker's clock may not be ours."""
        self._held_since = {_named(one): self._held_since.get(_named(one), now) for one in held}
        limit = now - self._settings.stalled_after_seconds
        self._held = [one for one in held if self._held_since[_named(one)] <= limit]

    async def _look(self, sample: rules.Sample) -> None:
        if await self._view.problem() is not None:
            return
        now = time.monotonic()
        jobs = [_Job.of(job) async for job in self._view.unfinished()]
        measure.jobs((job.state for job in jobs), sum(job.stalled is not None for job in jobs))
        before = self._before(now, sample)
        waiting = [stage for job in jobs for stage in job.waiting]
        self._stuck = rules.stuck_stages(before, sample, waiting=waiting) if before else {}
        settling = [
            (_Job.of(job), removals.asked_again) for job in await self._view.settling() if (removals := job.removals)
        ]
        self._known = {job.job_id: self._note(job, now) for job in [*jobs, *(job for job, _ in settling)]}
        for job in jobs:
            if job.offset >= self._known[job.job_id].told_offset:
                await self._judge(job, sample, now)
        for job, asked_again in settling:
            known = self._known[job.job_id]
            sync = rules.SyncSample(now - known.since, asked_again)
            after = self._settings.restart_after_seconds
            if job.offset >= known.told_offset and rules.is_to_be_asked_again(
                sync, before, sample, after_seconds=after
            ):
                known.told_offset = await self._ask_again(job.job_id, asked_again)

    def _before(self, now: float, sample: rules.Sample) -> rules.Sample | None:
        """Keep the sample; return the newest of those that are old enough to be compared with it."""
        self._samples.append((now, sample))
        limit = now - self._settings.stalled_after_seconds
        while len(self._samples) > 1 and self._samples[1][0] <= limit:
            self._samples.popleft()
        at, oldest = self._samples[0]
        return oldest if at <= limit else None

    def _note(self, job: _Job, now: float) -> _Known:
        known = self._known.get(job.job_id)
        if known is None or known.active_offset != job.active_offset:
            return _Known(job.active_offset, now, known.told_offset if known else -1)
        return known

    async def _judge(self, job: _Job, sample: rules.Sample, now: float) -> None:
        known = self._known[job.job_id]
        # A worker that was killed while it waited could not say that it no longer does.
        waits = any(sample[stage].lag for stage in job.waiting)
        looked = replace(job.looked, idle_seconds=now - known.since, is_held=job.looked.is_held or waits)
        if self._hidden or not await self._mend(job.job_id, looked, sample):
            await self._tell(job, looked, sample)

    async def _mend(self, job_id: str, looked: rules.JobSample, sample: rules.Sample) -> bool:
        """Do what a job that stands still needs; tell whether it needed anything."""
        known = self._known[job_id]
        after = self._settings.restart_after_seconds
        if rules.is_to_be_restarted(looked, sample, after_seconds=after):
            known.told_offset = await begin_again(self._view, self._publisher, job_id, looked)
        elif rules.is_to_be_closed(looked, sample, after_seconds=after):
            # Its end shows in the job, however often it is said.
            await self._publisher.close(job_id)
        elif rules.is_to_be_walked_again(looked, sample, after_seconds=after) and (
            request := await self._request(job_id, known)
        ):
            log.warning("job-walked-again", job_id=job_id, missing=looked.missing)
            known.told_offset = await self._publisher.walk_again(request, job_id)
        else:
            return False
        return True

    async def _ask_again(self, job_id: str, times: int) -> int:
        """Have what a sync waits for asked for again; after some times, have it end."""
        log.warning("sync-asked-again", job_id=job_id, attempt=times + 1)
        if times < rules.RESTARTS:
            return await self._publisher.ask_again(job_id, times + 1)
        return await self._publisher.give_up_removals(job_id, "messages of it were lost. The next look goes on")

    async def _tell(self, job: _Job, looked: rules.JobSample, sample: rules.Sample) -> None:
        after = self._settings.stalled_after_seconds
        reason = rules.stall(looked, sample, self._stuck, held=self._hidden, after_seconds=after)
        if reason != job.stalled:
            log.warning("job-stalled", job_id=job.job_id, reason=reason)
            self._known[job.job_id].told_offset = await self._publisher.stalled(job.job_id, reason)

    async def _request(self, job_id: str, known: _Known) -> Outgoing | None:
        """Return a job's scan request; looked for once, as Kafka may have deleted it, or the job has none."""
        if known.has_no_request:
            return None
        request = await scan_requests.find(client_options(self._settings), self._settings.kafka_partitions, job_id)
        known.has_no_request = request is None
        return request


def _named(one: OpenTransaction) -> _Transaction:
    return one.topic, one.partition, one.producer, one.since


@asynccontextmanager
async def open_watchdog(settings: Settings, view: JobView, publisher: Publisher) -> AsyncIterator[Watchdog]:
    """Watch until the block ends."""
    watchdog = Watchdog(settings, view, publisher)
    ended = asyncio.Event()
    watching = asyncio.create_task(watchdog.run(ended))
    try:
        yield watchdog
    finally:
        # A look that is cut off would leave its connections open.
        ended.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(watching, LAST_LOOK_SECONDS)
