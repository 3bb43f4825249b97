"""Runs hashing and decoding in worker processes, so that the event loop is never blocked.

`pebble` restarts a process that crashed or was stopped for taking too long, and only the task
that it worked on fails; the standard library's pool fails every task in flight.
"""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import TimeoutError as PoolTimeoutError
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from errors import ContentError

P = ParamSpec("P")
R = TypeVar("R")

# Added to the niceness of the worker processes: where all CPUs are busy, the event loop goes first.
NICENESS = 10


class Cpu:
    """A pool of `processes` worker processes. A task may take `timeout` seconds once it runs."""

    def __init__(self, processes: int, timeout: float) -> None:
        # A fork of a process with threads (RocksDB, Kafka's consumers) can deadlock, so a small
        # server process forks the workers; it has read the modules that they need.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["imaging.decoding", "imaging.hashing"])
        self._pool = ProcessPool(max_workers=processes, context=context, initializer=os.nice, initargs=(NICENESS,))
        self._timeout = timeout

    async def start(self) -> None:
        """Start the processes. The first task would do so too, and hold up the event loop meanwhile."""
        await asyncio.to_thread(self._pool.schedule, os.getpid)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a worker process.

        Raises what the function raises, and ContentError where it crashed its process or took too long.
        """
        future = self._pool.schedule(function, args=args, kwargs=kwargs, timeout=self._timeout)
        try:
            result: R = await asyncio.wrap_future(future)
        except PoolTimeoutError as error:
            raise ContentError(
                f"Decoding took longer than {self._timeout:g} s and was stopped (FILE_TIMEOUT_SECONDS)."
            ) from error
        except ProcessExpired as error:
            raise ContentError(f"Decoding crashed its process (exit code {error.exitcode}).") from error
        return result

    def close(self) -> None:
        """End the worker processes, whatever they do."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
