"""The producer of a worker on a real broker: it is idempotent, and asks the broker no more often than it gains by."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from core.settings import Settings
from streams import producer as producers
from tests.bus import PARTITIONS, Bus
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import create_topics

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGES = 100
TOPIC = "db-write"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def producer(kafka: Part) -> AsyncIterator[AIOKafkaProducer]:
    settings = Settings(kafka_brokers=kafka.address)
    await create_topics(settings, kafka.address)
    async with producers.new_producer(settings) as started:
        await started.send_and_wait(TOPIC, b"first")  # it knows the topic now
        yield started


async def test_a_retry_neither_repeats_nor_reorders(producer: AIOKafkaProducer) -> None:
    """Faust switches idempotence on with `exactly_once` only, which loses messages."""
    assert producer._txn_manager is not None
    assert producer._txn_manager.transactional_id is None


async def test_what_comes_one_by_one_goes_together(
    kafka: Part, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = 0
    send = producer.client.send

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal requests
        requests += 1
        return await send(*arguments, **options)

    monkeypatch.setattr(producer.client, "send", counted)
    name = uuid.uuid4().hex
    deliveries = []
    async with Bus(kafka.address, TOPIC) as bus:
        begin = time.monotonic()
        for number in range(MESSAGES):
            key = name.encode() + b"%d" % number
            deliveries.append(await producer.send(TOPIC, b"{}", key=key, partition=number % PARTITIONS))
            await asyncio.sleep(0.002)
        await asyncio.gather(*deliveries)
        seconds = time.monotonic() - begin
        keys = await bus.until(lambda: _keys(bus, name), f"{MESSAGES} messages")
    assert keys == {name.encode() + b"%d" % number for number in range(MESSAGES)}
    assert requests <= seconds / producers.PAUSE_SECONDS + 2, f"{requests} requests in {seconds:.2f} s"


async def test_a_message_that_comes_alone_does_not_wait(
    producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, paused = asyncio.Event(), asyncio.Event()

    async def pause(_: float) -> None:
        paused.set()
        await goes_on.wait()

    monkeypatch.setattr(producers, "asyncio", SimpleNamespace(sleep=pause))
    await asyncio.wait_for(producer.send_and_wait(TOPIC, b"{}", partition=0), HANG_SECONDS)
    await asyncio.wait_for(paused.wait(), HANG_SECONDS)
    goes_on.set()


def _keys(bus: Bus, name: str) -> set[bytes] | None:
    keys = {record.key for record in bus.records if (record.key or b"").startswith(name.encode())}
    return keys if len(keys) == MESSAGES else None
