"""What cannot be read is put aside and passed, by every kind of consumer: a broker whose disk has damaged its logs."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.jobs_watch import JobsWatch
from core import metrics
from core.settings import Settings
from gateways.kafka.consumer import new_consumer
from tests import parts
from tests.batches import damage, with_bad_checksum, with_codec, with_magic
from tests.deadlines import HANG_SECONDS
from topics.admin import create_topics
from topics.job_status import JOB_STATUS

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOPIC = "damaged"
MESSAGES = 5


def with_length(length: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[:8] + struct.pack(">i", length) + raw[12:]


# Of each partition, the damage, and to which of its batches.
DAMAGES: list[tuple[str, Callable[[bytes], bytes], int]] = [
    ("checksum", with_bad_checksum, 2),
    ("format", lambda raw: with_magic(raw, 3), 2),
    ("codec", lambda raw: with_codec(raw, 6), 2),
    ("first", with_bad_checksum, 0),
    ("last", with_bad_checksum, MESSAGES - 1),
    ("too short for the broker", with_length(3), 2),
    ("longer than the log", with_length(1 << 24), 2),
    ("longer than the log, at its end", with_length(1 << 24), MESSAGES - 1),
    ("none", lambda raw: raw, 0),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[parts.Part]:
    """Give a broker with damaged logs."""
    folder = tmp_path_factory.mktemp("kafka")
    with parts.running_kafka(folder) as part:
        await fill(part.address)
        logs = folder / "data" / "logs"
        for number, (_, change, batch) in enumerate(DAMAGES):
            damage(logs / f"{TOPIC}-{number}", batch, change)
        damage(logs / f"{JOB_STATUS.name}-0", 0, with_bad_checksum)
        yield part


async def fill(address: str) -> None:
    await create_topics(Settings(), address)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, len(DAMAGES), 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        for number in range(len(DAMAGES)):
            for message in range(MESSAGES):
                await producer.send_and_wait(TOPIC, f"{message}".encode(), partition=number)
        await producer.send_and_wait(JOB_STATUS.name, b"{}", key=b"job", partition=0)


def unreadable() -> float:
    return float(metrics.UNREADABLE.labels(TOPIC)._value.get())


async def test_all_that_can_be_read_is_read(broker: parts.Part) -> None:
    before = unreadable()
    wanted = {
        TopicPartition(TOPIC, number): [message for message in range(MESSAGES) if message != batch or kind == "none"]
        for number, (kind, _, batch) in enumerate(DAMAGES)
    }
    # The broker finds its way by the lengths: what stands behind a wrong one, it gives no more.
    wanted[TopicPartition(TOPIC, 5)] = wanted[TopicPartition(TOPIC, 6)] = [0, 1]
    found: dict[TopicPartition, list[int]] = {part: [] for part in wanted}
    with structlog.testing.capture_logs() as logged:
        async with new_consumer({"bootstrap_servers": broker.address}) as consumer:
            ends = await consumer.end_offsets(list(wanted))
            consumer.assign(list(wanted))
            async with asyncio.timeout(HANG_SECONDS):
                while any([await consumer.position(part) < end for part, end in ends.items()]):
                    for part, records in (await consumer.getmany(timeout_ms=200)).items():
                        found[part].extend(record.offset for record in records)
    assert found == wanted
    said = {event["partition"]: event for event in logged if event["event"] == "messages-unreadable"}
    named = {number: range(event["first_offset"], event["last_offset"] + 1) for number, event in said.items()}
    assert {number: [*offsets] for number, offsets in named.items()} == {
        part.partition: [message for message in range(MESSAGES) if message not in messages]
        for part, messages in wanted.items()
        if len(messages) < MESSAGES
    }
    assert unreadable() - before == sum(map(len, named.values()))


async def test_what_comes_behind_it_is_read_too(broker: parts.Part) -> None:
    """Also where the broker cannot read its own log up to there: it finds its way by an index, one entry in 4 KiB."""
    async with AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
        for number in range(len(DAMAGES)):
            await producer.send_and_wait(TOPIC, bytes(5000), partition=number)
        sent = [
            await producer.send_and_wait(TOPIC, b"new", partition=number) for number, (kind, *_) in enumerate(DAMAGES)
        ]
    found: list[Any] = []
    async with new_consumer({"bootstrap_servers": broker.address}) as consumer:
        consumer.assign([TopicPartition(TOPIC, record.partition) for record in sent])
        async with asyncio.timeout(HANG_SECONDS):
            while len(found) < len(sent):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(record.partition for record in records if record.value == b"new")
    assert sorted(found) == [record.partition for record in sent]


async def test_the_workers_knowledge_of_jobs_begins_in_spite_of_it(broker: parts.Part) -> None:
    fatal: list[BaseException] = []
    watch = JobsWatch({"bootstrap_servers": broker.address}, fatal.append)
    async with asyncio.timeout(HANG_SECONDS):
        await watch.start(Settings().kafka_partitions)
    await watch.stop()
    assert fatal == []
