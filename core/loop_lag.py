"""Measures how late the event loop is: promise 5 says that nothing blocks it, and this shows whether that holds."""

import asyncio
import contextlib
import time

import structlog

from core import metrics

INTERVAL_SECONDS = 0.05
LIMIT_SECONDS = 0.1

log = structlog.get_logger()


class LoopLag:
    """Wakes up every INTERVAL_SECONDS, and says how much too late that was where it was over the limit.

    `longest` is the greatest lag since the start, in seconds.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        self._task = asyncio.create_task(self._measure())

    async def stop(self) -> None:
        """End measuring."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _measure(self) -> None:
        while True:
            due, busy = time.monotonic() + INTERVAL_SECONDS, time.thread_time()
            await asyncio.sleep(INTERVAL_SECONDS)
            lag = time.monotonic() - due
            self.longest = max(self.longest, lag)
            metrics.LOOP_LAG.observe(lag)
            if lag > LIMIT_SECONDS:
                # `busy`: CPU time of the loop's thread. Where it is far less than the lag, other processes
                # or threads had the CPU, or the loop waited for the disk.
                log.warning("event-loop-lag", seconds=round(lag, 3), busy=round(time.thread_time() - busy, 3))
