"""Files that were to be sent to ML and never came back: nobody waits for them for ever."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from core.settings import Settings
from tests import pictures
from tests.api.service import serving
from tests.bus import PARTITIONS, skip_backlog
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

FILES = 6


@pytest.fixture
def worker(
    kafka: Part, qdrant: Part, ml: Part, settings: Settings, short: dict[str, Any], tmp_path: Path
) -> Iterator[Worker]:
    """Give a worker that is not started yet."""
    assert settings.kafka_brokers == kafka.address
    skip_backlog(kafka.address)
    worker = Worker(kafka, qdrant, ml, tmp_path / "worker", **short)
    yield worker
    if not worker.has_ended():
        worker.stop()


async def claimed(pipeline: Pipeline, worker: Worker, collection: str, photos: Path) -> str:
    """Have a job claim all files while ML is away; return the job. Its requests lie on `ml-request`."""
    bus = pipeline.bus
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    await asyncio.to_thread(worker.start)
    job_id = await pipeline.scan(photos, collection=collection, model_id="stub-1")

    def requests() -> int:
        return sum(record.value is not None for record in bus.of_job("ml-request", job_id))

    await bus.until(lambda: requests() == FILES, "all files claimed")
    return job_id


@asynccontextmanager
async def losing_requests(pipeline: Pipeline, worker: Worker) -> AsyncIterator[None]:
    """Stop the worker, and start it again behind the block, when all that was to be sent to ML is lost.

    As long as it is there, the watchdog has no file begin again.
    """
    # In order: hash and prepare have done their part, and nothing sends the files again.
    await asyncio.to_thread(worker.stop)
    yield
    admin = AIOKafkaAdminClient(bootstrap_servers=pipeline.bus.brokers)
    await admin.start()
    try:
        ends = await pipeline.bus.ends("ml-request")
        await admin.delete_records({part: RecordsToDelete(before_offset=end) for part, end in ends.items()})
    finally:
        await admin.close()
    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    await asyncio.to_thread(worker.start)


async def test_after_its_job_is_cancelled_another_one_takes_the_files_in(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    pictures.write(photos, range(9300, 9300 + FILES))
    bus = idle_pipeline.bus
    async with serving(settings) as service:
        lost = await claimed(idle_pipeline, worker, collection, photos)
        (await service.http.post(f"ingest/{lost}/cancel")).raise_for_status()
        await bus.until(
            lambda: any(status["cancelling"] for status in bus.values("job-status", job_id=lost)), "that all know it"
        )
        # It waits for the claims of the first one: prepare has taken what is before its end markers.
        waiting = await idle_pipeline.scan(photos, collection=collection)
        await bus.until(
            lambda: {record.partition for record in bus.of_job("ml-request", waiting)} == {*range(PARTITIONS)},
            "its end markers",
        )
        async with losing_requests(idle_pipeline, worker):
            pass
        cancelled = account(await bus.finished(lost))
        assert (cancelled["status"], cancelled["outcomes"]["skipped"]) == ("cancelled", FILES)
        status = account(await bus.finished(waiting))
        assert (status["status"], status["outcomes"]["stored"]) == ("completed", FILES)
        after = await idle_pipeline.run(photos, collection=collection)
        assert after["outcomes"]["unchanged"] == FILES
    assert sum(len(batch) for batch in idle_pipeline.ml_batches()) == FILES


async def test_files_that_wait_for_a_job_that_ended_without_a_word_begin_again_and_take_over(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    """The owners of the claims are gone with their fingerprints and their job: nothing can tell of them."""
    pictures.write(photos, range(9400, 9400 + FILES))
    bus = idle_pipeline.bus
    async with serving(settings):
        lost = await claimed(idle_pipeline, worker, collection, photos)
        statuses = await bus.until(lambda: bus.values("job-status", job_id=lost), "its status")
        copies = photos.with_name("copies")
        async with losing_requests(idle_pipeline, worker):
            status = max(statuses, key=lambda one: one["offset"])
            await bus.publish("job-status", lost, status | {"status": "completed", "offset": status["offset"] + 1000})
            await asyncio.to_thread(photos.rename, copies)
        status = await idle_pipeline.run(copies, collection=collection)
        assert (status["status"], status["outcomes"]["stored"]) == ("completed", FILES)
    assert sum(len(batch) for batch in idle_pipeline.ml_batches()) == FILES
