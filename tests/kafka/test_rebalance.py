"""Two workers share the work, one is killed: partitions move twice in the middle of a job, and the account is exact."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateways.qdrant import Qdrant
from tests import pictures
from tests.bus import Bus, skip_backlog
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.topology import NAMES

NEW, COPIES, BROKEN = 200, 20, 20
SETTINGS: dict[str, Any] = {"ml_inference_batch_size": 8, "kafka_session_timeout_seconds": 5}


@pytest.fixture
async def pipeline(kafka: Part, qdrant: Part, ml: Part) -> AsyncIterator[Pipeline]:
    async with Qdrant(qdrant.url, timeout=30) as store, Bus(kafka.address, *NAMES) as bus:
        httpx.post(f"{ml.url}/control", json={"delay_per_image": 0.5}).raise_for_status()
        yield Pipeline(bus, store, ml)


@pytest.fixture
def idle(kafka: Part) -> None:
    """Leave nothing of other tests to be done."""
    skip_backlog(kafka.address)


@pytest.mark.usefixtures("idle")
async def test_a_worker_joins_and_another_is_killed(
    pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, tmp_path: Path
) -> None:
    first = random.SystemRandom().randrange(1 << 32)
    seeds = range(first, first + NEW)
    photos, collection = tmp_path / "photos", f"c-{first}"
    pictures.write(photos, seeds)
    for number in range(COPIES):
        (photos / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seeds[number]))
    for number in range(BROKEN):
        (photos / f"broken-{number}.jpg").write_bytes(f"no picture {first} {number}".encode())
    bus = pipeline.bus

    def processed() -> int:
        assert not one.has_ended(), one.log[-4000:]
        return max((status["processed_files"] for status in bus.values("job-status", job_id=job)), default=0)

    with ExitStack() as running:
        one = running.enter_context(Worker(kafka, qdrant, ml, tmp_path / "one", **SETTINGS))
        two = Worker(kafka, qdrant, ml, tmp_path / "two", **SETTINGS)
        job = await pipeline.scan(photos, collection=collection)
        await bus.until(lambda: processed() >= 40, "the first files")
        await asyncio.to_thread(running.enter_context, two)
        await bus.quiet(2)  # it takes over its partitions
        assert processed() < NEW + COPIES + BROKEN, "the job was too quick to be disturbed in its middle"
        one.kill()
        httpx.post(f"{ml.url}/control", json={}).raise_for_status()
        status = account(await bus.finished(job))

        assert status["outcomes"] == {
            "stored": NEW,
            "cached": 0,
            "duplicate": COPIES,
            "unchanged": 0,
            "skipped": 0,
            "failed": BROKEN,
        }
        points = await pipeline.points(collection)
        assert len(points) == NEW + COPIES
        assert len({point["file_hash"] for point in points.values()}) == NEW
        info = await pipeline.qdrant.collection(collection)
        assert info is not None
        assert info.points == NEW

        assert two.process is not None
        assert two.process.poll() is None, two.log[-4000:]
        # Nothing that the kill left behind changes the account later.
        await bus.quiet(2)
        assert account(await bus.finished(job))["outcomes"] == status["outcomes"]
        again = await pipeline.run(photos, collection=collection)
        assert (again["outcomes"]["unchanged"], again["outcomes"]["failed"]) == (NEW + COPIES, BROKEN)
