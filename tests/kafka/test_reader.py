"""One reader serves all who follow whole topics, and one connection all who ask every few seconds."""

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, LeaderNotAvailableError

from embedded.ports import free_port
from gateways.kafka import offsets
from gateways.kafka.client import Connection, administering, answers, asking
from gateways.kafka.connection import ClientOptions
from gateways.kafka.offsets import log_begins, log_ends, stable_ends
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from tests.deadlines import HANG_SECONDS
from tests.parts import Part


@pytest.fixture
def options(kafka: Part) -> ClientOptions:
    return {"bootstrap_servers": kafka.address}


@pytest.fixture
async def parts(options: ClientOptions) -> list[TopicPartition]:
    """A topic of two partitions; in the first, three messages, an aborted one, and what ends a transaction."""
    topic = f"reader-{uuid.uuid4().hex}"
    async with administering(options) as admin:
        await admin.create_topics([NewTopic(topic, 2, 1)])
    first, second = all_partitions(topic, 2)
    await publish(options, first, b"0", b"1", b"2")
    async with AIOKafkaProducer(**options, transactional_id=uuid.uuid4().hex) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
    return [first, second]


async def publish(options: ClientOptions, part: TopicPartition, *values: bytes) -> None:
    async with AIOKafkaProducer(**options) as producer:
        for value in values:
            await producer.send_and_wait(part.topic, value, partition=part.partition)


async def read(reader: Reader, ends: dict[TopicPartition, int]) -> list[KafkaRecord]:
    async with asyncio.timeout(HANG_SECONDS):
        return [record async for records in reader.up_to(ends) for record in records]


async def test_what_stands_before_an_end_is_read_and_then_it_goes_on_there(
    options: ClientOptions, parts: list[TopicPartition]
) -> None:
    async with Reader(options, parts) as reader:
        begins, ends = await reader.begins(), await reader.ends()
        assert (begins, ends) == ({parts[0]: 0, parts[1]: 0}, {parts[0]: 5, parts[1]: 0})
        reader.go_to(begins)
        assert [record.value for record in await read(reader, {parts[0]: 2, parts[1]: 0})] == [b"0", b"1"]
        assert [record.value for record in await read(reader, ends)] == [b"2"]
        assert await reader.position(parts[0]) == 5, "what marks the end of a transaction is passed"
        await publish(options, parts[1], b"later")
        async with asyncio.timeout(HANG_SECONDS):
            while not (found := await reader.take()):
                pass
        assert [record.value for record in found] == [b"later"]


async def test_the_end_of_a_log_that_was_lost_is_not_waited_for(
    options: ClientOptions, parts: list[TopicPartition]
) -> None:
    async with Reader(options, parts[:1]) as reader:
        reader.go_to({parts[0]: 0})
        assert len(await read(reader, {parts[0]: 9})) == 3


async def test_an_open_transaction_ends_what_may_be_read_but_not_the_log(
    options: ClientOptions, parts: list[TopicPartition]
) -> None:
    async with (
        AIOKafkaProducer(**options, transactional_id=uuid.uuid4().hex) as producer,
        asking(options) as client,
    ):
        await producer.begin_transaction()
        await producer.send_and_wait(parts[0].topic, b"open", partition=0)
        assert await log_begins(client, parts) == {parts[0]: 0, parts[1]: 0}
        assert await stable_ends(client, parts) == {parts[0]: 5, parts[1]: 0}
        assert await log_ends(client, parts) == {parts[0]: 6, parts[1]: 0}
        await producer.abort_transaction()


async def test_a_topic_that_does_not_come_is_not_waited_for_without_end(
    options: ClientOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offsets, "LEADER_SECONDS", 0.5)
    async with asking(options) as client, asyncio.timeout(HANG_SECONDS):
        with pytest.raises(LeaderNotAvailableError):
            await log_ends(client, [TopicPartition(f"none-{uuid.uuid4().hex}", 0)])


async def fail_on(connection: Connection) -> None:
    async with connection.asking():
        raise KafkaError


async def test_a_connection_stays_until_it_fails(options: ClientOptions, parts: list[TopicPartition]) -> None:
    async with Connection(options) as connection:
        async with connection.asking() as first, connection.asking() as second:
            assert first is second
        with pytest.raises(KafkaError):
            await fail_on(connection)
        async with connection.asking() as fresh:
            assert fresh is not first
            assert await log_ends(fresh, parts) == {parts[0]: 5, parts[1]: 0}


async def test_a_broker_that_is_away_does_not_answer(options: ClientOptions) -> None:
    assert await answers(options, HANG_SECONDS)
    assert not await answers({"bootstrap_servers": f"127.0.0.1:{free_port()}"}, HANG_SECONDS)
