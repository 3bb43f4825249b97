"""Runs hashing and decoding in worker processes, so that the event loop is never blocked.

`pebble` restarts a process that crashed or was stopped for taking too long, and only the task
that it worked on is hit; the standard library's pool fails every task in flight.
"""

import asyncio
import multiprocessing
import os
import resource
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as PoolTimeoutError
from concurrent.futures.process import BrokenProcessPool
from typing import Any, ParamSpec, TypeVar

import structlog
from pebble import ProcessExpired, ProcessPool

import metrics
from errors import ContentError, DrainingError
from imaging.steps import Step, measured

P = ParamSpec("P")
R = TypeVar("R")

# Added to the niceness of the worker processes: where all CPUs are busy, the event loop goes first.
NICENESS = 10
# A process may die for reasons that lie outside its file, such as a lack of memory on the machine.
CRASHES = 3

log = structlog.get_logger()


class Cpu:
    """A pool of `processes` worker processes.

    A task may take `timeout` seconds once it runs; a process may hold `memory` bytes.
    """

    def __init__(self, processes: int, *, timeout: float, memory: int) -> None:
        self._processes = processes
        self._timeout = timeout
        self._memory = memory
        self._pool = self._new_pool()
        self._scheduled: set[Future[Any]] = set()
        self._is_draining = False

    async def start(self) -> None:
        """Start the processes. The first task would do so too, and hold up the event loop meanwhile."""
        await asyncio.to_thread(self._pool.schedule, os.getpid)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a worker process; the steps that it took there go to the metrics.

        Raises what the function raises, ContentError where it takes too long, needs too much memory, or
        crashes its process time and again, and DrainingError where it was not begun before `drain`.
        """
        crashes = 0
        while True:
            if self._is_draining:
                raise DrainingError("The worker stops.")
            pool = self._pool
            try:
                scheduled = pool.schedule(_measured, args=(function, args, kwargs), timeout=self._timeout)
                self._scheduled.add(scheduled)
                scheduled.add_done_callback(self._scheduled.discard)
                result: R
                result, seconds = await asyncio.wrap_future(scheduled)
            except asyncio.CancelledError:
                if self._is_draining and scheduled.cancelled():
                    raise DrainingError("The worker stops.") from None
                raise
            except PoolTimeoutError as error:
                raise ContentError(
                    f"Reading and decoding took longer than {self._timeout:g} s and was stopped (FILE_TIMEOUT_SECONDS)."
                ) from error
            except MemoryError as error:
                raise ContentError(
                    f"Decoding needs more memory than {self._memory >> 20} MiB (FILE_MEMORY_BYTES)."
                ) from error
            except ProcessExpired as error:
                crashes += 1
                log.warning("decode-crashed", exit_code=error.exitcode, attempt=crashes)
                if crashes == CRASHES:
                    raise ContentError(f"Decoding crashed its process (exit code {error.exitcode}).") from error
            except (BrokenProcessPool, RuntimeError):
                # pebble gives a pool up for good when a process is killed while it waits for a task.
                if pool.active:
                    raise
                self._replace(pool)
            else:
                for step, spent in seconds.items():
                    metrics.STEP.labels(step).observe(spent)
                return result

    def drain(self) -> None:
        """Begin nothing that is not running."""
        self._is_draining = True
        for scheduled in list(self._scheduled):
            if not scheduled.running():
                scheduled.cancel()

    def close(self) -> None:
        """End the worker processes, whatever they do."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _replace(self, broken: ProcessPool) -> None:
        if self._pool is broken:
            log.warning("decode-processes-replaced")
            self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        # A fork of a process with threads (RocksDB, Kafka's consumers) can deadlock, so a small
        # server process forks the workers; it has read the modules that they need.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["agents.cpu", "imaging.decoding", "imaging.hashing"])
        return ProcessPool(
            max_workers=self._processes, context=context, initializer=limit_process, initargs=(self._memory,)
        )


def _measured(function: Callable[..., R], args: Any, kwargs: Any) -> tuple[R, dict[Step, float]]:
    """Call a function, and let go of what it held when it raised: pebble keeps an error until its next task ends."""
    try:
        with measured() as watch:
            return function(*args, **kwargs), watch.seconds
    except BaseException as error:
        raised: BaseException | None = error
        while raised is not None:
            traceback.clear_frames(raised.__traceback__)
            raised = raised.__context__
        raise


def limit_process(memory: int) -> None:
    """Lower this process's priority, and bound the memory that it can allocate, in bytes."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
