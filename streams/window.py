"""How a stage keeps promise 1: work runs side by side, acks are given in order, after delivery.

Faust acks an event whose handling raised, and may commit past events that are still in
flight when acks come out of order (faust-streaming #606). So an agent takes events without
automatic acks and hands each to a `Window`: the slow part runs as a task, then, in the order
of arrival, the table rows are written, and when these too are delivered the event is acked.

When the worker stops in order, work that was not begun raises DrainingError: its event is not
acked, and none behind it.
"""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import faust
from faust.streams import _current_event

from core.errors import DrainingError, PartitionRevokedError
from streams.rows import is_current
from streams.tasks import start

T = TypeVar("T")

Deliveries = Iterable[Awaitable[object]]
Settle = Callable[[T], Deliveries]

# Bytes of messages that a window holds: enough for many of the largest that there may be.
MAX_BYTES = 64 << 20


class writing_rows:  # noqa: N801 - used as a statement: `with writing_rows(event):`
    """Makes table writes go to the partition of an event, outside the iteration that yielded it.

    Faust takes the partition from a context variable that it sets in the iteration only.
    """

    def __init__(self, event: faust.Event) -> None:
        self._event = event

    def __enter__(self) -> None:
        self._token = _current_event.set(weakref.ref(self._event))

    def __exit__(self, *_: object) -> None:
        _current_event.reset(self._token)


@dataclass(slots=True)
class Permits:
    """Room in the window for so many of the `of` files of one message; given back as they are done (`release`).

    The message is acked when all its permits are given back, by `Window.end`.
    """

    files: int
    of: int
    _window: "Window | None" = None

    def release(self) -> None:
        """Give back the room of one file that is done; the others are still in work."""
        if self._window is not None and self.files > 1:
            self.files -= 1
            self._window._make_room(1, 0)


@dataclass(slots=True)
class _Entry:
    event: faust.Event
    since: float
    task: "asyncio.Task[Any] | None"
    begin: "Callable[[], Coroutine[Any, Any, Any]] | None"
    settle: "Settle[Any] | None"
    permits: Permits
    weight: int  # bytes
    acks: bool = True


