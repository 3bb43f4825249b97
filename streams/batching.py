"""Gathers items into batches: full ones go at once, partial ones after a linger or when flushed."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core import metrics
from core.errors import DrainingError
from core.settings import Stage
from streams.tasks import start

I = TypeVar("I")  # noqa: E741 - item

# An item that comes alone waits for this part of the linger; a second one tells of more to come.
ALONE = 0.1
# It is alone where no batch has begun for so long before it.
PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class _Together(Generic[I]):
    """Items that are best in one batch, of so many bytes all together."""

    items: list[I]
    done: "list[asyncio.Future[None]]"
    weight: int
    since: float  # by time.monotonic

    def first(self, count: int) -> "_Together[I]":
        """Take off the first `count` items."""
        weight = self.weight * count // len(self.items)
        taken = _Together(self.items[:count], self.done[:count], weight, self.since)
        del self.items[:count], self.done[:count]
        self.weight -= weight
        return taken


class Batcher(Generic[I]):
    """Calls `handle` with batches of at most `size()` items and `max_bytes`, `in_flight` of them at a time.

    Items that were added together come into one batch, unless they are more than it holds; later ones may fill the
    batch before. A batch is cut when it can be handled, not before: what waits for a free place goes on filling. What
    `handle` returns is awaited before the batch is done, and holds no place: the next batch may begin.
    """

    def __init__(
        self,
        stage: Stage,
        handle: Callable[[list[I]], Awaitable[Awaitable[Any] | None]],
        *,
        size: Callable[[], int],
        linger: Callable[[], float],
        in_flight: int,
        max_bytes: int,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._stage = stage
        self._handle = handle
        self._size = size
        self._linger = linger
        self._free = in_flight
        self._max_bytes = max_bytes
        self._on_fatal = on_fatal
        self._pending: deque[_Together[I]] = deque()
        self._count = 0
        self._due = 0
        self._began = time.monotonic()  # the newest batch
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._is_draining = False

    def add(self, item: I, weight: int) -> "asyncio.Future[None]":
        """Add an item of `weight` bytes. The future is done when its batch was handled."""
        return self.add_together([item], weight)[0]

    def add_together(self, items: Sequence[I], weight: int) -> "list[asyncio.Future[None]]":
        """Add items of `weight` bytes in all. Each has a future that is done when its batch was handled."""
        loop = asyncio.get_running_loop()
        done: list[asyncio.Future[None]] = [loop.create_future() for _ in items]
        if self._is_draining:
            for one in done:
                one.set_exception(DrainingError("The worker stops."))
        elif items:
            self._pending.append(_Together([*items], [*done], weight, time.monotonic()))
            self._count += len(items)
            self._bytes += weight
            self._go()
        return done

    def flush(self) -> None:
        """Let everything that was added so far go without waiting for more."""
        self._due = self._count
        self._go()

    def drain(self) -> None:
        """Begin no further batch: what waits for one ends with DrainingError."""
        self._is_draining = True
        for together in self._pending:
            for done in together.done:
                done.set_exception(DrainingError("The worker stops."))
        self._pending.clear()
        self._count = self._bytes = self._due = 0

    def _go(self) -> None:
        while self._free and self._is_due():
            batch = self._cut()
            self._free -= 1
            task = start(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _is_due(self) -> bool:
        if not self._pending:
            return False
        if self._due > 0 or self._count >= self._size() or self._bytes >= self._max_bytes:
            return True
        oldest = self._pending[0].since
        is_alone = self._count == 1 and oldest - self._began >= PAUSE_SECONDS
        remaining = oldest + self._linger() * (ALONE if is_alone else 1.0) - time.monotonic()
        if remaining <= 0:
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(remaining, self._on_timer)
        return False

    def _on_timer(self) -> None:
        self._timer = None
        self._go()

    def _cut(self) -> list[tuple[I, "asyncio.Future[None]"]]:
        self._began = time.monotonic()
        size = self._size()
        batch: list[tuple[I, asyncio.Future[None]]] = []
        weight = 0
        passed: list[_Together[I]] = []
        while self._pending and len(batch) < size:
            together = self._pending.popleft()
            room = size - len(batch)
            if batch and weight + together.weight > self._max_bytes:
                passed.append(together)
                break
            if len(together.items) > room:
                passed.append(together)
                if batch:
                    continue
                together = together.first(room)
            batch.extend(zip(together.items, together.done, strict=True))
            weight += together.weight
        self._pending.extendleft(reversed(passed))
        self._count -= len(batch)
        self._bytes -= weight
        self._due = max(0, self._due - len(batch))
        metrics.BATCH_ITEMS.labels(self._stage).observe(len(batch))
        metrics.BATCH_FILL.labels(self._stage).observe(len(batch) / size)
        return batch

    async def _run(self, batch: list[tuple[I, "asyncio.Future[None]"]]) -> None:
        try:
            follows = await self._handle([item for item, _ in batch])
            if follows is not None:
                self._leave_place()
                await follows
        except DrainingError as error:
            for _, done in batch:
                done.set_exception(error)
            return
        except Exception as error:
            self._on_fatal(error)
            return
        for _, done in batch:
            if not done.done():  # who waited for it was stopped
                done.set_result(None)
        if follows is None:
            self._leave_place()

    def _leave_place(self) -> None:
        self._free += 1
        self._go()
