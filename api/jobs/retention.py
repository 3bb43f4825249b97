"""Has the files of old jobs forgotten: those that ended longer ago than JOB_RETENTION_DAYS.

The fold of a job's events knows no clock, so a clock here decides, and says so in an event of the job. Several of
these say the same, which changes nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from api.jobs.publisher import Publisher
from api.view.view import JobView

PAUSE_SECONDS = 60.0
JOBS_AT_ONCE = 20
DAY_SECONDS = 86_400

log = structlog.get_logger()


async def forget_old_jobs(view: JobView, publisher: Publisher, before: float) -> list[str]:
    """Have a few of the jobs that ended before this time (seconds since 1970) forgotten; return them.

    Raises KafkaUnavailableError.
    """
    if await view.problem() is not None:
        return []  # what it does not know yet may say that they are forgotten
    jobs = await view.ended(before=before, limit=JOBS_AT_ONCE)
    for job_id in jobs:
        await publisher.forget(job_id)
    return jobs


@asynccontextmanager
async def open_retention(view: JobView, publisher: Publisher, days: float) -> AsyncIterator[None]:
    """Do so every minute until the block ends."""

    async def run() -> None:
        while True:
            try:
                await forget_old_jobs(view, publisher, time.time() - days * DAY_SECONDS)
            except Exception as error:  # whatever it is: the next time may do
                log.warning("jobs-not-forgotten", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(PAUSE_SECONDS)

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
