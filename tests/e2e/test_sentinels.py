"""Sentinels flush partial batches: with a linger of ten minutes, longer than any test waits, nothing else would."""

import uuid
from pathlib import Path

import pytest

from tests import pictures
from tests.pipeline import Pipeline, account


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, int]:
    return {"ml_batch_linger_seconds": 600, "qdrant_batch_linger_seconds": 600}


async def test_three_files_are_stored_at_once(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    pictures.write(tmp_path, range(3000, 3001))
    await pipeline.run(tmp_path, collection=collection)  # the worker is warm
    more = tmp_path / "more"
    pictures.write(more, range(3100, 3103))
    (more / "copy.jpg").write_bytes(pictures.jpeg(3100))
    status = await pipeline.run(more, collection=collection)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (3, 1)


async def test_without_sentinels_they_wait(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    job_id = f"job-{uuid.uuid4().hex[:12]}"
    for path in pictures.write(tmp_path, range(3200, 3203)):
        await pipeline.bus.publish(
            "raw-path", str(path), {"job_id": job_id, "collection": collection, "path": str(path)}
        )
    await pipeline.bus.until(lambda: len(pipeline.bus.values("ml-request", job_id=job_id)) == 3, "three requests")
    await pipeline.bus.quiet(2)
    assert pipeline.ml_batches() == []
    assert pipeline.bus.values("db-write", job_id=job_id) == []

    await pipeline.bus.close_job(job_id)
    assert account(await pipeline.bus.finished(job_id))["outcomes"]["stored"] == 3
