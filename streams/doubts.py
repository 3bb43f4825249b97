"""Partitions whose log may be another one since the last fetch: a broker failed, and may have come back with less.

A position behind the end of a log is out of range, and is noticed. A log that has grown beyond it before the next
fetch is not: so after each failure a partition is read on only when its last message is known to be there still.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Set

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

RETRY_SECONDS = 1.0

log = structlog.get_logger()


class Doubts:
    """What is in doubt, and must not be handed on.

    `look` is given the partitions, and returns when it has seen to those that are others; `start` starts a task.
    """

    def __init__(
        self, look: Callable[[set[TP]], Awaitable[None]], start: Callable[[Coroutine[None, None, None]], object]
    ) -> None:
        self._look = look
        self._start = start
        # From the thread that reads.
        self._told: deque[TP] = deque()
        self._open: set[TP] = set()
        self._is_looking = False

    def tell(self, parts: Set[TP]) -> None:
        """Doubt these partitions. May be called from another thread."""
        self._told.extend(parts)

    def __contains__(self, tp: TP) -> bool:
        return tp in self._open or tp in self._told

    def look_into(self) -> None:
        """Have a look at what is in doubt, in the background."""
        if self._is_looking:
            return
        while self._told:
            self._open.add(self._told.popleft())
        if self._open:
            self._is_looking = True
            self._start(self._settle())

    async def _settle(self) -> None:
        try:
            await self._look(self._open)
            self._open = set()
        except KafkaError as error:
            log.warning("logs-not-compared", reason=str(error), retry_seconds=RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._is_looking = False
