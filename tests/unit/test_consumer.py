"""No message between the committed offset and the newest is left out, whatever is fetched around a seek."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from agents.consumer import GaplessConsumer, _ConsumerThread
from errors import KafkaUnavailableError

HERE = TP("raw-path", 0)


@dataclass
class Message:
    offset: int


async def test_a_commit_that_is_asked_for_while_another_is_under_way_is_made_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Faust takes the one under way for it: what was acked after that had begun would wait for the next, if any."""
    consumer: Any = GaplessConsumer.__new__(GaplessConsumer)
    app: Any = type("App", (), {"client_only": False})
    consumer.app, consumer.loop, consumer._commit_fut = app, asyncio.get_running_loop(), None
    acked, committed = ["a"], list[str]()
    gate = asyncio.Event()

    async def force_commit(*_: object, **__: object) -> bool:
        now = list(acked)
        await gate.wait()
        committed[:] = now
        return True

    monkeypatch.setattr(consumer, "force_commit", force_commit)
    first = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0)
    acked.append("b")
    second = asyncio.create_task(consumer.commit())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert committed == ["a", "b"]


async def test_a_commit_that_hangs_ends_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.consumer.COMMIT_SECONDS", 0.05)
    consumer: Any = GaplessConsumer.__new__(GaplessConsumer)
    app: Any = type("App", (), {"client_only": False})
    consumer.app, consumer.loop, consumer._commit_fut = app, asyncio.get_running_loop(), None
    crashes: list[BaseException] = []

    async def hang(*_: object, **__: object) -> bool:
        await asyncio.sleep(600)
        return True

    async def crash(error: BaseException) -> None:
        crashes.append(error)

    monkeypatch.setattr(consumer, "force_commit", hang)
    monkeypatch.setattr(consumer, "crash", crash)
    assert not await asyncio.wait_for(consumer.commit(), 10)
    assert [type(error) for error in crashes] == [KafkaUnavailableError]


@pytest.mark.parametrize(("assigned", "made"), [(set[TP](), False), ({HERE}, True)])
async def test_a_commit_whose_partitions_were_all_taken_away_is_left_out(
    monkeypatch: pytest.MonkeyPatch, assigned: set[TP], made: bool
) -> None:
    """aiokafka refuses an empty commit, and Faust crashes the app for that."""
    committed: list[Any] = []

    async def commit(_: object, offsets: Any) -> bool:
        committed.append(offsets)
        return True

    monkeypatch.setattr(AIOKafkaConsumerThread, "_commit", commit)
    thread: Any = _ConsumerThread.__new__(_ConsumerThread)
    thread.assignment = lambda: assigned
    assert await thread._commit({HERE: 7}) is made
    assert committed == ([{HERE: 7}] if made else [])


async def test_the_assignment_is_made_anew_only_when_it_changes() -> None:
    """It is asked for several times an event; Faust makes a new set each time."""
    given = {TopicPartition(*HERE)}
    thread: Any = _ConsumerThread.__new__(_ConsumerThread)
    thread._ensure_consumer = lambda: SimpleNamespace(assignment=lambda: given)
    first = thread.assignment()
    assert first == {HERE}
    assert thread.assignment() is first
    given = {TopicPartition("raw-path", 1)}
    assert thread.assignment() == {TP("raw-path", 1)}


class Fetches:
    """Stands for Faust's fetching: gives scripted offsets, call by call, and remembers the seeks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, committed: int | None, script: Sequence[Sequence[int]]) -> None:
        self.sought: list[int] = []
        self.first = 3
        calls = iter(script)

        async def getmany(_: object, timeout: float) -> AsyncIterator[tuple[TP, Message]]:  # noqa: ASYNC109
            for offset in next(calls):
                yield HERE, Message(offset)

        async def perform_seek(consumer: Any) -> None:
            consumer._read_offset = {HERE: committed}

        async def seek(_: object, tp: TP, offset: int) -> None:
            self.sought.append(offset)

        async def earliest(_: object, *parts: TP) -> dict[TP, int]:
            return dict.fromkeys(parts, self.first)

        monkeypatch.setattr(Consumer, "getmany", getmany)
        monkeypatch.setattr(Consumer, "perform_seek", perform_seek)
        monkeypatch.setattr(Consumer, "_seek", seek)
        monkeypatch.setattr(Consumer, "_is_changelog_tp", lambda *_: False)
        monkeypatch.setattr(Consumer, "assignment", lambda _: {HERE})
        monkeypatch.setattr(Consumer, "earliest_offsets", earliest)
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


@pytest.mark.parametrize("committed", [None, 0])
async def test_where_nothing_is_committed_reading_begins_at_the_first_message(
    monkeypatch: pytest.MonkeyPatch, committed: int | None
) -> None:
    """A worker that was killed before its first commit left files without an outcome."""
    fetches = Fetches(monkeypatch, committed=committed, script=[[19, 20], [3, 4, 5], [6]])
    assert await fetches.read() == [3, 4, 5, 6]
    assert fetches.sought == [3, 3]


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
