"""A log that holds less than what was read of it: whatever comes at those offsets is read."""

import asyncio
import hashlib
import json
import os
import shutil
import signal
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from api.view.view import open_view
from core.settings import Settings
from embedded.ports import free_port
from gateways.kafka.connection import ClientOptions
from tables.age import note
from tests import parts
from tests.agents.messages import picture, raw_path
from tests.bus import files_of
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from tests.worker import Worker
from topics.admin import create_topics
from topics.job_event import JOB_EVENT, Queued

GROUP = "darkroom-hash"
HERE = TopicPartition("raw-path", 0)
CHANGELOG = TopicPartition("darkroom-hash-fingerprints-changelog", 0)


class Broker:
    """A broker whose disk forgets, and one stage at work on it."""

    def __init__(self, folder: Path, qdrant: Part, ml: Part) -> None:
        self.data, self.log, self.port = folder / "data", folder / "log", free_port()
        self._folder, self._others = folder, (qdrant, ml)
        self.part = self.start()

    def start(self) -> Part:
        return parts.start("Kafka", parts.kafka_arguments(self.data, self.port), self.port, self.log)

    def worker(self, **settings: Any) -> Worker:
        return Worker(self.part, *self._others, self._folder / "worker", stages="hash", **settings)

    def cut(self, messages: int, part: TopicPartition = HERE) -> None:
        """Kill the broker, and start it again with only the first messages of a log."""
        self.part.kill()
        segment = self.data / "logs" / f"{part.topic}-{part.partition}" / f"{0:020}.log"
        raw, at = segment.read_bytes(), 0
        for _ in range(messages):
            at += 12 + struct.unpack_from(">i", raw, at + 8)[0]
        assert at < len(raw)
        segment.write_bytes(raw[:at])
        self.part = self.start()

    async def send(self, job: str, *paths: Path) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.part.address) as producer:
            for path in paths:
                value = json.dumps(raw_path(job, "c", picture(path))).encode()
                await producer.send_and_wait(HERE.topic, value, key=str(path).encode(), partition=HERE.partition)

    async def commit(self, offset: int) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.part.address, group_id=GROUP, enable_auto_commit=False)
        async with consumer:
            consumer.assign([HERE])
            await consumer.commit({HERE: offset})

    async def committed(self) -> int | None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.part.address, group_id=GROUP, enable_auto_commit=False)
        async with consumer:
            consumer.assign([HERE])
            found: int | None = await consumer.committed(HERE)
            return found


@pytest.fixture
async def broker(tmp_path: Path, qdrant: Part, ml: Part) -> AsyncIterator[Broker]:
    made = Broker(tmp_path, qdrant, ml)
    yield made
    made.part.kill()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while not await condition():
            await asyncio.sleep(0.1)


