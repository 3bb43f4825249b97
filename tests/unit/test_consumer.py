"""No message between the committed offset and the newest is left out, whatever is fetched around a seek."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from core import metrics
from core.errors import KafkaUnavailableError
from core.settings import Settings
from gateways.kafka.batches import Unreadable
from rules.positions import LastRead
from streams.app import new_app
from streams.consumer import FULL_QUEUE_SECONDS, GaplessConsumer
from streams.consumer_thread import ConsumerThread
from streams.doubts import Doubts
from tests.deadlines import HANG_SECONDS

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
    await asyncio.wait_for(asyncio.gather(first, second), HANG_SECONDS)
    assert committed == ["a", "b"]


async def test_a_commit_that_hangs_ends_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.consumer.COMMIT_SECONDS", 0.05)
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
    assert not await asyncio.wait_for(consumer.commit(), HANG_SECONDS)
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
    thread: Any = ConsumerThread.__new__(ConsumerThread)
    thread.assignment = lambda: assigned
    assert await thread._commit({HERE: 7}) is made
    assert committed == ([{HERE: 7}] if made else [])


async def test_the_assignment_is_made_anew_only_when_it_changes() -> None:
    """It is asked for several times an event; Faust makes a new set each time."""
    given = {TopicPartition(*HERE)}
    thread: Any = ConsumerThread.__new__(ConsumerThread)
    thread._ensure_consumer = lambda: SimpleNamespace(assignment=lambda: given)
    first = thread.assignment()
    assert first == {HERE}
    assert thread.assignment() is first
    given = {TopicPartition("raw-path", 1)}
    assert thread.assignment() == {TP("raw-path", 1)}


def message_at(offset: int) -> Any:
    return ConsumerMessage(HERE.topic, HERE.partition, offset, 0.0, 0, None, None, None, None, tp=HERE)


class Fetches:
    """A stage's consumer under Faust's own reading; what the broker gives, fetch by fetch, is scripted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
        self.sought: list[int] = []  # since the first seek
        self.taken: list[int] = []
        self.seek_first = True
        self.seek_during: int | None = None
        self.first, self.end = 3, 1000
        self.read_to: list[int] = []  # where the position is at each fetch; then nowhere
        self.aside: list[Any] = []
        self.committed: list[dict[TP, int]] = []
        self.other_logs: set[TP] = set()
        nothing: Any = None  # it sends nothing
        app: Any = new_app("hash", Settings(kafka_brokers="127.0.0.1:1"), data, nothing, self.put_aside)
        app.topics._acking_topics.add(HERE.topic)
        self.consumer = app.consumer
        self.consumer._thread.loop.close()  # it is never started, hence never stopped
        self.consumer.callback = self.take
        monkeypatch.setattr(self.consumer, "_seek", self.seek)
        monkeypatch.setattr(self.consumer, "assignment", lambda: {HERE})
        monkeypatch.setattr(self.consumer._thread, "earliest_offsets", self.earliest)
        monkeypatch.setattr(self.consumer._thread, "log_ends", self.log_ends)
        monkeypatch.setattr("streams.beginnings._other_logs", self.find_other_logs)
        monkeypatch.setattr(self.consumer._thread, "read_to", lambda _: self.read_to.pop(0) if self.read_to else None)
        monkeypatch.setattr(self.consumer._thread, "commit", self.commit)
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
                yield HERE, message_at(offset)

        self._monkeypatch.setattr(self.consumer, "seek_to_committed", seek_to_committed)
        self._monkeypatch.setattr(Consumer, "getmany", getmany)
        if self.seek_first:
            await self.go_on()
            self.sought.clear()
        await asyncio.wait_for(self.consumer._drain_messages(SimpleNamespace(_stopped=ended)), HANG_SECONDS)
        return self.taken

    async def take(self, message: Any) -> None:
        self.taken.append(message.offset)
        if message.offset == self.seek_during:
            self.seek_during = None
            await asyncio.create_task(self.go_on())

    async def go_on(self) -> None:
        """Do what Faust does at the end of a rebalance."""
        await self.consumer.perform_seek()
        self.consumer.resume_flow()

    async def seek(self, tp: TP, offset: int) -> None:
        self.sought.append(offset)

    async def earliest(self, *parts: TP) -> dict[TP, int]:
        return dict.fromkeys(parts, self.first)

    async def log_ends(self, parts: set[TP]) -> dict[TP, int]:
        return dict.fromkeys(parts, self.end)

    async def find_other_logs(self, *_: object) -> set[TP]:
        return self.other_logs

    async def commit(self, offsets: dict[TP, int]) -> bool:
        self.committed.append(offsets)
        return True

    async def put_aside(self, part: TopicPartition, left_out: Unreadable) -> None:
        self.aside.append((part, left_out))


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
    assert fetches.sought == [3]


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


async def test_a_seek_while_a_message_is_handed_on_is_no_less_a_seek(fetches: Fetches) -> None:
    """Faust notes the message as read after it, and drops what is read again up to there: files were lost for good."""
    fetches.seek_during = 13
    assert await fetches.read(10, [[10, 11, 12, 13], [10, 11, 12, 13, 14]]) == [10, 11, 12, 13, *range(10, 15)]


