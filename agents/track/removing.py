"""What track asks of the other stages for a sync: to count what would leave, and to have it removed."""

from collections.abc import Awaitable

from agents.stage import StageApp
from tables.job import Job
from tables.removals import Asked, Remove
from topics.db_write import DB_WRITE
from topics.departure import Tally
from topics.job_status import COMPLETED
from topics.raw_path import RAW_PATH
from topics.record import Headers


async def asks(stage: StageApp, job: Job, asked: Asked, *, is_anew: bool = False) -> list[Awaitable[object]]:
    """Send it to all partitions that have not answered; return the deliveries. To ask twice is to ask once.

    `is_anew`: it was asked before, and something of it was lost.
    """
    removals = job.removals
    assert removals is not None  # noqa: S101 - it asks
    partitions = [
        number for number in range(stage.services.settings.kafka_partitions) if not removals.is_answered(asked, number)
    ]
    if asked == "tally":
        asked_of = removals.sweep
        tally = Tally(job_id=job.job_id, collection=asked_of.collection, asked_before=asked_of.asked_before)
        headers = Headers(job_id=job.job_id)
        return [await stage.send(DB_WRITE, job.job_id, tally, headers, number) for number in partitions]
    sweep = removals.sweep.model_copy(update={"anew": is_anew})
    if isinstance(asked, Remove):
        sweep = sweep.model_copy(update={"phase": "remove", "gone": asked.gone, "round": asked.round})
    key, marks = job.job_id.encode(), sweep.headers()
    return [await stage.send_raw(RAW_PATH.name, key, None, marks, number) for number in partitions]


async def asks_again(stage: StageApp, job: Job) -> list[Awaitable[object]]:
    """Send what a sync whose job has completed waits for once more; return the deliveries."""
    if job.removals is None or job.state not in COMPLETED:
        return []
    return await asks(stage, job, job.removals.asked_anew(), is_anew=True)
