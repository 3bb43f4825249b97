"""Rows on a real broker: what a put promises, whom it refuses, and how far a local table says that it is recovered."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import faust
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.types import TP

from core.errors import PartitionRevokedError
from core.settings import Settings
from gateways.kafka.connection import client_options
from gateways.kafka.reader import holds_message
from streams.app import new_app
from streams.producer import new_producer
from streams.rows import Rows
from streams.window import writing_rows
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import changelog, create_topics

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Bench:
    """A started stage with a table. Each test writes to a partition of its own."""

    app: faust.App
    address: str
    rows: Rows
    table: Any
    changelog: str
    consumer: AIOKafkaConsumer
    producer: AIOKafkaProducer
    answers: list[bool]
    """Whether the gaps that were looked into hold messages."""

    def event(self, partition: int) -> Any:
        """Make an event of now."""
        where = TP("raw-path", partition)
        generation = self.app.consumer_generation_id
        return _Event(SimpleNamespace(partition=partition, tp=where, generation_id=generation))

    async def end(self, partition: int) -> int:
        where = TopicPartition(self.changelog, partition)
        end: int = (await self.consumer.end_offsets([where]))[where]
        return end

    def noted(self, partition: int) -> int | None:
        """Up to where the local table says that it holds its changelog."""
        noted: int | None = self.table.data.persisted_offset(TP(self.changelog, partition))
        return noted


class _Event:
    def __init__(self, message: Any) -> None:
        self.message = message


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(kafka: Part, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    settings = Settings(kafka_brokers=kafka.address, kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    await create_topics(settings, kafka.address)
    sender = new_producer(settings)
    await sender.start()
    app = new_app("hash", settings, tmp_path_factory.mktemp("hash"), sender, AsyncMock())
    table = app.Table("fingerprints", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    options = client_options(settings)
    answers: list[bool] = []

    async def look(tp: TP, first: int, last: int) -> bool:
        answers.append(await holds_message(options, TopicPartition(*tp), first, last))
        return answers[-1]

    rows = Rows(table, sender, look)
    source = app.topic("raw-path", key_serializer="raw", value_serializer="raw", partitions=PARTITIONS)

    @app.agent(source)
    async def agent(stream: Any) -> None:
        async for _ in stream.noack().events():
            pass

    await app.start()
    address = {"bootstrap_servers": kafka.address}
    try:
        async with AIOKafkaConsumer(**address) as consumer, AIOKafkaProducer(**address) as producer:
            async with asyncio.timeout(HANG_SECONDS):
                # Until the tables are recovered.
                tables: Any = app.tables
                while TP("raw-path", 0) not in app.consumer.assignment() or not tables.recovery.completed.is_set():
                    await asyncio.sleep(0.05)
            name = changelog(settings, "hash")
            yield Bench(app, kafka.address, rows, table, name, consumer, producer, answers)
    finally:
        await app.stop()
        await sender.stop()


async def test_a_put_is_delivered_when_it_says_so(bench: Bench) -> None:
    """Faust's own write is forgotten: the flush before a commit gives up after 100 ms without progress."""
    before = await bench.end(0)
    with writing_rows(bench.event(0)):
        deliveries = [bench.rows.put(b"key-%d" % number, b"value") for number in range(20)]
        assert bench.rows.get(b"key-7") == b"value"
    told = [asyncio.ensure_future(delivery) for delivery in deliveries]
    await asyncio.sleep(0)
    assert not any(each.done() for each in told)
    await asyncio.wait_for(asyncio.gather(*told), HANG_SECONDS)
    assert await bench.end(0) == before + 20


@pytest.mark.parametrize("change", ["generation_id", "tp"])
async def test_an_event_from_before_a_rebalance_writes_nothing(bench: Bench, change: str) -> None:
    before, event = await bench.end(1), bench.event(1)
    setattr(event.message, change, -1 if change == "generation_id" else TP("raw-path", PARTITIONS + 1))
    with writing_rows(event), pytest.raises(PartitionRevokedError):
        bench.rows.put(b"key", b"value")
    assert await bench.end(1) == before


