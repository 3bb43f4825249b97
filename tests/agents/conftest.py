"""One stage alone in its own process. A plain Kafka client feeds it and reads what comes out; nothing else runs.

A module names its stage in STAGE; it may override `worker_settings`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from core.settings import Stage
from gateways.qdrant import Qdrant
from tests.bus import Bus, members, skip_backlog
from tests.parts import Part
from tests.worker import Worker
from topics.dead_letter import DEAD_LETTER
from topics.topology import TOPICS, topics_read

REST_SECONDS = 0.5  # less than between two commits, so that the last one is made as the worker stops


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {}


@pytest.fixture(scope="module")
def worker(
    request: pytest.FixtureRequest,
    kafka: Part,
    qdrant: Part,
    ml: Part,
    tmp_path_factory: pytest.TempPathFactory,
    worker_settings: dict[str, Any],
) -> Iterator[Worker]:
    stage = request.module.STAGE
    skip_backlog(kafka.address)
    with Worker(kafka, qdrant, ml, tmp_path_factory.mktemp(stage), stages=stage, **worker_settings) as running:
        yield running
        asyncio.run(_rest(kafka, stage))
        assert running.stop() == 0, running.log[-4000:]
        asyncio.run(_check_left(kafka, stage))


async def _rest(kafka: Part, stage: Stage) -> None:
    """Give the stage time for what the last test saw before it did: what it has not read is left to the next worker."""
    async with Bus(kafka.address, *topics_read(stage)) as bus:
        await bus.quiet(REST_SECONDS)


async def _check_left(kafka: Part, stage: Stage) -> None:
    """Check that a stage that stopped in order has left its group, and that none of its work will be done again."""
    group = f"darkroom-{stage}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        assert await members(admin, group) == []
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    async with Bus(kafka.address, *topics_read(stage)) as bus:
        for topic in topics_read(stage):
            ends = await bus.ends(topic)
            assert {tp: committed[tp].offset for tp in ends if ends[tp]} == {tp: end for tp, end in ends.items() if end}


@pytest.fixture
async def bus(kafka: Part, ml: Part, worker: Worker) -> AsyncIterator[Bus]:
    """Give a client that sees every topic; the ML stub works and has forgotten everything."""
    httpx.post(f"{ml.url}/control", json={}).raise_for_status()
    httpx.delete(f"{ml.url}/log").raise_for_status()
    async with Bus(kafka.address, *(topic.name for topic in TOPICS), DEAD_LETTER) as client:
        yield client


@pytest.fixture
async def store(qdrant: Part) -> AsyncIterator[Qdrant]:
    async with Qdrant(qdrant.url, timeout=30) as client:
        yield client


@pytest.fixture
def job() -> str:
    return new_job()


@pytest.fixture
def collection() -> str:
    """Return a name that no other test uses."""
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def created(store: Qdrant, collection: str) -> str:
    """Return the name of a collection that exists."""
    await store.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    return collection


def new_job() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"
