"""Who holds a partition is named, with its age."""

import asyncio
import time
import uuid

from aiokafka import AIOKafkaProducer, TopicPartition

from agents.scan.throttle import nothing_is_on_its_way
from core.settings import Settings
from gateways.kafka.client import asking
from gateways.kafka.connection import ClientOptions
from gateways.kafka.transactions import OpenTransaction, holding
from tests.bus import skip_backlog
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import create_topics

HERE, ELSEWHERE = TopicPartition("raw-path", 1), TopicPartition("raw-path", 2)


async def held(options: ClientOptions) -> list[OpenTransaction]:
    async with asking(options) as client:
        return await holding(client, [HERE, ELSEWHERE])


async def test_an_open_transaction_is_named_with_its_age_until_it_ends(kafka: Part) -> None:
    await create_topics(Settings(), kafka.address)
    options, name = {"bootstrap_servers": kafka.address}, f"t-{uuid.uuid4().hex[:8]}"
    begun = time.time()
    async with AIOKafkaProducer(**options, transactional_id=name) as producer:
        await producer.begin_transaction()
        for _ in range(2):
            await producer.send_and_wait(HERE.topic, b"{}", partition=HERE.partition)
        (found,) = await held(options)
        assert (found.topic, found.partition, found.messages, found.producer) == (*HERE, 2, name)
        assert found.since is not None
        assert begun - 1 <= found.since <= time.time() + 1
        said = found.describe(found.since + 90)
        assert f"The transaction of '{name}', open for 90 s, holds raw-path, partition 1: 2 messages" in said
        await producer.abort_transaction()
        async with asyncio.timeout(HANG_SECONDS):
            while await held(options):
                await asyncio.sleep(0.05)


async def test_what_one_hides_is_on_its_way(kafka: Part) -> None:
    """A walk would go on without its files that lie behind it, as if they were lost."""
    await asyncio.to_thread(skip_backlog, kafka.address)
    config, options = Settings(kafka_brokers=kafka.address), {"bootstrap_servers": kafka.address}
    assert await nothing_is_on_its_way(config)
    async with AIOKafkaProducer(**options, transactional_id=uuid.uuid4().hex) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(HERE.topic, b"{}", partition=HERE.partition)
        assert not await nothing_is_on_its_way(config)
        await producer.abort_transaction()
    async with asyncio.timeout(HANG_SECONDS):
        while await held(options):
            await asyncio.sleep(0.05)
