"""Runs hashing and decoding in worker processes, so that the event loop is never blocked."""

import asyncio
import os
import resource
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

import structlog

from core import metrics
from core.errors import ContentError, DrainingError
from core.processes import CrashedError, Processes
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

    A task may take `timeout` seconds once it runs; a process may hold `memory` bytes. The modules of the tasks'
    functions are best in `preload`: otherwise each process reads them anew, with its first task.
    """

    def __init__(self, processes: int, *, timeout: float, memory: int, preload: Sequence[str] = ()) -> None:
        self._timeout = timeout
        self._memory = memory
        self._processes = Processes(
            processes,
            preload=["gateways.cpu", *preload],
            prepare=limit_process,
            arguments=(memory,),
        )
        self._scheduled: set[Future[Any]] = set()
        self._is_draining = False

    async def start(self) -> None:
        """Start the processes. The first tasks would do so too, and wait for it."""
        await asyncio.to_thread(self._processes.start)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a worker process; the steps that it took there go to the metrics.

        Raises what the function raises, ContentError where it takes too long, needs too much memory, or
        crashes its process time and again, and DrainingError where it was not begun before `drain`.
        """
        crashes = 0
        while True:
            if self._is_draining:
                raise DrainingError("The worker stops.")
            scheduled = self._processes.submit(self._timeout, _measured, function, *args, **kwargs)
            self._scheduled.add(scheduled)
            scheduled.add_done_callback(self._scheduled.discard)
            try:
                result: R
                result, seconds = await asyncio.wrap_future(scheduled)
            except asyncio.CancelledError:
                if self._is_draining and scheduled.cancelled():
                    raise DrainingError("The worker stops.") from None
                raise
            except TimeoutError as error:
                raise ContentError(
                    f"Reading and decoding took longer than {self._timeout:g} s and was stopped (FILE_TIMEOUT_SECONDS)."
                ) from error
            except MemoryError as error:
                raise ContentError(
                    f"Decoding needs more memory than {self._memory >> 20} MiB (FILE_MEMORY_BYTES)."
                ) from error
            except CrashedError as error:
                crashes += 1
                log.warning("decode-crashed", exit_code=error.exit_code, attempt=crashes)
                if crashes == CRASHES:
                    raise ContentError(f"Decoding crashed its process (exit code {error.exit_code}).") from error
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
        self._processes.close()


def _measured(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[R, dict[Step, float]]:
    with measured() as watch:
        return function(*args, **kwargs), watch.seconds


def limit_process(memory: int) -> None:
    """Lower this process's priority, and bound the memory that it can allocate, in bytes."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
