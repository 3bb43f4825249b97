"""Work runs side by side; rows are written and acks given in the order of arrival, and not for an old generation."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from faust.streams import current_event

from core.errors import DrainingError, PartitionRevokedError
from streams.batching import Batcher
from streams.tasks import start
from streams.window import Window, writing_rows
from tests.deadlines import HANG_SECONDS

TP = ("raw-path", 0)


class App:
    """The part of a Faust app that a window asks."""

    def __init__(self) -> None:
        self.consumer_generation_id = 1
        self.assigned = {TP}
        self.consumer = self
        self.commits = 0

    async def commit(self) -> None:
        self.commits += 1

    def assignment(self) -> set[tuple[str, int]]:
        return self.assigned


class Event:
    """The part of a Faust event that a window uses; it is its own message."""

    def __init__(self, name: str, log: list[str], generation: int = 1, value: bytes | None = b"") -> None:
        self.name = name
        self.value = value
        self.log = log
        self.message = self
        self.generation_id = generation
        self.tp = TP

    def ack(self) -> None:
        self.log.append(f"ack {self.name}")


class Bench:
    """A window with what goes in and what comes out."""

    def __init__(self, window: Window, app: App, errors: list[BaseException]) -> None:
        self.window = window
        self.app = app
        self.errors = errors
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    def gate(self, name: str) -> "asyncio.Future[None]":
        return self.gates.setdefault(name, asyncio.get_running_loop().create_future())

    def open(self, *names: str) -> None:
        for name in names:
            self.gate(name).set_result(None)

    async def add(self, name: str, *, settle: bool = True, size: int = 0) -> None:
        """Add an event whose work waits for the gate `name`, and whose rows' delivery for `row NAME`."""
        event: Any = Event(name, self.log, value=b"x" * size)

        async def work() -> str:
            await self.gate(name)
            self.log.append(f"work {name}")
            return name

        def write(result: str) -> list[Any]:
            assert current_event() is event
            self.log.append(f"row {result}")
            return [self.gate(f"row {result}")]

        await self.window.add(event, work(), write if settle else None)

    async def settle(self) -> list[str]:
        for _ in range(30):
            await asyncio.sleep(0)
        return self.log


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    app: Any = App()
    errors: list[BaseException] = []
    window = Window(app, size=3, on_fatal=errors.append)
    yield Bench(window, app, errors)
    window.close()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*window._loops)


async def test_rows_and_acks_come_in_the_order_of_arrival(bench: Bench) -> None:
    for name in "abc":
        await bench.add(name)
    bench.open("c", "row a", "row b", "row c")
    await bench.settle()
    bench.open("b")
    assert await bench.settle() == ["work c", "work b"]
    bench.open("a")
    log = await bench.settle()
    assert [line for line in log if line.startswith("row")] == ["row a", "row b", "row c"]
    assert [line for line in log if line.startswith("ack")] == ["ack a", "ack b", "ack c"]


async def test_nothing_is_acked_before_its_rows_are_delivered(bench: Bench) -> None:
    await bench.add("a")
    await bench.add("b")
    bench.open("a", "b", "row b")
    assert sorted(await bench.settle()) == ["row a", "row b", "work a", "work b"]
    bench.open("row a")
    assert (await bench.settle())[4:] == ["ack a", "ack b"]


async def test_work_in_order_begins_after_all_earlier_work(bench: Bench) -> None:
    await bench.add("a", settle=False)
    event: Any = Event("end", bench.log)

    last: Any = Event("last", bench.log)
    delivery = asyncio.get_running_loop().create_future()

    async def seal() -> list[Awaitable[object]]:
        bench.log.append("seal")
        return [delivery]

    await bench.window.add_in_order(event, seal)
    await bench.window.add_in_order(last, seal)
    assert await bench.settle() == []
    bench.open("a")
    # The second does not wait until what the first has sent is delivered; the acks do.
    assert await bench.settle() == ["work a", "ack a", "seal", "seal"]
    delivery.set_result(None)
    assert (await bench.settle())[4:] == ["ack end", "ack last"]


@pytest.mark.parametrize("rebalance", ["generation", "assignment"])
async def test_after_a_rebalance_nothing_is_written_or_acked(bench: Bench, rebalance: str) -> None:
    await bench.add("a")
    if rebalance == "generation":
        bench.app.consumer_generation_id = 2
    else:
        bench.app.assigned = set()
    bench.open("a")
    assert await bench.settle() == ["work a"]
    await asyncio.wait_for(bench.window.drained(), HANG_SECONDS)


