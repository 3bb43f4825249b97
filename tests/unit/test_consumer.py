"""No message between the committed offset and the newest is left out, whatever is fetched around a seek."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from agents.consumer import GaplessConsumer

HERE = TP("raw-path", 0)


@dataclass
class Message:
    offset: int


class Fetches:
    """Stands for Faust's fetching: gives scripted offsets, call by call, and remembers the seeks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, committed: int | None, script: Sequence[Sequence[int]]) -> None:
        self.sought: list[int] = []
        calls = iter(script)

        async def getmany(_: object, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
            for offset in next(calls):
                yield HERE, Message(offset)

        async def perform_seek(consumer: Any) -> None:
            consumer._read_offset = {HERE: committed}

        async def seek(_: object, tp: TP, offset: int) -> None:
            self.sought.append(offset)

        monkeypatch.setattr(Consumer, "getmany", getmany)
        monkeypatch.setattr(Consumer, "perform_seek", perform_seek)
        monkeypatch.setattr(Consumer, "_seek", seek)
        monkeypatch.setattr(Consumer, "_is_changelog_tp", lambda *_: False)
        self.consumer = GaplessConsumer.__new__(GaplessConsumer)
        self.consumer._next, self.consumer._asked_again = {}, {}
        self._calls = len(script)

    async def read(self) -> list[int]:
        await self.consumer.perform_seek()
        return [message.offset for _ in range(self._calls) async for _tp, message in self.consumer.getmany(1.0)]


async def test_records_from_before_the_seek_are_not_taken_for_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches(monkeypatch, committed=10, script=[[19, 20], [10, 11, 12], [13]])
    assert await fetches.read() == [10, 11, 12, 13]
    assert fetches.sought == [10]


async def test_one_record_is_not_left_out_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust does not even see this gap: it takes a committed offset for one that was read."""
    fetches = Fetches(monkeypatch, committed=10, script=[[11], [10, 11]])
    assert await fetches.read() == [10, 11]


async def test_repeated_records_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches(monkeypatch, committed=5, script=[[5, 6, 7], [5, 6, 7, 8]])
    assert await fetches.read() == [5, 6, 7, 8]
    assert fetches.sought == []


async def test_a_gap_in_the_topic_itself_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The markers of a transaction take offsets and are never handed on; so do messages that have expired."""
    fetches = Fetches(monkeypatch, committed=5, script=[[5, 7], [7, 8], [10], [10]])
    assert await fetches.read() == [5, 7, 8, 10]
    assert fetches.sought == [6, 9]


async def test_without_a_committed_offset_it_begins_where_the_topic_does(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches = Fetches(monkeypatch, committed=None, script=[[3, 4]])
    assert await fetches.read() == [3, 4]
