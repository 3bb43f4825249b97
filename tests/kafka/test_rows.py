"""Rows on a real broker: what a put promises, whom it refuses, and how far a local table says that it is recovered."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP

from agents.app import new_app
from agents.delivery import writing_rows
from errors import PartitionRevokedError
from settings import Settings
from tables.rows import Rows
from tests.bus import PARTITIONS, Bus
from tests.parts import Part
from topics.admin import TABLES, changelog, create_topics

PARTITION = 3


@dataclass
class Bench:
    """A started stage with a table, and an event of one of its partitions."""

    app: faust.App
    rows: Rows
    table: Any
    event: Any
    changelog: str
    bus: Bus

    async def end(self) -> int:
        ends = await self.bus.ends(self.changelog)
        return next(end for where, end in ends.items() if where.partition == PARTITION)

    @property
    def noted(self) -> int | None:
        """Up to where the local table says that it holds its changelog."""
        noted: int | None = self.table.data.persisted_offset(TP(self.changelog, PARTITION))
        return noted


@pytest.fixture
async def bench(kafka: Part, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(kafka_brokers=kafka.address, kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    await create_topics(settings, kafka.address)
    app = new_app("hash", settings, tmp_path)
    table = app.Table(TABLES["hash"], partitions=PARTITIONS, key_type=bytes, value_type=bytes)
    rows = Rows(table)
    source = app.topic("raw-path", key_serializer="raw", value_serializer="raw", partitions=PARTITIONS)

    @app.agent(source)
    async def agent(stream: Any) -> None:
        async for _ in stream.noack().events():
            pass

    tp = TP("raw-path", PARTITION)
    await app.start()
    try:
        async with Bus(kafka.address, "raw-path") as bus:
            async with asyncio.timeout(60):
                # Until the tables are recovered.
                tables: Any = app.tables
                while tp not in app.consumer.assignment() or not tables.recovery.completed.is_set():
                    await asyncio.sleep(0.05)
            message = SimpleNamespace(partition=PARTITION, tp=tp, generation_id=app.consumer_generation_id)
            yield Bench(app, rows, table, _Event(message), changelog(settings, "hash", TABLES["hash"]), bus)
    finally:
        await app.stop()


class _Event:
    def __init__(self, message: Any) -> None:
        self.message = message


async def test_a_put_is_delivered_when_it_says_so(bench: Bench) -> None:
    """Faust's own write is forgotten: the flush before a commit gives up after 100 ms without progress."""
    before = await bench.end()
    with writing_rows(bench.event):
        deliveries = [bench.rows.put(b"key-%d" % number, b"value") for number in range(20)]
        assert bench.rows.get(b"key-7") == b"value"
    await asyncio.wait_for(asyncio.gather(*deliveries), 30)
    assert await bench.end() == before + 20


@pytest.mark.parametrize("change", ["generation_id", "tp"])
async def test_an_event_from_before_a_rebalance_writes_nothing(bench: Bench, change: str) -> None:
    before = await bench.end()
    setattr(bench.event.message, change, -1 if change == "generation_id" else TP("raw-path", PARTITIONS + 1))
    with writing_rows(bench.event), pytest.raises(PartitionRevokedError):
        bench.rows.put(b"key", b"value")
    assert await bench.end() == before


async def test_a_table_does_not_claim_to_hold_what_another_worker_wrote(bench: Bench) -> None:
    """After a rebalance the partition comes back: what lies in between must be recovered, not skipped."""
    with writing_rows(bench.event):
        await asyncio.wait_for(bench.rows.put(b"mine", b"1"), 30)
    held = bench.noted
    assert held == await bench.end() - 1
    await bench.bus.publish(bench.changelog, "other", b"2", partition=PARTITION)
    with writing_rows(bench.event):
        await asyncio.wait_for(bench.rows.put(b"mine", b"3"), 30)
    assert bench.noted == held


async def test_a_retry_of_the_producer_repeats_nothing(bench: Bench) -> None:
    """Faust switches idempotence on with `exactly_once` only."""
    producer: Any = bench.app.producer
    sending = producer._ensure_producer()
    assert sending._txn_manager is not None
    assert not sending._txn_manager.transactional_id