async def test_nothing_is_handed_on_between_a_revoke_and_the_seek(fetches: Fetches) -> None:
    """Faust lets the partitions go on before it seeks; what was acked meanwhile would be committed."""
    await fetches.read(10, [[10]])
    fetches.consumer._on_partitions_revoked = AsyncMock()
    await fetches.consumer.on_partitions_revoked({HERE})
    fetches.seek_first = False
    assert await fetches.read(10, [[11, 12]]) == [10]
    fetches.seek_first = True
    assert await fetches.read(10, [[10, 11]]) == [10, 10, 11]


async def test_what_is_fetched_before_the_stage_goes_on_is_read_again(
    monkeypatch: pytest.MonkeyPatch, fetches: Fetches
) -> None:
    """Faust empties the agents' queues as it goes on; with the position behind the messages, files waited for ever."""
    consumer, position = fetches.consumer, 0

    async def getmany(_: object, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        nonlocal position
        while position < 15:
            position += 1
            yield HERE, message_at(position - 1)

    async def seek(_: TP, offset: int) -> None:
        nonlocal position
        position = offset

    async def taken() -> list[int]:
        return [message.offset async for _, message in consumer.getmany(0)]

    async def seek_to_committed() -> dict[TP, int]:
        await seek(HERE, 10)
        # Reading has its own task, which does not wait for this one.
        assert await taken() == []
        return {HERE: 10}

    monkeypatch.setattr(Consumer, "getmany", getmany)
    monkeypatch.setattr(consumer, "_seek", seek)
    monkeypatch.setattr(consumer, "seek_to_committed", seek_to_committed)
    await asyncio.create_task(consumer.perform_seek())
    assert await taken() == []
    consumer.resume_flow()
    assert await taken() == [10, 11, 12, 13, 14]


async def test_it_seeks_in_the_thread_that_reads(monkeypatch: pytest.MonkeyPatch, fetches: Fetches) -> None:
    """aiokafka's consumer belongs to one event loop: beside a read, a seek was lost, or it ended the stage."""
    monkeypatch.undo()
    thread, from_here, in_its_thread = fetches.consumer._thread, Mock(), AsyncMock()
    monkeypatch.setattr(thread, "seek", from_here)
    monkeypatch.setattr(thread, "call_thread", in_its_thread)
    await fetches.consumer.seek(HERE, 7)
    in_its_thread.assert_awaited_once_with(from_here, HERE, 7)
    from_here.assert_not_called()


@pytest.mark.parametrize(
    ("committed", "script", "acked", "expected"),
    [
        (10, [[10, 11, 12]], [10, 11], 12),
        (10, [[10, 11, 12]], [11, 12], None),
        (0, [[3, 4]], [3], 4),
        (None, [[3, 4]], [4], None),
        (10, [[10, 13], [13]], [10], 13),
        (10, [[10, 12], [12]], [10, 12], 13),
        (10, [[12], [12, 13]], [12], 13),
        (10, [[12], [12, 13]], [], 12),
        (10, [[10, 13], [13]], [], None),
    ],
    ids=[
        "as acked",
        "the first is not",
        "a new topic",
        "its first is not",
        "up to a message behind a gap",
        "over a gap",
        "from a gap",
        "a gap alone",
        "none before a gap",
    ],
)
async def test_it_commits_up_to_the_first_message_that_is_not_acked(
    fetches: Fetches, committed: int | None, script: list[list[int]], acked: list[int], expected: int | None
) -> None:
    """Faust lets one be missing at the committed offset, and takes the one behind a gap for acked."""
    await fetches.read(committed, script)
    for offset in acked:
        fetches.consumer.ack(message_at(offset))
    assert fetches.consumer._new_offset(HERE) == expected


async def test_markers_at_the_end_of_a_log_are_committed(fetches: Fetches) -> None:
    """They would look like messages that nobody reads, for ever; first it reads once more what seems to be empty."""
    fetches.read_to = [10, 12, 12]
    await fetches.read(10, [[10], [], []])
    assert fetches.sought == [11]
    assert fetches.consumer._new_offset(HERE) is None, "10 is not acked"
    fetches.consumer.ack(message_at(10))
    assert fetches.consumer._new_offset(HERE) == 12


async def test_messages_that_a_stop_of_the_flow_dropped_are_not_taken_for_markers(fetches: Fetches) -> None:
    fetches.read_to = [10, 12, 12]
    assert await fetches.read(10, [[], [10, 11], [12]]) == [10, 11, 12]
    assert fetches.sought == [10]


async def test_a_partition_of_markers_alone_is_committed(fetches: Fetches) -> None:
    fetches.read_to = [12, 12, 12]
    await fetches.read(None, [[], [], []])
    assert list(fetches.consumer._filter_tps_with_pending_acks()) == [HERE]
    assert fetches.consumer._new_offset(HERE) == 12


async def test_a_log_that_ends_before_what_is_committed_is_read_from_its_first_message(fetches: Fetches) -> None:
    """A broker had lost its end: that many new messages were passed in silence."""
    fetches.end = 7
    assert await fetches.read(10, [[3, 4, 5, 6], [7]]) == [3, 4, 5, 6, 7]
    assert fetches.committed == [{HERE: 3}], "a restart would find the log grown beyond what is committed"
    fetches.consumer.ack(message_at(3))
    assert fetches.consumer._new_offset(HERE) == 4


async def test_another_log_is_read_from_its_first_message_though_it_is_longer(fetches: Fetches) -> None:
    fetches.other_logs = {HERE}
    before = read_anew()
    assert await fetches.read(10, [[3, 4]]) == [3, 4]
    assert fetches.committed == [{HERE: 3}]
    assert read_anew() - before == 1


async def test_a_seek_that_hangs_ends_the_app(monkeypatch: pytest.MonkeyPatch, fetches: Fetches) -> None:
    """Such as where a partition has no leader: after 90 s Faust went on without it, and the stage read nothing more."""

    async def hang(*_: object) -> dict[TP, int]:
        await asyncio.sleep(600)
        return {}

    crashes = AsyncMock()
    monkeypatch.setattr("streams.consumer.SEEK_SECONDS", 0.05)
    monkeypatch.setattr(fetches.consumer, "crash", crashes)
    monkeypatch.setattr(fetches.consumer._thread, "log_ends", hang)
    await fetches.read(10, [[10]])
    assert [type(call.args[0]) for call in crashes.await_args_list] == [KafkaUnavailableError]


async def test_what_was_deleted_unread_is_counted(fetches: Fetches) -> None:
    fetches.first = 12
    before = deleted_unread()
    assert await fetches.read(10, [[12, 13]]) == [12, 13]
    assert deleted_unread() - before == 2
    assert fetches.committed == []


async def test_a_log_that_loses_its_end_while_it_is_read_ends_the_stage(
    monkeypatch: pytest.MonkeyPatch, fetches: Fetches
) -> None:
    """What is in work is of the log as it was: its acks would pass what stands there now."""
    crashes = AsyncMock()
    monkeypatch.setattr(fetches.consumer, "crash", crashes)
    await fetches.read(10, [[10, 11]])
    fetches.end = 5
    fetches.consumer.out_of_range.append(HERE)
    fetches.seek_first = False
    await fetches.read(10, [[]])
    crashes.assert_awaited_once()
    assert fetches.committed == [{HERE: 3}]
    fetches.consumer.ack(message_at(10))
    assert fetches.consumer._new_offset(HERE) is None


@pytest.mark.parametrize("is_another", [False, True])
async def test_after_a_broker_failed_the_log_is_compared_before_anything_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, fetches: Fetches, is_another: bool
) -> None:
    """It may have lost its end, and have grown beyond the position before the next fetch."""
    crashes, gate = AsyncMock(), asyncio.Event()

    async def compare(*_: object) -> set[TopicPartition]:
        await gate.wait()
        return {TopicPartition(*HERE)} if is_another else set()

    monkeypatch.setattr(fetches.consumer, "crash", crashes)
    fetches.consumer.doubts = Doubts(fetches.consumer._compare, asyncio.create_task)
    monkeypatch.setattr(fetches.consumer._thread, "last_before", AsyncMock(return_value={HERE: LastRead(10, 1)}))
    monkeypatch.setattr("streams.lost_ends.other_logs", compare)
    await fetches.read(10, [[10]])
    fetches.seek_first = False
    fetches.consumer.doubts.tell({HERE})
    assert await fetches.read(10, [[11, 12]]) == [10]
    assert fetches.sought == []
    gate.set()
    async with asyncio.timeout(HANG_SECONDS):
        while HERE in fetches.consumer.doubts:
            await asyncio.sleep(0)
    if is_another:
        crashes.assert_awaited_once()
        assert fetches.committed == [{HERE: 3}]
    else:
        assert await fetches.read(10, [[11, 12]]) == [10, 11, 12]
        assert fetches.sought == [11], "they were fetched before it was known"
        assert fetches.committed == []


async def test_what_cannot_be_read_is_noted_before_what_is_behind_it(fetches: Fetches) -> None:
    left_out = Unreadable(11, 12, "its checksum is wrong")
    await fetches.read(10, [[10]])
    fetches.consumer._left_out.append((TopicPartition(*HERE), left_out))
    fetches.seek_first = False
    assert await fetches.read(10, [[13], [13]]) == [10, 13]
    assert fetches.aside == [(TopicPartition(*HERE), left_out)]


def deleted_unread() -> float:
    return float(metrics.DELETED_UNREAD.labels("darkroom-hash", HERE.topic)._value.get())


def read_anew() -> float:
    return float(metrics.READ_ANEW.labels("darkroom-hash", HERE.topic)._value.get())


async def test_where_all_queues_are_full_it_looks_again_at_once(
    fetches: Fetches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faust sleeps for a second then, while the queues empty within milliseconds."""
    consumer = fetches.consumer
    consumer.flow_active = True
    consumer._active_partitions, consumer._buffered_partitions = set(), {HERE}
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert [found async for found in consumer.getmany(1.0)] == []
    assert asked == [FULL_QUEUE_SECONDS]
