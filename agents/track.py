"""track: folds job-event into the jobs table, and publishes each job's status. Writes nothing else's table.

The rows of files are written event by event; a job's own row and its status are written for
many events at once, at a checkpoint, and the events are acked after both are delivered. The end of a
job does not wait for it, nor do many files. Counters live in memory: they are counted again from the
rows when a job is first met.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable
from pathlib import Path

import faust

import failpoints
from agents.delivery import Window, start, writing_rows
from agents.stage import Parts, StageApp
from tables.job import Job, apply
from tables.job_document import document
from tables.jobs import Jobs
from tables.rows import is_current
from topics.job_event import JOB_EVENT, decode_keyed
from topics.job_status import FINISHED, JOB_STATUS, JobStatus
from topics.record import Headers

# Whichever comes first. A scan publishes more files when it has read that earlier ones are done.
CHECKPOINT_SECONDS = 0.25
CHECKPOINT_FILES = 100
# Events between two checkpoints, at most: bounds what a kill repeats.
MAX_OPEN_EVENTS = 1000
REMEMBERED_JOBS = 1000
ROWS_AT_ONCE = 1000


def build(parts: Parts, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("track", parts, datadir)
    tracker = _Tracker(stage, Jobs(stage.rows()))
    stage.consume(JOB_EVENT.name, tracker.take, window=MAX_OPEN_EVENTS)

    @stage.app.on_partitions_revoked.connect
    async def forget_jobs(*_: object, **__: object) -> None:
        tracker.forget()

    return stage


class _Tracker:
    def __init__(self, stage: StageApp, jobs: Jobs) -> None:
        self._stage = stage
        self._jobs = jobs
        self._known: OrderedDict[str, Job] = OrderedDict()
        # Job id → the job and its newest event since the last checkpoint.
        self._changed: dict[str, tuple[Job, faust.Event]] = {}
        self._checkpoint: asyncio.Task[None] | None = None
        self._files_changed = 0
        self._at_once = asyncio.Event()

    def forget(self) -> None:
        """Drop what is in memory: after a rebalance another worker may have gone on with these jobs.

        What waits for its checkpoint stays until then, as its events are acked after that.
        """
        self._known = OrderedDict((job_id, job) for job_id, (job, _) in self._changed.items())

    async def take(self, event: faust.Event, window: Window) -> None:
        """Fold one event; it is acked after the next checkpoint."""
        job_event = decode_keyed(event.message.key, event.value)
        job = await self._job(job_event.job_id)
        changed = apply(job, job_event, event.message.offset, lambda file_id: self._jobs.file(job.job_id, file_id))
        rows = [self._jobs.put_file(job.job_id, file) for file in changed]
        self._changed[job.job_id] = (job, event)
        if self._checkpoint is None:
            self._at_once.clear()
            self._checkpoint = start(self._check())
        self._files_changed += len(changed)
        if job.state in FINISHED or self._files_changed >= CHECKPOINT_FILES:
            self._at_once.set()
        await window.add(event, _delivered([*rows, self._checkpoint]))

    async def _job(self, job_id: str) -> Job:
        job = self._known.get(job_id)
        if job is not None:
            self._known.move_to_end(job_id)
            return job
        job = self._jobs.job(job_id) or Job(job_id=job_id)
        job.reset_counts()
        for number, file in enumerate(self._jobs.files(job_id)):
            job.count(file)
            if number % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._known[job_id] = job
        if len(self._known) > REMEMBERED_JOBS:
            oldest = next(iter(self._known))
            if oldest not in self._changed and oldest != job_id:
                del self._known[oldest]
        return job

    async def _check(self) -> None:
        """Write the rows of the jobs that changed, and publish their status."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), CHECKPOINT_SECONDS)
        changed, self._changed, self._checkpoint = self._changed, {}, None
        self._files_changed = 0
        deliveries: list[Awaitable[object]] = []
        documents: list[JobStatus] = []
        # All rows before anything is awaited: who reads one meanwhile must find what it says.
        for job, event in changed.values():
            if is_current(self._stage.app, event):
                with writing_rows(event):
                    deliveries.append(self._jobs.put_job(job))
                documents.append(document(job))
        failpoints.reach("track-checkpoint")
        deliveries.extend(
            [await self._stage.send(JOB_STATUS, each.job_id, each, Headers(job_id=each.job_id)) for each in documents]
        )
        await asyncio.gather(*deliveries)


async def _delivered(deliveries: list[Awaitable[object]]) -> None:
    await asyncio.gather(*deliveries)
