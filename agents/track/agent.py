"""track: folds job-event into the jobs table, and publishes each job's status. Writes nothing else's table.

The rows of its files, a job's own row, with its counters, and its status are written for many events at once, at a
checkpoint, and the events are acked after all are delivered. What a person or a scan waits for does not wait for it.
Rows of files that are ahead of the counters, or behind, say so (tables.job_file).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.stage import Services, StageApp, now
from agents.track.removing import asks, asks_again
from core import failpoints
from streams.messages import Event
from streams.rows import is_current
from streams.tasks import delivered, start
from streams.window import Window, writing_rows
from tables.job import Job
from tables.job_document import document
from tables.job_file import JobFile
from tables.job_fold import apply, place
from tables.jobs import Jobs
from tables.removals import Asked
from topics.job_event import JOB_EVENT, AskedAgain, Forget, StatusAsked
from topics.job_event_codec import JobEvent, decode_keyed, files_of
from topics.job_status import COMPLETED, FINISHED, JOB_STATUS, JobStatus
from topics.record import Headers

# A checkpoint comes after this time, or sooner: see Tracker._is_news.
CHECKPOINT_SECONDS = 1.0
CHECKPOINT_FILES = 100
# Events between two checkpoints, at most: bounds what a kill repeats.
MAX_OPEN_EVENTS = 1000
REMEMBERED_JOBS = 1000
# Rows of files that are counted, or deleted, before others have their turn.
ROWS_AT_ONCE = 1000
FORGOTTEN_AT_ONCE = 200


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("track", services, datadir)
    tracker = Tracker(stage, Jobs(stage.rows()))
    stage.consume(JOB_EVENT.name, tracker.take, window=MAX_OPEN_EVENTS)
    return stage


@dataclass(slots=True)
class _Known:
    """A job in memory, as of events of one generation: after a rebalance another worker may have gone on with it."""

    job: Job
    generation: int | None
    files: dict[str, JobFile] = field(default_factory=dict)  # that have changed since the last checkpoint
    told: object = None  # what its newest status said of what nobody waits a second for


class Tracker:
    """Takes events; writes rows and publishes documents."""

    def __init__(self, stage: StageApp, jobs: Jobs) -> None:
        self._stage = stage
        self._jobs = jobs
        self._known: OrderedDict[str, _Known] = OrderedDict()
        # Job id → the job and its newest event since the last checkpoint.
        self._changed: dict[str, tuple[_Known, Event]] = {}
        self._checkpoint: asyncio.Task[None] | None = None
        self._files_changed = 0
        self._events = 0
        self._at_once = asyncio.Event()
        # A scan goes on when it has read that earlier files are done.
        self._files_at_once = min(CHECKPOINT_FILES, max(1, stage.services.settings.scan_outstanding_files // 5))

    async def take(self, event: Event, window: Window) -> None:
        """Fold one event; it is acked after the next checkpoint."""
        job_event = decode_keyed(event.message.key, event.value)
        known = await self._job(job_event.job_id, event)
        job = known.job
        if job.forgotten:
            await window.add(event, self._take_late(job_event))
            return
        offset = place(job, event.message.offset, event.message.timestamp)
        asked = None if offset <= job.offset else _asked(job)
        changed = apply(job, job_event, offset, self._files(known, job_event))
        known.files.update((file.report.file_id, file) for file in changed.files)
        # Nothing else is to come to these before the checkpoint: their rows are ahead of the counters until then.
        new = changed.new
        deliveries: list[Awaitable[object]] = [] if new is None else self._jobs.put_new(job.job_id, new)
        # An event that comes again may not have got so far as to ask.
        if isinstance(job_event, AskedAgain):
            deliveries.extend(await asks_again(self._stage, job))
        elif (now_asked := _asked(job)) is not None and now_asked != asked:
            deliveries.extend(await asks(self._stage, job, now_asked))
        self._changed[job.job_id] = (known, event)
        if self._checkpoint is None:
            self._at_once.clear()
            self._checkpoint = start(self._check())
        self._events += 1
        self._files_changed += len(changed.files) + (0 if new is None else len(new.file_ids))
        if isinstance(job_event, StatusAsked) or self._is_news(known):
            self._at_once.set()
        # The rows of a job that is to be forgotten go when that is written down.
        after = [self._checkpoint, *deliveries]
        await window.add(event, self._forget_behind(job.job_id, "" if job.forgotten else None, after))

    def _files(self, known: _Known, job_event: JobEvent) -> dict[str, JobFile | None]:
        """Return what is known of the files that an event is about."""
        files = {file_id: known.files.get(file_id) for file_id in files_of(job_event)}
        unread = [file_id for file_id, file in files.items() if file is None]
        return files | self._jobs.files_of(known.job.job_id, unread) if unread else files

    def _is_news(self, known: _Known) -> bool:
        """Tell whether somebody waits for what has just changed, or too much is open."""
        if self._files_changed >= self._files_at_once or self._events >= MAX_OPEN_EVENTS // 2:
            return True
        return known.job.state in FINISHED or _told(known.job) != known.told

    async def _job(self, job_id: str, event: Event) -> _Known:
        generation = event.message.generation_id
        known = self._known.get(job_id)
        if known is None or known.generation != generation:
            job = self._jobs.job(job_id) or Job(job_id=job_id, keeps_counts=True)
            if not job.keeps_counts:
                await self._count_anew(job)
            known = self._known[job_id] = _Known(job, generation)
        self._known.move_to_end(job_id)
        return known

    async def _count_anew(self, job: Job) -> None:
        """Count the files of a job whose rows are of version 0.1.0, once."""
        job.begin_count()
        for number, file in enumerate(self._jobs.files(job.job_id)):
            job.count(file.report)
            if number % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        job.keeps_counts = True

    async def _check(self) -> None:
        """Write the rows of the jobs that changed, and publish their status."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._at_once.wait(), CHECKPOINT_SECONDS)
        changed, self._changed, self._checkpoint = self._changed, {}, None
        self._files_changed = self._events = 0
        deliveries: list[Awaitable[object]] = []
        documents: list[JobStatus] = []
        # All rows before anything is awaited: who reads one meanwhile must find what it says.
        for known, event in changed.values():
            if is_current(self._stage.app, event):
                with writing_rows(event):
                    # The counters last: they are never ahead of the rows.
                    deliveries += self._jobs.put_files(known.job.job_id, known.files.values())
                    deliveries.append(self._jobs.put_job(known.job))
                known.files.clear()
                documents.append(document(known.job))
                known.told = _told(known.job)
        # None of them is in use now: each is as its row says.
        while len(self._known) > REMEMBERED_JOBS:
            self._known.popitem(last=False)
        failpoints.reach("track-checkpoint")
        deliveries.extend(
            [await self._stage.send(JOB_STATUS, each.job_id, each, Headers(job_id=each.job_id)) for each in documents]
        )
        await asyncio.gather(*deliveries)

    def _take_late(self, job_event: JobEvent) -> Coroutine[Any, Any, None]:
        """Take an event of a job that was forgotten: it changes nothing, but may go on with forgetting."""
        if not isinstance(job_event, Forget):
            return delivered([])
        job_id = job_event.job_id
        if job_event.after is None or job_id in self._changed:
            return self._forget_behind(job_id, "", [] if self._checkpoint is None else [self._checkpoint])
        deleted, last = self._jobs.delete_files(job_id, after=job_event.after, limit=FORGOTTEN_AT_ONCE)
        return self._forget_behind(job_id, last, deleted)

    async def _forget_behind(self, job_id: str, file_id: str | None, deliveries: list[Awaitable[object]]) -> None:
        """Have the rows behind a file deleted (None: there are none), when what was written is delivered.

        Each few rows have an event of their own, so that other jobs go on, and a kill repeats no more than these.
        """
        await delivered(deliveries)
        if file_id is not None:
            await self._stage.emit(Forget(job_id=job_id, at=now(), after=file_id))


def _asked(job: Job) -> Asked:
    """Return what other stages are to do for a sync now."""
    removals = job.removals
    return None if removals is None else removals.asked(is_over=job.state in COMPLETED)


def _told(job: Job) -> object:
    """Return what people and stages want to know of at once."""
    return (
        job.removals and job.removals.state,
        job.state,
        job.cancelled,
        job.paused,
        job.stalled,
        [*job.waiting.values()],
        job.missing,
        job.forgotten,
    )