class Window:
    """The files of one agent that are in work: at most `size` and `max_bytes`. Events are acked in order of arrival.

    One that is larger than `max_bytes` is in work alone. `on_full` is called when an event has to wait for room: no
    other comes before some are done, so what waits for more to come has to go on.

    An exception that reaches the window is one that no stage could turn into an outcome: it goes
    to `on_fatal`, which ends the process. Nothing was acked, so nothing is lost.

    `commit_at_once` is for work that is dear to repeat: what is acked is not left to Faust's timer.
    `on_done` is told of each event that is acked, and the seconds that it was in work.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        size: int,
        max_bytes: int = MAX_BYTES,
        on_fatal: Callable[[BaseException], None],
        on_full: Callable[[], None] = lambda: None,
        commit_at_once: bool = False,
        on_done: Callable[[faust.Event, float], None] | None = None,
    ) -> None:
        self._on_done = on_done
        self._commit_at_once = commit_at_once
        self._app = app
        self._on_fatal = on_fatal
        self._on_full = on_full
        self._size = size
        self._max_bytes = max_bytes
        self._files = 0
        self._bytes = 0
        self._left = asyncio.Event()
        self._working: asyncio.Queue[_Entry] = asyncio.Queue()
        # None: the event is not acked.
        self._settled: asyncio.Queue[tuple[_Entry, list[Awaitable[object]] | None]] = asyncio.Queue()
        self._left_undone = False
        self._open = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._loops = [start(self._guard(self._settle_in_order())), start(self._guard(self._ack_in_order()))]

    async def add(
        self,
        event: faust.Event,
        work: Coroutine[Any, Any, T],
        settle: Settle[T] | None = None,
        permits: Permits | None = None,
    ) -> None:
        """Start work on an event, as soon as there is room.

        `settle` gets its result, in order, with rows of the event's partition writable, unless the
        partition was revoked meanwhile; the event is acked after what it returns is delivered.
        `permits`: for the files of the event's message that the work is about; `end` then acks it.
        """
        try:
            entry = await self._enter(event, permits or Permits(1, 1), acks=permits is None)
        except asyncio.CancelledError:
            work.close()  # nobody begins it
            raise
        entry.task, entry.settle = start(work), settle
        self._working.put_nowait(entry)

    async def add_in_order(self, event: faust.Event, work: Callable[[], Coroutine[Any, Any, Deliveries]]) -> None:
        """Do work on an event after the work on all earlier ones is done.

        The event is acked after what it returns is delivered; the work on the next one does not wait for that.
        """
        entry = await self._enter(event, Permits(1, 1), acks=True)
        entry.begin = work
        self._working.put_nowait(entry)

    async def end(self, event: faust.Event) -> None:
        """Have an event acked when all its permits are given back."""
        self._working.put_nowait(await self._enter(event, Permits(0, 1), acks=True))

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Count an event as open while its agent still decides what to do with it."""
        self._opened()
        try:
            yield
        finally:
            self._done_with()

    async def drained(self) -> None:
        """Wait until every event that was taken is acked, or left undone as the worker stops."""
        # While one waits, a last event may take the room that the one before it left.
        while self._open:
            await self._idle.wait()

    def close(self) -> None:
        """Stop working; what is open stays unacked."""
        for loop in self._loops:
            loop.cancel()

    async def _enter(self, event: faust.Event, permits: Permits, *, acks: bool) -> _Entry:
        weight = len(event.value or b"") * permits.files // permits.of
        # What is larger than the window is in work alone.
        while self._files and (self._files + permits.files > self._size or self._bytes + weight > self._max_bytes):
            self._on_full()
            self._left.clear()
            await self._left.wait()
        self._files += permits.files
        self._bytes += weight
        self._opened()
        permits._window = self
        return _Entry(event, time.monotonic(), None, None, None, permits, weight, acks)

    def _leave(self, entry: _Entry) -> None:
        self._make_room(entry.permits.files, entry.weight)
        self._done_with()

    def _make_room(self, files: int, weight: int) -> None:
        self._files -= files
        self._bytes -= weight
        self._left.set()

    def _opened(self) -> None:
        self._open += 1
        self._idle.clear()

    def _done_with(self) -> None:
        self._open -= 1
        if not self._open:
            self._idle.set()

    async def _settle_in_order(self) -> None:
        while True:
            entry = await self._working.get()
            task = entry.task
            if self._left_undone:
                if task is not None:
                    task.add_done_callback(_forget)
                self._settled.put_nowait((entry, None))
                continue
            if task is None and entry.begin is not None:
                task = start(entry.begin())
            try:
                result = await task if task is not None else None
            except (PartitionRevokedError, DrainingError) as error:
                self._left_undone = isinstance(error, DrainingError)
                self._settled.put_nowait((entry, None))
                continue
            deliveries: list[Awaitable[object]] = [*(result or ())] if entry.begin is not None else []
            if entry.settle is not None and is_current(self._app, entry.event):
                with writing_rows(entry.event):
                    deliveries.extend(entry.settle(result))
            self._settled.put_nowait((entry, deliveries))

    async def _ack_in_order(self) -> None:
        while True:
            entry, deliveries = await self._settled.get()
            if deliveries is not None:
                for delivery in deliveries:
                    await delivery
                if entry.acks and is_current(self._app, entry.event):
                    entry.event.ack()
                if entry.acks and self._on_done is not None:
                    self._on_done(entry.event, time.monotonic() - entry.since)
            self._leave(entry)
            if self._commit_at_once and self._settled.empty():
                await self._app.consumer.commit()

    async def _guard(self, loop: Coroutine[Any, Any, None]) -> None:
        try:
            await loop
        except Exception as error:
            self._on_fatal(error)


def _forget(task: "asyncio.Task[Any]") -> None:
    """Take note of an error that nobody waits for."""
    if not task.cancelled():
        task.exception()
