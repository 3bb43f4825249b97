"""When a batch goes: full, flushed, or after a while; never more at a time than allowed."""

import asyncio

import pytest

from core.errors import DrainingError
from streams import batching
from streams.batching import Batcher
from tests.deadlines import HANG_SECONDS

FOREVER = 600.0


class Handler:
    """Holds each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.running = 0
        self.most = 0

    async def __call__(self, items: list[str]) -> None:
        self.batches.append(items)
        self.running += 1
        self.most = max(self.most, self.running)
        await self.open.wait()
        self.running -= 1


def no_error(error: BaseException) -> None:
    raise AssertionError("a handler failed") from error


def batcher(
    handler: Handler, size: int = 100, linger: float = FOREVER, in_flight: int = 1, max_bytes: int = 1000
) -> Batcher[str]:
    return Batcher(
        "embed",
        handler,
        size=lambda: size,
        linger=lambda: linger,
        in_flight=in_flight,
        max_bytes=max_bytes,
        on_fatal=no_error,
    )


async def settle() -> None:
    """Let everything run that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_full_batch_goes_at_once_and_a_partial_one_stays() -> None:
    handler = Handler()
    batches = batcher(handler, size=2)
    done = [batches.add(item, 1) for item in "abc"]
    await asyncio.wait_for(asyncio.gather(*done[:2]), HANG_SECONDS)
    await settle()
    assert handler.batches == [["a", "b"]]
    assert not done[2].done()


async def test_a_partial_batch_goes_after_the_linger_of_its_oldest() -> None:
    handler = Handler()
    batches = batcher(handler, linger=0.05)
    begin = asyncio.get_running_loop().time()
    await asyncio.wait_for(asyncio.gather(batches.add("a", 1), batches.add("b", 1)), HANG_SECONDS)
    assert handler.batches == [["a", "b"]]
    assert asyncio.get_running_loop().time() - begin >= 0.05
    await asyncio.wait_for(batches.add("c", 1), HANG_SECONDS)
    assert handler.batches == [["a", "b"], ["c"]]


async def test_one_that_comes_alone_after_a_pause_hardly_waits_and_others_wait_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batching, "ALONE", 0.05 / FOREVER)
    monkeypatch.setattr(batching, "PAUSE_SECONDS", 0.0)
    handler = Handler()
    batches = batcher(handler)
    await asyncio.wait_for(batches.add("a", 1), HANG_SECONDS)
    assert handler.batches == [["a"]]
    two = [batches.add("b", 1), batches.add("c", 1)]
    await asyncio.sleep(0.2)  # four times what one that is alone waits
    assert not any(done.done() for done in two)
    batches.flush()
    await asyncio.wait_for(asyncio.gather(*two), HANG_SECONDS)
    monkeypatch.setattr(batching, "PAUSE_SECONDS", FOREVER)  # too soon after that batch
    soon = batches.add("d", 1)
    await asyncio.sleep(0.2)
    assert not soon.done()


async def test_a_flush_lets_go_of_what_was_added_and_of_nothing_later() -> None:
    handler = Handler()
    batches = batcher(handler)
    first = batches.add("a", 1)
    batches.flush()
    later = batches.add("b", 1)
    await asyncio.wait_for(first, HANG_SECONDS)
    await settle()
    assert handler.batches == [["a"]]
    assert not later.done()


async def test_a_flush_counts_when_all_places_are_taken() -> None:
    handler = Handler()
    batches = batcher(handler, size=2)
    handler.open.clear()
    done = [batches.add(item, 1) for item in "abc"]
    batches.flush()
    await settle()
    assert handler.batches == [["a", "b"]]
    handler.open.set()
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert handler.batches == [["a", "b"], ["c"]]


async def test_flushing_nothing_does_nothing() -> None:
    handler = Handler()
    batches = batcher(handler)
    batches.flush()
    batches.add("a", 1)
    await settle()
    assert handler.batches == []


