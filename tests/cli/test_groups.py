"""What the broker says about consumer groups, on a real broker."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from cli import part_checks
from core.settings import Settings
from embedded import ports, probes
from gateways.kafka import groups
from gateways.kafka.client import Connection, asking
from gateways.kafka.connection import ClientOptions
from tests.cli.waiting import until
from tests.parts import Part


@pytest.fixture
async def topic(kafka: Part) -> str:
    name = f"groups-{uuid.uuid4().hex}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
    finally:
        await admin.close()
    return name


@asynccontextmanager
async def member(kafka: Part, topic: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka.address,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        heartbeat_interval_ms=200,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def options(kafka: Part) -> ClientOptions:
    return {"bootstrap_servers": kafka.address}


async def works(kafka: Part, group: str) -> bool:
    async with asking(options(kafka)) as client:
        return (await groups.describe(client, [group]))[group].works


async def test_a_group_works_while_it_has_members(kafka: Part, topic: str) -> None:
    group = f"g-{topic}"
    assert not await works(kafka, group)
    async with member(kafka, topic, group):
        await until(lambda: works(kafka, group))
        async with asking(options(kafka)) as client:
            found = await groups.describe(client, [group])
        assert set(found[group].members.values()) == {"127.0.0.1"}
    assert not await works(kafka, group)


async def test_lag_is_what_is_not_committed_yet(kafka: Part, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
    await producer.start()
    for _ in range(5):
        await producer.send_and_wait(topic, b"x", partition=0)
    await producer.stop()
    async with member(kafka, topic, "lag") as consumer:
        await consumer.getone()
        await consumer.getone()
        await consumer.commit()
    async with asking(options(kafka)) as client:
        assert await groups.lag(client, "lag") == 3
        assert await groups.lag(client, f"never-{topic}") == 0


async def test_a_restarted_process_is_not_taken_for_the_dead_one(kafka: Part, topic: str) -> None:
    """The first consumer stands for a process that was killed: the broker still counts it as a member."""
    group = f"g-{topic}"
    async with Connection(options(kafka)) as connection:
        joined = probes.JoinedGroups(connection, [group])
        assert not await joined(1)
        async with member(kafka, topic, group):
            await until(lambda: joined(1))
            assert not await joined(2), "its only member belongs to process 1"
            async with member(kafka, topic, group):
                await until(lambda: joined(2))


async def test_a_process_that_was_thrown_out_no_longer_works_and_a_silent_broker_says_nothing(
    kafka: Part, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = f"g-{topic}"
    async with Connection(options(kafka)) as connection:
        joined = probes.JoinedGroups(connection, [group])
        assert not await joined(1)
        async with member(kafka, topic, group):
            await until(lambda: joined(1))
            with monkeypatch.context() as patch:
                patch.setattr(joined, "_kafka", Connection({"bootstrap_servers": f"127.0.0.1:{ports.free_port()}"}))
                assert await joined(1)
        assert not await joined(1)


async def test_positions_are_how_far_each_group_has_read(kafka: Part, topic: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
    await producer.start()
    for _ in range(3):
        await producer.send_and_wait(topic, b"x", partition=0)
    await producer.stop()
    group = f"g-{topic}"
    async with member(kafka, topic, group) as consumer:
        await consumer.getone()
        await consumer.commit()
    parts = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    async with asking(options(kafka)) as client:
        found = await groups.positions(client, {group: parts, "nobody": parts[:1]})
    assert found == {group: {parts[0]: (1, 3), parts[1]: (0, 0)}, "nobody": {parts[0]: (0, 3)}}


async def test_the_health_check_of_a_worker_asks_for_this_host(kafka: Part, topic: str) -> None:
    settings = Settings(kafka_brokers=kafka.address, kafka_group_prefix=topic)
    async with member(kafka, topic, f"{topic}-hash"):
        await until(lambda: works(kafka, f"{topic}-hash"))
        (here,) = await part_checks.workers(settings, ("hash",), {"127.0.0.1"})
        (elsewhere,) = await part_checks.workers(settings, ("hash",), {"10.9.8.7"})
        (other,) = await part_checks.workers(settings, ("store",), {"127.0.0.1"})
    assert [check.level for check in (here, elsewhere, other)] == ["ok", "problem", "problem"]


async def test_a_broker_is_told_from_a_closed_port(kafka: Part) -> None:
    assert await probes.broker_answers(kafka.port)
    assert not await probes.broker_answers(ports.free_port())
