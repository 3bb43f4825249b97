"""Work that overlaps: the next piece begins while the ones before are not done yet, up to a number of them."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from streams.tasks import start


class Overlapping:
    """Begins pieces of work, so many at a time, and waits for all of them where the block ends.

    Raises what the first of them raises that fails.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._running: deque[asyncio.Task[None]] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await asyncio.gather(*self._running, return_exceptions=True)
            return
        while self._running:
            await self._running.popleft()

    async def add(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin one, when fewer than so many are running; it is not begun where one of these has failed."""
        try:
            while len(self._running) >= self._at_once:
                await self._running.popleft()
        except BaseException:
            work.close()
            raise
        self._running.append(start(work))
