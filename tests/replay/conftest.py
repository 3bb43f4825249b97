"""A Kafka of its own, as whole topics are replayed and one is deleted; one worker; the API."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from core.settings import STAGES, Settings
from tests import parts
from tests.api.service import Service, eventually, serving
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from tests.pipeline import collection, idle_pipeline, pipeline
from tests.worker import Worker
from topics.topology import topics_read

__all__ = ["collection", "idle_pipeline", "pipeline"]


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    with parts.running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


@pytest.fixture(scope="package")
def worker(
    kafka: parts.Part, qdrant: parts.Part, ml: parts.Part, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    with Worker(kafka, qdrant, ml, tmp_path_factory.mktemp("worker")) as running:
        yield running


@pytest.fixture(scope="module")
def api_settings(
    kafka: parts.Part, qdrant: parts.Part, ml: parts.Part, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path_factory.mktemp("api"),
        dead_letter_max_attempts=2,
    )


@pytest.fixture
async def service(api_settings: Settings) -> AsyncIterator[Service]:
    async with serving(api_settings) as running:
        yield running


class Quiet:
    """Tells when no stage has anything left to do."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        self._admin = admin
        self._consumer = consumer

    async def __call__(self, seconds: float = HANG_SECONDS) -> None:
        """Wait until every stage has read and committed everything, twice with nothing new in between."""
        deadline = time.monotonic() + seconds
        before: object = None
        while (now := await self._ends_if_read()) is None or now != before:
            assert time.monotonic() < deadline, "The stages do not come to rest."
            before = now
            await asyncio.sleep(0.1)

    async def _ends_if_read(self) -> dict[TopicPartition, int] | None:
        ends: dict[TopicPartition, int] = {}
        for stage in STAGES:
            committed = await self._admin.list_consumer_group_offsets(f"darkroom-{stage}")
            parts = [TopicPartition(topic, n) for topic in topics_read(stage) for n in range(PARTITIONS)]
            found = await self._consumer.end_offsets(parts)
            if any(end and (part not in committed or committed[part].offset < end) for part, end in found.items()):
                return None
            ends |= found
        return ends


@pytest.fixture
async def quiet(kafka: parts.Part) -> AsyncIterator[Quiet]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.address)
    await admin.start()
    await consumer.start()
    yield Quiet(admin, consumer)
    await consumer.stop()
    await admin.close()


async def run_to_its_end(service: Service, route: str, **body: Any) -> dict[str, Any]:
    """Start a run and return what it did."""
    response = await service.http.post(route, json=body)
    assert response.status_code == 202, response.text
    run_id = response.json()["id"]

    async def ended() -> dict[str, Any] | None:
        run = await service.get(f"runs/{run_id}")
        return run if run["state"] != "running" else None

    run = await eventually(ended)
    assert run["state"] == "done", run
    return run
