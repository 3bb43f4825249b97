"""What a stage reads of its topic: messages in every compression, of transactions only those that were committed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from gateways.kafka import configs, groups
from gateways.kafka.client import asking
from tests.agents.messages import picture, raw_path
from tests.bus import PARTITIONS, Bus
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.raw_path import RAW_PATH

STAGE = "hash"
TOPIC = RAW_PATH.name


async def send(producer: AIOKafkaProducer, job: str, collection: str, *paths: Path) -> None:
    for path in paths:
        value = json.dumps(raw_path(job, collection, picture(path))).encode()
        await producer.send_and_wait(TOPIC, value, key=str(path).encode())


async def handed_on(bus: Bus, job: str, *paths: Path) -> None:
    """Wait until these files have come out, and no others have."""
    await bus.until(lambda: len(bus.of_job("hashed-file", job)) >= len(paths), "all files hashed")
    found = {value["path"] for value in bus.values("hashed-file", job_id=job)}
    assert found == {str(path) for path in paths}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_producer_may_compress(
    bus: Bus, kafka: Part, job: str, collection: str, tmp_path: Path, codec: str
) -> None:
    path = tmp_path / "a.jpg"
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, compression_type=codec) as producer:
        await send(producer, job, collection, path)
    await handed_on(bus, job, path)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_so_may_the_topic(bus: Bus, kafka: Part, job: str, collection: str, tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.jpg"
    async with compressed_topic(kafka, codec), AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
        await send(producer, job, collection, path)
    await handed_on(bus, job, path)


@asynccontextmanager
async def compressed_topic(kafka: Part, codec: str) -> AsyncIterator[None]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        assert await configs.alter(admin, {TOPIC: {"compression.type": codec}}) == []
        yield
        assert await configs.alter(admin, {TOPIC: {"compression.type": "producer"}}) == []
    finally:
        await admin.close()


async def test_what_a_transaction_aborts_is_not_read(
    bus: Bus, kafka: Part, job: str, collection: str, tmp_path: Path
) -> None:
    """Of 12 files of which 3 were aborted, all 12 were stored."""
    aborted = [tmp_path / f"aborted-{number}.jpg" for number in range(3)]
    committed = [tmp_path / f"committed-{number}.jpg" for number in range(3)]
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id=f"t-{job}") as producer:
        await producer.begin_transaction()
        await send(producer, job, collection, *aborted)
        await producer.abort_transaction()
        async with producer.transaction():
            await send(producer, job, collection, *committed)
    await handed_on(bus, job, *committed)


async def test_markers_and_open_transactions_are_no_lag(
    bus: Bus, kafka: Part, job: str, collection: str, tmp_path: Path
) -> None:
    """While there is lag, the watchdog waits: it would have for ever."""
    before, behind = tmp_path / "before.jpg", tmp_path / "open.jpg"
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id=f"t-{job}") as producer:
        async with producer.transaction():
            await send(producer, job, collection, before)
        await producer.begin_transaction()
        await send(producer, job, collection, behind)
        await handed_on(bus, job, before)
        await no_lag(kafka)
        await handed_on(bus, job, before)
        await producer.commit_transaction()
    await handed_on(bus, job, before, behind)
    await no_lag(kafka)


async def no_lag(kafka: Part) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while await lag(kafka):
            await asyncio.sleep(0.2)


async def lag(kafka: Part) -> int:
    parts = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    async with asking({"bootstrap_servers": kafka.address}) as client:
        found = await groups.positions(client, {f"darkroom-{STAGE}": parts})
    return sum(end - committed for committed, end in found[f"darkroom-{STAGE}"].values())