async def test_a_rebalance_between_the_row_and_its_delivery_gives_no_ack(bench: Bench) -> None:
    await bench.add("a")
    bench.open("a")
    assert await bench.settle() == ["work a", "row a"]
    bench.app.consumer_generation_id = 2
    bench.open("row a")
    assert await bench.settle() == ["work a", "row a"]


async def test_it_holds_no_more_than_its_size(bench: Bench) -> None:
    for name in "abc":
        await bench.add(name, settle=False)
    fourth = asyncio.create_task(bench.add("d", settle=False))
    bench.open("b", "d")
    assert await bench.settle() == ["work b"]
    assert not fourth.done()
    bench.open("a")
    await asyncio.wait_for(fourth, HANG_SECONDS)
    assert (await bench.settle())[-1] == "work d"


@pytest.fixture
async def narrow() -> AsyncIterator[Bench]:
    """Give a window of ten bytes, which logs when it is full."""
    app: Any = App()
    log: list[str] = []
    errors: list[BaseException] = []
    window = Window(app, size=100, max_bytes=10, on_fatal=errors.append, on_full=lambda: log.append("full"))
    bench = Bench(window, app, errors)
    bench.log = log
    yield bench
    window.close()


async def test_it_holds_no_more_bytes_than_it_may_until_they_are_acked(narrow: Bench) -> None:
    await narrow.add("a", settle=False, size=5)
    await narrow.add("b", settle=False, size=5)
    assert narrow.log == []
    third = asyncio.create_task(narrow.add("c", settle=False, size=1))
    assert await narrow.settle() == ["full"]
    narrow.open("b")
    assert await narrow.settle() == ["full", "work b"]  # still held, as it is not acked before a
    assert not third.done()
    narrow.open("a")
    await asyncio.wait_for(third, HANG_SECONDS)
    await asyncio.wait_for(narrow.add("d", settle=False, size=9), HANG_SECONDS)


async def test_one_that_is_larger_than_all_room_is_in_work_alone(narrow: Bench) -> None:
    await narrow.add("a", settle=False, size=1)
    huge = asyncio.create_task(narrow.add("huge", settle=False, size=50))
    await narrow.settle()
    assert not huge.done()
    narrow.open("a")
    await asyncio.wait_for(huge, HANG_SECONDS)
    behind = asyncio.create_task(narrow.add("b", settle=False, size=1))
    await narrow.settle()
    assert not behind.done()
    narrow.open("huge", "b")
    await asyncio.wait_for(behind, HANG_SECONDS)
    await asyncio.wait_for(narrow.window.drained(), HANG_SECONDS)


@pytest.mark.parametrize("error", [DrainingError("The worker stops."), PartitionRevokedError("elsewhere")])
async def test_what_is_left_undone_gives_its_bytes_back(narrow: Bench, error: Exception) -> None:
    await narrow.add("a", settle=False, size=10)
    waiting = asyncio.create_task(narrow.add("b", settle=False, size=10))
    await narrow.settle()
    narrow.gate("a").set_exception(error)
    narrow.open("b")
    await asyncio.wait_for(waiting, HANG_SECONDS)
    await asyncio.wait_for(narrow.window.drained(), HANG_SECONDS)
    assert narrow.errors == []


@pytest.mark.parametrize(("size", "max_bytes"), [(100, 3), (3, 100)])
async def test_a_batch_that_waits_to_fill_goes_when_the_window_is_full(size: int, max_bytes: int) -> None:
    """An end marker behind an event that waits for room could not let it go."""
    app: Any = App()

    async def handle(items: list[str]) -> None: ...

    errors: list[BaseException] = []
    batcher: Batcher[str] = Batcher(
        "embed", handle, size=lambda: 100, linger=lambda: 600, in_flight=1, max_bytes=1000, on_fatal=errors.append
    )
    window = Window(app, size=size, max_bytes=max_bytes, on_fatal=errors.append, on_full=batcher.flush)
    log: list[str] = []

    async def work(done: Awaitable[None]) -> None:
        await done

    for name in "abcdefgh":
        event: Any = Event(name, log, value=b"x")
        await asyncio.wait_for(window.add(event, work(batcher.add(name, 1))), HANG_SECONDS)
    batcher.flush()
    await asyncio.wait_for(window.drained(), HANG_SECONDS)
    assert log == [f"ack {name}" for name in "abcdefgh"]
    assert errors == []
    window.close()


