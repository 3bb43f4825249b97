"""Measures how late the event loop is: promise 5 says that nothing blocks it, and this shows whether that holds."""

import asyncio
import contextlib
import time

import structlog

from core import metrics

INTERVAL_SECONDS = 0.05
# Where the loop has had less than this part of the time to do, nothing is late that anybody waits for.
REST_SECONDS = 0.25
AT_REST = 0.05
LIMIT_SECONDS = 0.1

log = structlog.get_logger()


class LoopLag:
    """Wakes up every INTERVAL_SECONDS, and says how much too late that was where it was over the limit.

    A loop at rest is looked at less often: waking it so often would be a good part of what it does.
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
        interval = INTERVAL_SECONDS
        while True:
            begin, busy = time.monotonic(), time.thread_time()
            await asyncio.sleep(interval)
            elapsed, busy = time.monotonic() - begin, time.thread_time() - busy
            lag = elapsed - interval
            self.longest = max(self.longest, lag)
            metrics.LOOP_LAG.observe(lag)
            if lag > LIMIT_SECONDS:
                # `busy`: CPU time of the loop's thread. Where it is far less than the lag, other processes
                # or threads had the CPU, or the loop waited for the disk.
                log.warning("event-loop-lag", seconds=round(lag, 3), busy=round(busy, 3))
            interval = REST_SECONDS if busy < AT_REST * elapsed else INTERVAL_SECONDS
