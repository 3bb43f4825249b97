"""An orderly stop in the middle of a job finishes what was begun; after the next start nothing is done twice."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import pictures
from tests.pipeline import Pipeline, account
from tests.worker import Worker

PHOTOS = 80


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    # More is taken up than can be finished while the worker stops: 4 batches of 8, 1.6 s each, two at a time.
    return {"ml_inference_batch_size": 8}


async def test_no_image_goes_to_ml_twice_over_an_orderly_stop(
    pipeline: Pipeline, collection: str, tmp_path: Path, worker: Worker
) -> None:
    pictures.write(tmp_path, range(4300, 4300 + PHOTOS))
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 0.2}).raise_for_status()
    job_id = await pipeline.scan(tmp_path, collection=collection)
    bus = pipeline.bus
    for images in (8, 32):
        await bus.until(lambda: sent(pipeline) > images, f"more than {images} images with ML")  # noqa: B023
        assert sent(pipeline) < PHOTOS, "the job was too quick to be stopped in its middle"
        assert await asyncio.to_thread(worker.stop) == 0, worker.log[-4000:]
        await asyncio.to_thread(worker.start)
    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    status = account(await bus.finished(job_id))

    assert (status["status"], status["outcomes"]["stored"]) == ("completed", PHOTOS)
    times = Counter(name for batch in pipeline.ml_batches() for name in batch)
    assert len(times) == PHOTOS
    assert {name for name, count in times.items() if count > 1} == set()
    assert len(await pipeline.points(collection)) == PHOTOS


def sent(pipeline: Pipeline) -> int:
    return sum(len(batch) for batch in pipeline.ml_batches())