async def test_it_is_drained_when_the_last_event_is_acked(bench: Bench) -> None:
    await asyncio.wait_for(bench.window.drained(), HANG_SECONDS)
    await bench.add("a", settle=False)
    drained = asyncio.create_task(bench.window.drained())
    await bench.settle()
    assert not drained.done()
    bench.open("a")
    await asyncio.wait_for(drained, HANG_SECONDS)
    assert bench.log[-1] == "ack a"


async def test_it_is_not_drained_while_an_agent_still_decides_on_an_event(bench: Bench) -> None:
    """Its effects may be there already: an orderly stop that does not wait for it has them done twice."""
    with bench.window.taking():
        drained = asyncio.create_task(bench.window.drained())
        await bench.settle()
        assert not drained.done()
    await asyncio.wait_for(drained, HANG_SECONDS)


async def test_what_was_not_begun_and_what_is_behind_it_stays_unacked(bench: Bench) -> None:
    for name in "abc":
        await bench.add(name, settle=False)
    drained = asyncio.create_task(bench.window.drained())
    bench.gate("b").set_exception(DrainingError("The worker stops."))
    bench.open("c")
    await bench.settle()
    assert not drained.done()
    bench.open("a")
    log = await bench.settle()
    await asyncio.wait_for(drained, HANG_SECONDS)
    assert [line for line in log if line.startswith("ack")] == ["ack a"]
    assert bench.errors == []


async def test_it_is_not_drained_while_an_event_waits_for_room(bench: Bench) -> None:
    for name in "abc":
        await bench.add(name, settle=False)
    fourth = asyncio.create_task(bench.add("d", settle=False))
    await bench.settle()
    drained = asyncio.create_task(bench.window.drained())
    bench.open("a", "b", "c")
    await bench.settle()
    await fourth
    assert not drained.done()
    bench.open("d")
    await asyncio.wait_for(drained, HANG_SECONDS)
    assert bench.log[-1] == "ack d"


async def test_an_event_that_was_taken_away_is_no_error(bench: Bench) -> None:
    await bench.add("a", settle=False)
    await bench.add("b", settle=False)
    bench.gate("a").set_exception(PartitionRevokedError("elsewhere"))
    bench.open("b")
    assert (await bench.settle())[-1] == "ack b"
    assert bench.errors == []


@pytest.mark.parametrize("commit_at_once", [True, False])
async def test_what_is_dear_to_repeat_is_committed_at_once(commit_at_once: bool) -> None:
    app: Any = App()
    window = Window(app, size=3, on_fatal=lambda error: None, commit_at_once=commit_at_once)
    event: Any = Event("a", [])

    async def work() -> None: ...

    await window.add(event, work())
    await window.drained()
    await asyncio.sleep(0)
    assert app.commits == (1 if commit_at_once else 0)
    window.close()


@pytest.mark.parametrize("where", ["a", "row a"])
async def test_an_exception_is_fatal_and_acks_nothing(bench: Bench, where: str) -> None:
    await bench.add("a")
    await bench.add("b")
    bench.open(*({"a", "b", "row a", "row b"} - {where}))
    bench.gate(where).set_exception(ValueError("no outcome"))
    log = await bench.settle()
    assert [str(error) for error in bench.errors] == ["no outcome"]
    assert not [line for line in log if line.startswith("ack")]


async def test_an_exception_while_rows_are_written_is_fatal(bench: Bench) -> None:
    event: Any = Event("a", bench.log)

    async def work() -> None: ...

    def write(_: None) -> list[Any]:
        raise ValueError("no row")

    await bench.window.add(event, work(), write)
    assert await bench.settle() == []
    assert [str(error) for error in bench.errors] == ["no row"]


async def test_a_task_does_not_see_the_event_of_the_iteration_that_made_it() -> None:
    event: Any = Event("a", [])

    async def look() -> object:
        return current_event()

    with writing_rows(event):
        assert current_event() is event
        assert await start(look()) is None
        assert await asyncio.create_task(look()) is event
    assert current_event() is None
