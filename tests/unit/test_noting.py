"""How far a table says that it holds its changelog, where others wrote, or nobody, between its own records."""

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from streams.noting import Noting

PART = TP("changelog", 0)


class Store:
    """As much of Faust's store as is used."""

    def __init__(self) -> None:
        self._dbs: dict[int, object] = {0: object()}
        self.offset: int | None = None

    def persisted_offset(self, _: TP) -> int | None:
        return self.offset

    def set_persisted_offset(self, _: TP, offset: int) -> None:
        self.offset = offset


class Table:
    """A table that delivers records, on a changelog with messages of others at these offsets."""

    def __init__(self, *foreign: int) -> None:
        self.store = Store()
        self.messages = set(foreign)
        self.asked: list[tuple[int, int]] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.error: Exception | None = None
        self._noting = Noting(self.store, self._holds_message)

    async def deliver(self, *offsets: int) -> int | None:
        """Deliver records, and return the offset that is noted once nothing is looked into, or an answer waits."""
        for offset in offsets:
            self.messages.add(offset)
            self._noting.delivered(PART, offset, offset)
        for _ in range(10):
            await asyncio.sleep(0)
        return self.store.offset

    async def _holds_message(self, _: TP, first: int, last: int) -> bool:
        self.asked.append((first, last))
        await self.answering.wait()
        if self.error is not None:
            raise self.error
        return not self.messages.isdisjoint(range(first, last + 1))


async def test_without_a_gap_nothing_is_asked() -> None:
    table = Table()
    assert await table.deliver(0, 1, 2) == 2
    assert table.asked == []


async def test_behind_a_gap_that_holds_nothing_it_goes_on() -> None:
    table = Table()
    assert await table.deliver(0, 2, 3, 6) == 6
    assert table.asked == [(1, 1), (4, 5)]
    assert await table.deliver(7) == 7


async def test_a_changelog_need_not_begin_at_its_first_offset() -> None:
    table = Table()
    assert await table.deliver(5000) == 5000


@pytest.mark.parametrize("foreign", [1, 4])
async def test_what_another_worker_wrote_is_left_to_the_next_recovery(foreign: int) -> None:
    table = Table(foreign)
    assert await table.deliver(0, 2, 3, 6, 7) == 0
    asked = len(table.asked)
    assert await table.deliver(9, 12) == 0
    assert len(table.asked) == asked
    table.store.offset = 12  # by a recovery
    assert await table.deliver(13) == 13


async def test_gaps_that_come_while_it_asks_are_asked_about_too() -> None:
    table = Table(4)
    table.answering.clear()
    assert await table.deliver(0, 2) == 0
    assert await table.deliver(3, 5) == 0
    table.answering.set()
    assert await table.deliver() == 0
    assert table.asked == [(1, 1), (4, 4)]


async def test_where_kafka_does_not_tell_the_next_record_asks_again() -> None:
    table = Table()
    table.error = KafkaConnectionError()
    assert await table.deliver(0, 2) == 0
    table.error = None
    assert await table.deliver(3) == 3
    assert table.asked == [(1, 1), (1, 1)]


@pytest.mark.parametrize("databases", [{}, {0: object()}], ids=["revoked", "opened anew"])
async def test_of_a_database_that_was_closed_nothing_is_noted(databases: dict[int, object]) -> None:
    table = Table()
    table.answering.clear()
    assert await table.deliver(0, 2) == 0
    table.store._dbs = databases
    table.answering.set()
    assert await table.deliver() == 0