async def handed_on(broker: Broker, job: str, *paths: Path) -> None:
    """Wait until these files have come out of the stage."""
    wanted = {str(path) for path in paths}
    async with AIOKafkaConsumer(bootstrap_servers=broker.part.address, auto_offset_reset="earliest") as consumer:
        everywhere = [TopicPartition("hashed-file", number) for number in range(4)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        found: set[str] = set()
        async with asyncio.timeout(HANG_SECONDS):
            while not wanted <= found:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    values = [json.loads(one.value) for record in records for one in files_of(record) if one.value]
                    found |= {value["path"] for value in values if value["job_id"] == job}


async def pass_through(broker: Broker, job: str, *paths: Path) -> None:
    """Send files, and wait until they have come out of the stage."""
    await broker.send(job, *paths)
    await handed_on(broker, job, *paths)


async def test_a_stage_begins_at_the_first_message_where_the_log_ends_before_what_is_committed(
    broker: Broker, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(3)]
    with broker.worker() as worker:
        await pass_through(broker, "first", paths[0])
    await broker.commit(1000)
    with broker.worker() as worker:
        await handed_on(broker, "first", paths[0])
        await until(lambda: is_committed(broker, 1))
        await pass_through(broker, "second", *paths[1:])
    (said,) = [line for line in worker.lines() if line["event"] == "log-lost-its-end"]
    assert (said["topic"], said["partition"], said["read_to"], said["begin"], said["end"]) == (
        "raw-path",
        0,
        1000,
        0,
        1,
    )


async def test_a_stage_begins_at_the_first_message_where_the_log_lost_its_end_and_has_grown_again(
    broker: Broker, tmp_path: Path
) -> None:
    """What is committed was in the log, and is not what stands there now: four messages were passed in silence."""
    new = [tmp_path / f"new-{number}.jpg" for number in range(8)]
    with broker.worker() as worker:
        await take_six(broker, tmp_path)
    week_ago = time.time() - 7 * 86_400
    note(worker.data / "worker" / "hash", week_ago)
    with broker.worker() as worker:  # takes over what is committed: the log is as it was, but its tables are too old
        more = tmp_path / "more.jpg"
        await pass_through(broker, "old", more)
        await until(lambda: is_committed(broker, 7))
    said = [line for line in worker.lines() if line["event"] in {"log-lost-its-end", "tables-made-anew"}]
    assert [(line["event"], line["last_used"]) for line in said] == [("tables-made-anew", round(week_ago))]
    broker.cut(2)
    await broker.send("new", *new)
    with broker.worker() as worker:
        await handed_on(broker, "new", *new)
        await until(lambda: is_committed(broker, 10))
    (lost,) = [line for line in worker.lines() if line["event"] == "log-lost-its-end"]
    assert (lost["topic"], lost["partition"], lost["read_to"], lost["begin"], lost["end"]) == ("raw-path", 0, 7, 0, 10)


async def test_the_view_is_read_anew_where_a_log_lost_its_end_and_has_grown_again(
    broker: Broker, tmp_path: Path
) -> None:
    await create_topics(Settings(), broker.part.address)
    kafka: ClientOptions = {"bootstrap_servers": broker.part.address}

    async def queue(*jobs: str) -> None:
        async with AIOKafkaProducer(**kafka) as producer:
            for job in jobs:
                event = Queued(job_id=job, at=1e9, collection="c", sources=["/photos"])
                await producer.send_and_wait(JOB_EVENT.name, JOB_EVENT.encode(event), key=job.encode(), partition=0)

    async def shown(*jobs: str) -> None:
        async with open_view(tmp_path / "view.db", kafka, Settings().kafka_partitions, 1) as view:
            for job in jobs:
                await view.wait_for(job, 0, HANG_SECONDS)

    await queue("a", "b", "c")
    await shown("a", "b", "c")
    broker.cut(1, TopicPartition(JOB_EVENT.name, 0))
    await queue("d", "e", "f")
    await shown("a", "d", "e", "f")


async def take_six(broker: Broker, folder: Path) -> None:
    """Let a stage take six old files, and commit them."""
    await pass_through(broker, "old", *[folder / f"old-{number}.jpg" for number in range(6)])
    await until(lambda: is_committed(broker, 6))


async def is_committed(broker: Broker, offset: int) -> bool:
    return await broker.committed() == offset


@pytest.mark.chaos
async def test_a_stage_at_work_reads_what_comes_after_the_end_was_lost(broker: Broker, tmp_path: Path) -> None:
    """It has to notice before the log is as long again, and to remember it over its restart."""
    new = [tmp_path / f"new-{number}.jpg" for number in range(8)]
    with broker.worker() as worker:
        await take_six(broker, tmp_path)
        broker.cut(2)
        await until(lambda: asyncio.to_thread(worker.has_ended))
        assert await broker.committed() == 0
        await broker.send("new", *new)
        worker.start()
        await handed_on(broker, "new", *new)


@pytest.mark.chaos
async def test_a_table_is_whole_before_its_stage_goes_on(broker: Broker, tmp_path: Path) -> None:
    """Of a worker whose disk is new, rows behind somebody else's open transaction in the changelog were missing."""
    paths = [tmp_path / f"{number}.jpg" for number in range(2)]
    worker, options = broker.worker(), {"bootstrap_servers": broker.part.address}
    foreign = AIOKafkaProducer(**options, transactional_id="foreign", transaction_timeout_ms=600_000)
    async with foreign as producer:
        with worker:
            await pass_through(broker, "before", paths[0])
            await producer.begin_transaction()
            await producer.send_and_wait(CHANGELOG.topic, None, key=b"foreign", partition=CHANGELOG.partition)
            await pass_through(broker, "before", paths[1])
            await until(lambda: is_committed(broker, 2))
        for tables in worker.data.rglob("tables"):
            shutil.rmtree(tables)
        # Another content behind the same size and time, which only the row knows.
        stamp, content = paths[1].stat(), paths[1].read_bytes()
        known = hashlib.sha256(content).hexdigest()
        value = json.dumps(raw_path("after", "c", paths[1])).encode()
        paths[1].write_bytes(content[::-1])
        os.utime(paths[1], ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        async with AIOKafkaProducer(**options) as other:
            await other.send_and_wait(HERE.topic, value, partition=HERE.partition)
        worker.launch()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(8):
                await handed_on(broker, "after", paths[1])
        await producer.abort_transaction()
        await handed_on(broker, "after", paths[1])
        await asyncio.to_thread(worker.stop)
    assert await hashes(broker, "after") == {known}


async def hashes(broker: Broker, job: str) -> set[str]:
    """Return the contents that a job's files were found to hold."""
    async with AIOKafkaConsumer(bootstrap_servers=broker.part.address) as consumer:
        everywhere = [TopicPartition("hashed-file", number) for number in range(4)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        fetched = await consumer.getmany(timeout_ms=2000)
    values = [json.loads(record.value) for records in fetched.values() for record in records if record.value]
    return {value["sha256"] for value in values if value["job_id"] == job}


@pytest.mark.chaos
async def test_a_stage_at_work_compares_a_log_that_has_grown_again_before_its_next_fetch(
    broker: Broker, tmp_path: Path
) -> None:
    """Its position is in the log once more: four messages were passed in silence."""
    new = [tmp_path / f"new-{number}.jpg" for number in range(8)]
    with broker.worker(kafka_session_timeout_seconds=30) as worker:  # no rebalance comes meanwhile
        await take_six(broker, tmp_path)
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)
        broker.cut(2)
        await broker.send("new", *new)
        worker.process.send_signal(signal.SIGCONT)
        await until(lambda: asyncio.to_thread(worker.has_ended))
        assert await broker.committed() == 0
        worker.start()
        await handed_on(broker, "new", *new)
    (lost,) = [line for line in worker.lines() if line["event"] == "log-lost-its-end"]
    assert (lost["read_to"], lost["begin"], lost["end"]) == (6, 0, 10)


async def test_a_table_that_is_ahead_of_its_changelog_is_made_anew(broker: Broker, tmp_path: Path) -> None:
    """The worker ended at each start, with ConsistencyError, until somebody deleted its folder."""
    paths = [tmp_path / f"{number}.jpg" for number in range(6)]
    with broker.worker() as worker:
        for some in (paths[:1], paths[1:]):  # the first row is a batch of its own
            await pass_through(broker, "before", *some)
        await until(lambda: is_committed(broker, len(paths)))
    broker.cut(1, CHANGELOG)
    async with AIOKafkaProducer(bootstrap_servers=broker.part.address, transactional_id="foreign") as producer:
        await producer.begin_transaction()  # so that the log ends with a marker
        await producer.send(CHANGELOG.topic, None, key=b"foreign", partition=CHANGELOG.partition)
        await producer.commit_transaction()
    with broker.worker() as worker:
        more = tmp_path / "more.jpg"
        await pass_through(broker, "after", more)
    (said,) = [line for line in worker.lines() if line["event"] == "table-made-anew"]
    assert (said["table"], said["partition"], said["offset"], said["end"]) == ("fingerprints", 0, 5, 3)
