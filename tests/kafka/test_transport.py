"""Faust's driver as we mend it: what a start or a rebalance fetches before its seek is neither dropped nor acked."""

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from agents.app import new_app
from settings import Settings
from tests.bus import PARTITIONS, Bus
from tests.parts import Part
from topics.admin import TABLES, create_topics

TOPIC = "raw-path"
EVENTS = 40  # on each partition


@pytest.mark.parametrize("stage", ["hash", "embed"], ids=["with a table", "without a table"])
async def test_a_start_takes_all_events_behind_the_committed_ones(kafka: Part, tmp_path: Path, stage: Any) -> None:
    settings = Settings(kafka_brokers=kafka.address, kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    await create_topics(settings, kafka.address)
    async with Bus(kafka.address, TOPIC) as bus:
        await publish(bus, 3)
        committed = await bus.ends(TOPIC)
        await publish(bus, EVENTS)
        ends = await bus.ends(TOPIC)
    group = AIOKafkaConsumer(bootstrap_servers=kafka.address, group_id=f"{settings.kafka_group_prefix}-{stage}")
    await group.start()
    group.assign(list(committed))
    await group.commit(committed)
    await group.stop()

    expected = {(tp.partition, offset) for tp, end in ends.items() for offset in range(committed[tp], end)}
    taken: set[tuple[int, int]] = set()
    all_taken = asyncio.Event()
    app = new_app(stage, settings, tmp_path)
    if stage in TABLES:
        app.Table(TABLES[stage], partitions=PARTITIONS, key_type=bytes, value_type=bytes)

    @app.agent(app.topic(TOPIC, key_serializer="raw", value_serializer="raw", partitions=PARTITIONS))
    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            await asyncio.sleep(0.001)
            taken.add((event.message.partition, event.message.offset))
            event.ack()
            if taken >= expected:
                all_taken.set()

    consumer: Any = app.consumer
    seek = consumer.seek_to_committed

    async def seek_slowly() -> Any:
        # Each partition costs a request to the broker: with many of them, or a busy broker, it takes this long.
        await asyncio.sleep(0.5)
        return await seek()

    consumer.seek_to_committed = seek_slowly
    await app.start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_taken.wait(), 20)
    await app.stop()
    assert sorted(expected - taken) == []


async def publish(bus: Bus, count: int) -> None:
    for number in range(count):
        for partition in range(PARTITIONS):
            await bus.publish(TOPIC, "key", b"%d" % number, partition=partition)
