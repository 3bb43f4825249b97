"""The service in this process, and a plain Kafka client beside it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaProducer

from api.main import create_app
from cli.client import authorization
from core.settings import Settings, reveal
from gateways.kafka.connection import client_options
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from rules.local_token import FILE, HEADER
from tests.deadlines import HANG_SECONDS
from topics.admin import create_topics
from topics.job_event import JOB_EVENT, AnyJobEvent
from topics.job_status import JOB_STATUS, JobStatus

T = TypeVar("T")


@dataclass
class Service:
    """`http` speaks to the service; its base URL ends in /api/v1."""

    http: httpx.AsyncClient
    settings: Settings

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        """Get what must be there."""
        response = await self.http.get(path, params=parameters)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def allow(self, folder: Path) -> httpx.Response:
        """Allow a folder as a user of this machine does."""
        token = (self.settings.darkroom_data / "api" / FILE).read_text()
        return await self.http.post("ingest/roots", json={"path": str(folder)}, headers={HEADER: token})

    async def status(self, job_id: str, *, offset: int = -1) -> dict[str, Any]:
        """Return the status once the event at `offset` is in it."""

        async def look() -> dict[str, Any] | None:
            response = await self.http.get(f"ingest/status/{job_id}")
            return response.json() if response.status_code == 200 and response.json()["offset"] >= offset else None

        return await eventually(look)

    async def publish(self, *events: AnyJobEvent) -> int:
        """Publish job events as any client would; return the offset of the last."""
        offset = -1
        async with producing(self.settings.kafka_brokers) as producer:
            for event in events:
                sent = await producer.send_and_wait(JOB_EVENT.name, JOB_EVENT.encode(event), key=event.job_id.encode())
                offset = sent.offset
        return offset

    async def publish_status(self, job_id: str, status: JobStatus | None, partition: int | None = None) -> int:
        """Publish a status document as track would; return the partition it went to."""
        async with producing(self.settings.kafka_brokers) as producer:
            value = JOB_STATUS.encode(status) if status else None
            sent = await producer.send_and_wait(JOB_STATUS.name, value, key=job_id.encode(), partition=partition)
            return int(sent.partition)

    async def messages(self, topic: str, job_id: str) -> list[KafkaRecord]:
        """Return all messages with this key that the topic has now."""
        kafka, found = client_options(self.settings), list[KafkaRecord]()
        # It passes what tests before have damaged.
        async with Reader(kafka, all_partitions(topic, self.settings.kafka_partitions)) as reader:
            begins, ends = await reader.begins(), await reader.ends()
            reader.go_to(begins)
            async for records in reader.up_to(ends):
                found += [record for record in records if record.key == job_id.encode()]
        return sorted(found, key=lambda record: (record.partition, record.offset))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Service]:
    """Run the service until the block ends; it has read all of Kafka when it is given."""
    await create_topics(settings, settings.kafka_brokers)
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://127.0.0.1/api/v1/",
            headers=authorization(reveal(settings.darkroom_api_key)),
        ) as http,
    ):

        async def caught_up() -> bool:
            ready: dict[str, Any] = (await http.get("http://127.0.0.1/ready")).json()
            return bool(ready["parts"]["kafka"]["ready"])

        await eventually(caught_up)
        yield Service(http, settings)


@asynccontextmanager
async def producing(brokers: str) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer with no settings at all."""
    producer = AIOKafkaProducer(bootstrap_servers=brokers)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """Return the first true answer; an AssertionError when none comes in time."""
    deadline = time.monotonic() + HANG_SECONDS
    while not (answer := await look()):
        assert time.monotonic() < deadline, f"Still {answer!r} after {HANG_SECONDS} s"
        await asyncio.sleep(0.02)
    return answer
