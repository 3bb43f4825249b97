"""What track asks of the other stages for a sync: to count what would leave, and to have it removed."""

from collections.abc import Awaitable

from agents.stage import StageApp
from tables.job import Job
from tables.removals import Remove
from topics.db_write import DB_WRITE
from topics.departure import Tally
from topics.raw_path import RAW_PATH
from topics.record import Headers


async def asks(stage: StageApp, job: Job, asked: "Remove | str") -> list[Awaitable[object]]:
    """Send it to all partitions; return the deliveries. To ask twice is to ask once."""
    assert job.removals is not None  # noqa: S101 - it asks
    sweep = job.removals.sweep
    partitions = range(stage.services.settings.kafka_partitions)
    if isinstance(asked, Remove):
        again = sweep.model_copy(update={"phase": "remove", "gone": asked.gone, "round": asked.round})
        key, marks = job.job_id.encode(), again.headers()
        return [await stage.send_raw(RAW_PATH.name, key, None, marks, number) for number in partitions]
    tally, headers = Tally(job_id=job.job_id, collection=sweep.collection), Headers(job_id=job.job_id)
    return [await stage.send(DB_WRITE, job.job_id, tally, headers, number) for number in partitions]