async def test_a_table_does_not_claim_to_hold_what_another_worker_wrote(bench: Bench) -> None:
    """After a rebalance the partition comes back: what lies in between must be recovered, not skipped."""
    with writing_rows(bench.event(2)):
        await asyncio.wait_for(bench.rows.put(b"mine", b"1"), HANG_SECONDS)
    held = bench.noted(2)
    assert held == await bench.end(2) - 1
    await bench.producer.send_and_wait(bench.changelog, b"2", key=b"other", partition=2)
    with writing_rows(bench.event(2)):
        await asyncio.wait_for(bench.rows.put(b"mine", b"3"), HANG_SECONDS)
    async with asyncio.timeout(HANG_SECONDS):
        while not bench.answers:
            await asyncio.sleep(0.05)
    assert bench.answers == [True]
    with writing_rows(bench.event(2)):
        await asyncio.wait_for(bench.rows.put(b"mine", b"4"), HANG_SECONDS)
    assert bench.noted(2) == held


async def test_after_a_gap_without_messages_a_table_notes_again_what_it_holds(bench: Bench) -> None:
    """Markers of a transaction, for one: after them nothing was ever noted, and each start read all since then."""
    with writing_rows(bench.event(3)):
        await asyncio.wait_for(bench.rows.put(b"mine", b"1"), HANG_SECONDS)
    options = {"bootstrap_servers": bench.address}
    async with AIOKafkaProducer(**options, transactional_id=f"t-{bench.changelog}") as producer:
        for number in range(2):
            await producer.begin_transaction()
            await producer.send_and_wait(bench.changelog, b"aborted", key=b"mine", partition=3)
            await producer.abort_transaction()
            with writing_rows(bench.event(3)):
                await asyncio.wait_for(bench.rows.put(b"mine", b"%d" % number), HANG_SECONDS)
    # The marker of the last one may come behind our record.
    async with asyncio.timeout(HANG_SECONDS):
        while bench.noted(3) != await bench.end(3) - 1:
            with writing_rows(bench.event(3)):
                await bench.rows.put(b"mine", b"9")
            await asyncio.sleep(0.05)
    with writing_rows(bench.event(3)):
        await asyncio.wait_for(bench.rows.put(b"mine", b"10"), HANG_SECONDS)
    assert bench.noted(3) == await bench.end(3) - 1


async def test_a_recovered_table_holds_what_packed_records_hold(bench: Bench) -> None:
    """Many rows with one record: what another worker makes of the changelog is what is here, also what was deleted."""
    here, there = 1, 0
    before = await bench.end(here)
    with writing_rows(bench.event(here)):
        old = [bench.rows.put(b"f|job|%d" % number, b'{"old":1}') for number in range(2)]
        many = {b"f|job|%03d" % number: b"[%d]" % number for number in range(500)}
        packed = [bench.rows.put_packed(b"f|job|", many), bench.rows.put_packed(b"f|other|", {b"f|other|1": b"[1]"})]
        packed.append(bench.rows.put_packed(b"f|job|", {b"f|job|007": b"[70]"}))
    await asyncio.wait_for(asyncio.gather(*old, *packed), HANG_SECONDS)
    assert await bench.end(here) == before + 5
    await recover(bench, here, there, since=before)
    with writing_rows(bench.event(there)):
        assert bench.rows.get(b"f|job|007") == b"[70]"
        assert len([*bench.rows.starting_with(b"f|")]) == 503
    assert rows_of(bench, there) == rows_of(bench, here)
    with writing_rows(bench.event(here)):
        deliveries, is_more = bench.rows.delete_packed(b"f|job|", 1)
        rest, is_none_left = bench.rows.delete_packed(b"f|job|", 5)
    assert (len(deliveries), is_more, len(rest), is_none_left) == (1, True, 1, False)
    await asyncio.wait_for(asyncio.gather(*deliveries, *rest), HANG_SECONDS)
    await recover(bench, here, there, since=before)
    assert rows_of(bench, there) == rows_of(bench, here)
    with writing_rows(bench.event(there)):
        assert [key for key, _ in bench.rows.starting_with(b"f|")] == [b"f|other|1"]


