"""No message between the committed offset and the newest is left out, whatever is fetched around a seek."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from agents.app import new_app
from agents.consumer import GaplessConsumer, _ConsumerThread
from errors import KafkaUnavailableError
from settings import Settings

HERE = TP("raw-path", 0)


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
    """A stage's consumer under Faust's own reading; what the broker gives, fetch by fetch, is scripted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
        self.sought: list[int] = []
        self.taken: list[int] = []
        app: Any = new_app("hash", Settings(kafka_brokers="127.0.0.1:1"), data)
        app.topics._acking_topics.add(HERE.topic)
        self.consumer = app.consumer
        self.consumer._thread.loop.close()  # it is never started, hence never stopped
        self.consumer.callback = self.take
        monkeypatch.setattr(self.consumer, "_seek", self.seek)
        monkeypatch.setattr(self.consumer, "assignment", lambda: {HERE})
        monkeypatch.setattr(self.consumer, "earliest_offsets", self.earliest)
        self._monkeypatch = monkeypatch

    async def read(self, committed: int | None, script: Sequence[Sequence[int]]) -> list[int]:
        """Return the offsets that the stage takes."""
        calls = iter(script)
        ended = asyncio.Event()

        async def seek_to_committed() -> dict[TP, int | None]:
            return {HERE: committed}

        async def getmany(_: object, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
            offsets = next(calls, None)
            if offsets is None:
                ended.set()
            for offset in offsets or ():
                yield HERE, SimpleNamespace(topic=HERE.topic, offset=offset, key=None, value=None)

        self._monkeypatch.setattr(self.consumer, "seek_to_committed", seek_to_committed)
        self._monkeypatch.setattr(Consumer, "getmany", getmany)
        await self.consumer.perform_seek()
        await asyncio.wait_for(self.consumer._drain_messages(SimpleNamespace(_stopped=ended)), 10)
        return self.taken

    async def take(self, message: Any) -> None:
        self.taken.append(message.offset)

    async def seek(self, tp: TP, offset: int) -> None:
        self.sought.append(offset)

    async def earliest(self, *parts: TP) -> dict[TP, int]:
        return dict.fromkeys(parts, 3)


@pytest.fixture
async def fetches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fetches:
    return Fetches(monkeypatch, tmp_path)


async def test_records_from_before_the_seek_are_not_taken_for_a_gap(fetches: Fetches) -> None:
    assert await fetches.read(10, [[19, 20], [10, 11, 12], [13]]) == [10, 11, 12, 13]
    assert fetches.sought == [10]


@pytest.mark.parametrize("committed", [None, 0])
async def test_where_nothing_is_committed_reading_begins_at_the_first_message(
    fetches: Fetches, committed: int | None
) -> None:
    """A worker that was killed before its first commit left files without an outcome."""
    assert await fetches.read(committed, [[19, 20], [3, 4, 5], [6]]) == [3, 4, 5, 6]
    assert fetches.sought == [3, 3]


async def test_one_record_is_not_left_out_either(fetches: Fetches) -> None:
    """Faust does not even see this gap: it takes a committed offset for one that was read."""
    assert await fetches.read(10, [[11], [10, 11]]) == [10, 11]


async def test_repeated_records_are_dropped(fetches: Fetches) -> None:
    assert await fetches.read(5, [[5, 6, 7], [5, 6, 7, 8]]) == [5, 6, 7, 8]
    assert fetches.sought == []


async def test_a_gap_in_the_topic_itself_is_passed(fetches: Fetches) -> None:
    """The markers of a transaction take offsets and are never handed on; so do messages that have expired."""
    assert await fetches.read(5, [[5, 7], [7, 8], [10], [10]]) == [5, 7, 8, 10]
    assert fetches.sought == [6, 9]


async def test_without_a_committed_offset_it_begins_where_the_topic_does(fetches: Fetches) -> None:
    assert await fetches.read(None, [[3, 4]]) == [3, 4]
