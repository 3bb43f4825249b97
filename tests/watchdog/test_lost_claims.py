"""Files that were to be sent to ML and never came back: nobody waits for them for ever."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from core.settings import Settings
from tests import pictures
from tests.api.service import Service, serving
from tests.bus import skip_backlog
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


async def claimed_and_lost(pipeline: Pipeline, worker: Worker, collection: str, photos: Path) -> str:
    """Have a job claim all files while ML is away, and lose what was to be sent to ML; return the job."""
    bus = pipeline.bus
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    await asyncio.to_thread(worker.start)
    job_id = await pipeline.scan(photos, collection=collection, model_id="stub-1")

    def requests() -> int:
        return sum(record.value is not None for record in bus.of_job("ml-request", job_id))

    await bus.until(lambda: requests() == FILES, "all files claimed")
    # In order: hash and prepare have done their part, and nothing sends the files again.
    await asyncio.to_thread(worker.stop)
    admin = AIOKafkaAdminClient(bootstrap_servers=bus.brokers)
    await admin.start()
    try:
        ends = await bus.ends("ml-request")
        await admin.delete_records({part: RecordsToDelete(before_offset=end) for part, end in ends.items()})
    finally:
        await admin.close()
    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    await asyncio.to_thread(worker.start)
    return job_id


async def cancel(service: Service, job_id: str) -> None:
    (await service.http.post(f"ingest/{job_id}/cancel")).raise_for_status()


async def test_after_its_job_is_cancelled_another_one_takes_the_files_in(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    pictures.write(photos, range(9300, 9300 + FILES))
    bus = idle_pipeline.bus
    async with serving(settings) as service:
        lost = await claimed_and_lost(idle_pipeline, worker, collection, photos)
        await cancel(service, lost)
        # It comes before, and waits for the claims of the first one.
        waiting = await idle_pipeline.scan(photos, collection=collection)
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
        lost = await claimed_and_lost(idle_pipeline, worker, collection, photos)
        statuses = await bus.until(lambda: bus.values("job-status", job_id=lost), "its status")
        status = max(statuses, key=lambda one: one["offset"])
        await bus.publish("job-status", lost, status | {"status": "completed", "offset": status["offset"] + 1000})
        copies = photos.with_name("copies")
        await asyncio.to_thread(photos.rename, copies)
        status = await idle_pipeline.run(copies, collection=collection)
        assert (status["status"], status["outcomes"]["stored"]) == ("completed", FILES)
    assert sum(len(batch) for batch in idle_pipeline.ml_batches()) == FILES