async def test_rows_that_are_put_together_are_one_record_and_end_by_themselves(bench: Bench) -> None:
    here, there = 3, 2
    before = await bench.end(here)
    rows = {b"f|content": b'{"vector":""}', b"f|claim": b"\0\xff", b"f|empty": b""}
    with writing_rows(bench.event(here)):
        deliveries = [bench.rows.put(b"f|claim", b"owner"), bench.rows.put_together(b"f|content", rows)]
        assert bench.rows.get_many([*rows]) == [*rows.values()]
    await asyncio.wait_for(asyncio.gather(*deliveries), HANG_SECONDS)
    assert await bench.end(here) == before + 2
    await recover(bench, here, there, since=before)
    assert rows_of(bench, there) == rows
    with writing_rows(bench.event(here)):
        deliveries = [bench.rows.delete(b"f|content"), bench.rows.put(b"f|claim", b"another")]
    await asyncio.wait_for(asyncio.gather(*deliveries), HANG_SECONDS)
    await recover(bench, here, there, since=before)
    assert rows_of(bench, there) == rows_of(bench, here) == {b"f|claim": b"another", b"f|empty": b""}


async def test_a_row_that_another_record_holds_stays_deleted_when_tombstones_are_compacted_away(bench: Bench) -> None:
    here, there = 1, 0
    before = await bench.end(here)
    with writing_rows(bench.event(here)):
        held = {b"f|content": b'{"vector":""}', b"f|path": b"incarnation", b"f|other": b"incarnation"}
        deliveries = [bench.rows.put_together(b"f|content", held)]
        deliveries += [bench.rows.delete_held(b"f|path"), bench.rows.delete(b"f|other")]
        assert rows_of(bench, here).keys() & held.keys() == {b"f|content"}
    await asyncio.wait_for(asyncio.gather(*deliveries), HANG_SECONDS)
    await recover(bench, here, there, since=before, without_tombstones=True)
    # The other one, of which a tombstone alone said so, is back.
    assert rows_of(bench, there).keys() & held.keys() == {b"f|content", b"f|other"}
    with writing_rows(bench.event(here)):
        again = bench.rows.put(b"f|path", b"another")
    await asyncio.wait_for(again, HANG_SECONDS)
    await recover(bench, here, there, since=before, without_tombstones=True)
    assert rows_of(bench, there)[b"f|path"] == b"another"


def rows_of(bench: Bench, partition: int) -> dict[bytes, bytes]:
    with writing_rows(bench.event(partition)):
        return dict([*bench.rows.starting_with(b"f|"), *bench.rows.starting_with(b"+|")])


async def recover(bench: Bench, source: int, target: int, since: int, *, without_tombstones: bool = False) -> None:
    """Have the table take over a partition's changelog as if it were that of another one."""
    where, count = TopicPartition(bench.changelog, source), await bench.end(source) - since
    events: list[Any] = []
    async with AIOKafkaConsumer(bootstrap_servers=bench.address) as reader, asyncio.timeout(HANG_SECONDS):
        reader.assign([where])
        reader.seek(where, since)
        while len(events) < count:
            record = await reader.getone()
            tp = TP(bench.changelog, target)
            message = SimpleNamespace(tp=tp, partition=target, offset=record.offset, key=record.key, value=record.value)
            events.append(SimpleNamespace(message=message))
    if without_tombstones:
        events = [event for event in events if event.message.value is not None]
    bench.table.apply_changelog_batch(events)