async def test_a_batch_holds_no_more_bytes_than_allowed_but_at_least_one_item() -> None:
    handler = Handler()
    batches = batcher(handler, max_bytes=10)
    done = [batches.add(item, weight) for item, weight in [("a", 6), ("b", 6), ("huge", 50), ("c", 3), ("d", 7)]]
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert handler.batches == [["a"], ["b"], ["huge"], ["c", "d"]]


async def test_what_was_added_together_comes_into_one_batch_and_others_fill_the_one_before() -> None:
    handler = Handler()
    batches = batcher(handler, size=4)
    handler.open.clear()
    done = [batches.add("0", 1)]
    batches.flush()
    await settle()
    done += [one for together in ("abc", "de", "f", "ghi") for one in batches.add_together(together, len(together))]
    batches.flush()
    handler.open.set()
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert handler.batches == [["0"], ["a", "b", "c", "f"], ["d", "e"], ["g", "h", "i"]]


async def test_what_was_added_together_and_fits_into_no_batch_is_taken_apart() -> None:
    handler = Handler()
    batches = batcher(handler, size=2)
    done = [batches.add("0", 1), *batches.add_together("abcd", 4)]
    batches.flush()
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert handler.batches == [["0"], ["a", "b"], ["c", "d"]]


async def test_no_more_batches_run_at_a_time_than_allowed() -> None:
    handler = Handler()
    batches = batcher(handler, size=1, in_flight=2)
    handler.open.clear()
    done = [batches.add(item, 1) for item in "abcde"]
    await settle()
    assert handler.batches == [["a"], ["b"]]
    handler.open.set()
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert (len(handler.batches), handler.most) == (5, 2)


async def test_what_waits_for_a_place_goes_on_filling() -> None:
    handler = Handler()
    batches = batcher(handler, size=3, linger=0.01)
    handler.open.clear()
    done = [batches.add("a", 1)]
    batches.flush()
    await settle()
    done += [batches.add(item, 1) for item in "bcd"]
    handler.open.set()
    await asyncio.wait_for(asyncio.gather(*done), HANG_SECONDS)
    assert handler.batches == [["a"], ["b", "c", "d"]]


async def test_a_size_that_shrinks_counts_from_the_next_batch_on() -> None:
    handler = Handler()
    size = 4
    batches: Batcher[str] = Batcher(
        "embed", handler, size=lambda: size, linger=lambda: FOREVER, in_flight=1, max_bytes=1000, on_fatal=no_error
    )
    batches.add("a", 1)
    size = 2
    await asyncio.wait_for(batches.add("b", 1), HANG_SECONDS)
    assert handler.batches == [["a", "b"]]


async def test_a_handler_that_raises_is_fatal_and_its_items_are_never_done() -> None:
    errors: list[BaseException] = []

    async def fail(items: list[str]) -> None:
        raise ValueError(items)

    batches: Batcher[str] = Batcher(
        "embed", fail, size=lambda: 1, linger=lambda: FOREVER, in_flight=1, max_bytes=1000, on_fatal=errors.append
    )
    done = [batches.add("a", 1), batches.add("b", 1)]
    await settle()
    assert [str(error) for error in errors] == ["['a']"]
    assert not any(future.done() for future in done)


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_nothing_is_forgotten_and_the_order_is_kept(in_flight: int) -> None:
    handler = Handler()
    batches = batcher(handler, size=7, linger=0.01, in_flight=in_flight)
    items = [str(number) for number in range(100)]
    await asyncio.wait_for(asyncio.gather(*(batches.add(item, 1) for item in items)), HANG_SECONDS)
    assert [item for batch in handler.batches for item in batch] == items


async def test_a_batch_in_work_is_finished_and_none_is_begun_when_the_worker_stops() -> None:
    handler = Handler()
    handler.open.clear()
    batches = batcher(handler, size=2)
    done = [batches.add(item, 1) for item in "abcde"]
    await settle()
    batches.drain()
    done.append(batches.add("f", 1))
    handler.open.set()
    await asyncio.wait_for(asyncio.gather(*done[:2]), HANG_SECONDS)
    assert [type(error) for error in await asyncio.gather(*done[2:], return_exceptions=True)] == [DrainingError] * 4
    assert handler.batches == [["a", "b"]]
