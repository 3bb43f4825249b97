"""The read view as the routes see it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from api.view import leaving, reading, writing
from api.view.changes import Changes
from api.view.database import Database
from api.view.dead_letter_view import DeadLetterView
from api.view.feed import Feed
from api.view.leaving import LeavingRow
from api.view.reading import FileRow, UnfinishedFile
from api.view.requests import JobRequest
from gateways.kafka.connection import ClientOptions
from rules.outcomes import Outcome
from rules.tally import Way
from tables.job import Job
from topics.job_event import JOB_EVENT
from topics.job_status import FINISHED, JobStatus

# A busy job changes many times a second, more than anyone can look at.
EVENT_SECONDS = 0.2
JOBS_AT_ONCE = 200
# A look at all that an earlier one has seen takes its question over: many are of different folders.
QUESTIONS_OF_SOURCE = 20


class JobView:
    """What is known of all jobs."""

    def __init__(self, reader: Database, searcher: Database, feed: Feed, changes: Changes) -> None:
        self._reader = reader
        # For what may read many rows, so that nobody waits for it who asks for one.
        self._searcher = searcher
        self._feed = feed
        self._changes = changes
        self.letters = DeadLetterView(searcher, feed)

    async def status(self, job_id: str) -> JobStatus | None:
        """Return the newest status document of a job; None where nothing is known of it."""
        return await self._reader.read(lambda connection: reading.status(connection, job_id))

    async def folded(self, job_id: str) -> Job | None:
        """Return a job as folded from the events that have come here; None where none has."""
        return await self._reader.read(lambda connection: reading.folded(connection, job_id))

    async def recent(
        self,
        matches: Callable[[JobStatus], bool],
        *,
        limit: int,
        cursor: str | None,
        source: str = "",
        is_open: bool = False,
    ) -> tuple[list[JobStatus], str | None]:
        """Return the jobs that match, the latest begun first, and the cursor of the next page (None: none follows).

        `source` and `is_open` as in reading.recent. Raises RequestError(422) for a wrong cursor.
        """
        return await self._searcher.read(
            lambda connection: reading.recent(
                connection, matches, limit=limit, cursor=cursor, source=source, is_open=is_open
            )
        )

    async def newest_of_sources(self, names: Iterable[str]) -> dict[str, JobStatus]:
        """Return the newest job of each of these sources that has one, as far as they are known still."""
        return await self._reader.read(lambda connection: reading.newest_of_sources(connection, names))

    async def held_of_sources(self, names: Iterable[str]) -> dict[str, list[JobStatus]]:
        """Return the looks at each of these sources whose removals wait for a yes or no, the latest first."""
        return await self._reader.read(
            lambda connection: reading.held_of_sources(connection, names, limit=QUESTIONS_OF_SOURCE)
        )

    async def files(
        self, job_id: str, *, outcome: Outcome | None, limit: int, cursor: str | None
    ) -> tuple[list[FileRow], str | None]:
        """Return a page of a job's files and the cursor of the next. Raises RequestError(422) for a wrong cursor."""
        return await self._reader.read(
            lambda connection: reading.files(connection, job_id, outcome=outcome, limit=limit, cursor=cursor)
        )

    async def leaving(
        self, job_id: str, *, way: Way | None, limit: int, cursor: str | None
    ) -> tuple[list[LeavingRow], str | None]:
        """Return a page of what leaves by a sync, and the next cursor. Raises RequestError(422) for a wrong cursor."""
        return await self._reader.read(
            lambda connection: leaving.read(connection, job_id, way=way, limit=limit, cursor=cursor)
        )

    async def unfinished(self) -> AsyncIterator[Job]:
        """Give all jobs that are not finished, as folded from the events that have come here."""
        after = ""
        while page := await self._searcher.read(partial(reading.unfinished, after=after, limit=JOBS_AT_ONCE)):
            for job in page:
                yield job
            after = page[-1].job_id

    async def settling(self) -> list[Job]:
        """Return syncs that are finished while what has left their source is being found or removed; not very many."""
        return await self._searcher.read(partial(reading.settling, limit=JOBS_AT_ONCE))

    async def ended(self, *, before: float, limit: int) -> list[str]:
        """Return jobs that ended before this time (seconds since 1970) and are not forgotten, the oldest first."""
        return await self._searcher.read(partial(reading.ended, before=before, limit=limit))

    async def request(self, job_id: str) -> JobRequest:
        """Return what was asked of a job, as far as the view knows it."""
        return await self._reader.read(lambda connection: reading.request(connection, job_id))

    async def unfinished_files(self, job_id: str, *, after: int, limit: int) -> list[UnfinishedFile]:
        """Return files of a job without an outcome, the ones that follow number `after`."""
        return await self._searcher.read(
            lambda connection: reading.unfinished_files(connection, job_id, after=after, limit=limit)
        )

    async def problem(self) -> str | None:
        """Say why the view may be behind Kafka; None when it is not."""
        return await self._feed.problem()

    async def catch_up(self) -> None:
        """Wait until the view has what Kafka has now of jobs and dead letters. Raises KafkaUnavailableError."""
        await self._feed.catch_up(JOB_EVENT.name, "jobs")
        await self.letters.catch_up()

    async def wait_for(self, job_id: str, offset: int, seconds: float) -> JobStatus:
        """Wait until the job-event at `offset` is in the job. Raises TimeoutError after `seconds`."""
        with self._changes.watch(job_id) as changed:
            async with asyncio.timeout(seconds):
                while True:
                    changed.clear()
                    status = await self.status(job_id)
                    if status is not None and status.offset >= offset:
                        return status
                    await changed.wait()

    async def follow(self, job_id: str) -> AsyncIterator[JobStatus]:
        """Give the status now and after each change, until the job is finished or deleted."""
        with self._changes.watch(job_id) as changed:
            last, due = None, 0.0
            while True:
                changed.clear()
                status = await self.status(job_id)
                if status is None:
                    return
                ended = status.status in FINISHED
                if status != last and (ended or time.monotonic() >= due):
                    yield status
                    last, due = status, time.monotonic() + EVENT_SECONDS
                if ended:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), None if status == last else due - time.monotonic())


@asynccontextmanager
async def open_view(path: Path, kafka: ClientOptions, partitions: int, retention_hours: int) -> AsyncIterator[JobView]:
    """Open the view at `path` and keep it up to date until the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    changes = Changes()
    writer = Database(path)
    feed = Feed(kafka, partitions, writer, changes, retention_hours)
    await writer.write(writing.ensure_schema)
    await writer.read(writing.ensure_it_shrinks)
    reader, searcher = Database(path), Database(path)
    reading_kafka = asyncio.create_task(feed.run())
    try:
        yield JobView(reader, searcher, feed, changes)
    finally:
        reading_kafka.cancel()
        with suppress(asyncio.CancelledError):
            await reading_kafka
        await writer.close()
        await reader.close()
        await searcher.close()
