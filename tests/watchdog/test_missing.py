"""Files that were published and never seen: their messages were deleted while no worker read them."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from core.settings import Settings
from tests import pictures
from tests.agents.messages import partition_of
from tests.api.service import serving
from tests.bus import PARTITIONS, Bus
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.sentinel import sentinel_headers

PHOTOS = 8


@pytest.fixture
def worker(
    kafka: Part, qdrant: Part, ml: Part, settings: Settings, short: dict[str, Any], tmp_path: Path
) -> Iterator[Worker]:
    """Give a worker that is not started yet. It begins behind the backlog that `settings` skips."""
    assert settings.kafka_brokers == kafka.address
    with_limits = Worker(kafka, qdrant, ml, tmp_path / "worker", **short)
    yield with_limits
    if not with_limits.has_ended():
        with_limits.stop()


async def stalled(bus: Bus, job_id: str) -> dict[str, Any]:
    """Wait until a job stands still because of missing files, be it for the moment before they are walked again.

    On a slow machine something else comes before.
    """

    def look() -> list[dict[str, Any]]:
        told = bus.values("job-status", job_id=job_id)
        return [status for status in told if "not seen" in (status.get("stalled") or "")]

    found: list[dict[str, Any]] = await bus.until(look, "the missing files")
    return found[0]


async def test_folders_are_walked_again_when_files_or_end_markers_were_deleted_unread(
    idle_pipeline: Pipeline,
    kafka: Part,
    qdrant: Part,
    ml: Part,
    collection: str,
    settings: Settings,
    photos: Path,
    worker: Worker,
    short: dict[str, Any],
) -> None:
    """Of one job all is gone, with its end markers; of the other seven of eight files."""
    bus = idle_pipeline.bus
    without_end, with_end = photos / "without end", photos / "with end"
    pictures.write_new(without_end, PHOTOS)
    pictures.write_new(with_end, PHOTOS)
    with Worker(kafka, qdrant, ml, worker.data / "scan", "scan", **short):
        jobs = []
        for folder in (without_end, with_end):
            jobs.append(await idle_pipeline.scan(folder, collection=collection))
            await bus.until(lambda: ended(idle_pipeline, jobs[-1]), "the end of the walk")
    files = [record for record in bus.of_job("raw-path", jobs[1]) if record.value is not None]
    left = max(files, key=lambda record: record.offset)
    before = {marker.partition: marker.offset for marker in ended(idle_pipeline, jobs[1])} | {
        left.partition: left.offset
    }
    await delete(kafka, before)
    lost = len([record for record in files if record.offset < before[record.partition]])

    await asyncio.to_thread(worker.start)
    async with serving(settings):
        status = await stalled(bus, jobs[1])
        assert (status["stalled"], status["missing_files"]) == (f"{lost} files were published and not seen", lost)
        assert status["status"] == "running"
        for job_id in jobs:
            status = account(await bus.finished(job_id))
            assert (status["status"], status["outcomes"]["stored"], status["missing_files"]) == ("completed", PHOTOS, 0)
            assert "Not all files were seen: the folders are walked again." in status["logs"]
            assert len(bus.events(job_id, "walked-again")) == 1
    assert len(await idle_pipeline.points(collection)) == 2 * PHOTOS


async def test_where_a_walk_cannot_be_made_again_a_person_decides(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    """A program says that it has published eight files, and one came: nobody can walk in its place."""
    (path,) = pictures.write_new(photos, 1)
    bus = idle_pipeline.bus
    accepted, cancelled = (f"job-{uuid.uuid4().hex[:12]}" for _ in range(2))
    await asyncio.to_thread(worker.start)
    async with serving(settings) as service:
        for job_id in (accepted, cancelled):
            file = {"job_id": job_id, "collection": collection, "path": str(path), "walk_id": "w"}
            await bus.publish("raw-path", str(path), file)
            for number in range(PARTITIONS):
                files = PHOTOS if number == partition_of(os.fsencode(path)) else 0
                await bus.publish("raw-path", job_id, None, sentinel_headers(job_id, "w", files), number)
        for job_id in (accepted, cancelled):
            status = await stalled(bus, job_id)
            await service.status(job_id, offset=status["offset"])
            assert status["stalled"] == "7 files were published and not seen"

        refused = await service.http.post(f"ingest/{accepted}/close")
        assert refused.status_code == 409
        assert "7 files were published and not seen" in refused.json()["detail"]
        answer = await service.http.post(f"ingest/{accepted}/close", params={"accept_missing": True})
        assert answer.status_code == 202
        status = account(await bus.finished(accepted))
        assert (status["status"], status["missing_files"]) == ("completed_with_errors", 7)
        assert status["message"].endswith("7 files were published and not seen.")

        await service.http.post(f"ingest/{cancelled}/cancel")
        status = account(await bus.finished(cancelled))
        assert (status["status"], status["missing_files"]) == ("cancelled", 7)


def ended(pipeline: Pipeline, job_id: str) -> list[Any]:
    """Return the end markers of a job's walk, when all are there."""
    markers = [record for record in pipeline.bus.of_job("raw-path", job_id) if record.value is None]
    return markers if len(markers) == PARTITIONS else []


async def delete(kafka: Part, before: dict[int, int]) -> None:
    """Delete the messages of raw-path before an offset of each partition, as its retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_records(
            {TopicPartition("raw-path", part): RecordsToDelete(before_offset=offset) for part, offset in before.items()}
        )
    finally:
        await admin.close()
