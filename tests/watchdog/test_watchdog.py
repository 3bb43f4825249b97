"""Work that stops moving is seen, and moved on: the service and workers on a real broker, with short limits."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from rules.identity import file_id
from rules.paths import to_wire
from tests import pictures
from tests.api.service import Service, eventually, serving
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.job_event import Queued, Seen, SeenFile


@pytest.fixture(scope="module")
def worker(
    kafka: Part,
    qdrant: Part,
    ml: Part,
    settings: Settings,
    short: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    """Give a worker that is not started yet. It begins behind the backlog that `settings` skips."""
    assert settings.kafka_brokers == kafka.address
    worker = Worker(kafka, qdrant, ml, tmp_path_factory.mktemp("worker"), **short)
    yield worker
    if not worker.has_ended():
        worker.stop()


def new_job() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


async def stalled(service: Service, job_id: str, reason: str | None) -> None:
    """Wait until the status of a job has a stall that begins so."""

    async def look() -> bool:
        status = (await service.http.get(f"ingest/status/{job_id}")).json()
        shown = status.get("stalled") if "job_id" in status else "not known yet"
        return shown is None if reason is None else bool(shown and shown.startswith(reason))

    await eventually(look)


async def ready(service: Service) -> tuple[int, str | None]:
    response = await service.http.get("http://127.0.0.1/ready")
    return response.status_code, response.json()["parts"]["stages"]["detail"]


async def test_without_a_worker_and_without_an_end_marker(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    (path,) = pictures.write(photos, range(9000, 9001))
    job_id = new_job()
    async with serving(settings) as service:
        assert await ready(service) == (200, None)
        seen = SeenFile(file_id=file_id(job_id, collection, os.fsencode(path)), path=str(path))
        await service.publish(Seen(job_id=job_id, at=time.time(), collection=collection, files=[seen]))
        await idle_pipeline.bus.publish(
            "raw-path", str(path), {"job_id": job_id, "collection": collection, "path": str(path)}
        )
        await stalled(service, job_id, "stage hash has no worker: 1 message waits")
        code, detail = await ready(service)
        assert code == 503
        assert "stage hash has no worker: 1 message waits" in (detail or "")

        await asyncio.to_thread(worker.start)

        async def moves() -> bool:
            return await ready(service) == (200, None)

        await eventually(moves)
        await stalled(service, job_id, "no end marker")
        await service.http.post(f"ingest/{job_id}/close")
        status = account(await idle_pipeline.bus.finished(job_id))
        assert (status["status"], status.get("stalled")) == ("completed", None)


async def test_the_unfinished_files_of_a_reread_are_read_again(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    """Not taken for files that are stored already."""
    if worker.has_ended():
        await asyncio.to_thread(worker.start)
    bus, job_id = idle_pipeline.bus, new_job()
    (path,) = pictures.write(photos, range(9150, 9151))
    async with serving(settings) as service:
        await idle_pipeline.run(photos, collection=collection)
        seen = SeenFile(file_id=file_id(job_id, collection, bytes(path)), path=str(path))
        await service.publish(
            Queued(job_id=job_id, at=time.time(), collection=collection, sources=[str(photos)], model_id="stub-1",
                   reread=True),
            Seen(job_id=job_id, at=time.time(), collection=collection, files=[seen]),
        )  # fmt: skip
        await bus.close_job(job_id)
        status = account(await bus.finished(job_id))
    assert (status["status"], status["outcomes"]["cached"] + status["outcomes"]["unchanged"]) == ("completed", 1)
    (message,) = [record for record in bus.of_job("raw-path", job_id) if record.value is not None]
    assert dict(message.headers)["attempt"] == b"2"
    assert len(json.loads(message.value)["reread"]) == 64
    assert bus.values("db-write", job_id=job_id)


async def test_the_unfinished_files_of_an_idle_job_begin_again(
    idle_pipeline: Pipeline, collection: str, settings: Settings, photos: Path, worker: Worker
) -> None:
    """The files were seen, and what would have come of them is lost; one name is not UTF-8."""
    if worker.has_ended():
        await asyncio.to_thread(worker.start)
    bus, job_id = idle_pipeline.bus, new_job()
    *lost, taken = [os.fsencode(path) for path in pictures.write(photos, range(9100, 9103))]
    lost.append(os.fsencode(photos) + b"/odd-\xff.jpg")
    await asyncio.to_thread(os.symlink, taken, lost[-1])
    seen = []
    for path in lost:
        text, path_b64 = to_wire(path)
        seen.append(SeenFile(file_id=file_id(job_id, collection, path), path=text, path_b64=path_b64))
    async with serving(settings) as service:
        await service.publish(Seen(job_id=job_id, at=time.time(), collection=collection, files=seen))
        file = {"job_id": job_id, "collection": collection, "path": os.fsdecode(taken)}
        await bus.publish("raw-path", file["path"], file)
        await bus.close_job(job_id)
        status = account(await bus.finished(job_id))
    # Of the status it is gone again when they begin again, two seconds later.
    told = [event.get("reason", "") for event in bus.events(job_id, "stalled")]
    assert any(reason.startswith("3 files have no outcome, and no message about them is left") for reason in told)
    assert (status["status"], status["total_files"]) == ("completed", 4)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (3, 1)
    assert "3 files without an outcome begin again." in status["logs"]
    assert [event["attempt"] for event in bus.events(job_id, "restarted")] == [1]
    sent = [dict(record.headers) for record in bus.of_job("raw-path", job_id) if record.value is not None]
    assert [headers["attempt"] for headers in sent if "attempt" in headers] == [b"2"] * 3
