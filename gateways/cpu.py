"""Runs hashing and decoding in worker processes, so that the event loop is never blocked."""

import asyncio
import contextvars
import os
import resource
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
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
SMALL_BYTES = 256 << 10
"""A file that has no more is small."""
SMALL_AT_ONCE = 16

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
        self._count = processes
        self._small: deque[_Call] = deque()
        self._small_tasks: set[asyncio.Task[None] | None] = set()
        self._is_draining = False

    async def start(self) -> None:
        """Start the processes. The first tasks would do so too, and wait for it."""
        await asyncio.to_thread(self._processes.start)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function in a worker process; the steps that it took there go to the metrics.

        Raises what the function raises, ContentError where it takes too long, needs too much memory, or
        crashes its process time and again, and DrainingError where it was not begun before `drain`.
        """
        result, seconds = await self._run(partial(_measured, function, *args, **kwargs))
        _observe(seconds)
        return result

    async def run_for_file(self, size: int | None, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function about a file of so many bytes, as far as that is known: in company where that is small."""
        run = self.run_small if size is not None and size <= SMALL_BYTES else self.run
        return await run(function, *args, **kwargs)

    async def run_small(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do as `run` does with a call that takes little: those that come while all processes work go as one task.

        A message between processes costs as much as a small file. What goes wrong with a task, or with a call in a
        way that may have been another's, is tried again call by call.
        """
        call = _Call((function, args, kwargs), asyncio.get_running_loop().create_future())
        self._small.append(call)
        self._begin_small()
        answer = await call.answered
        if answer is None:
            return await self.run(function, *args, **kwargs)
        _observe(answer.seconds)
        if answer.error is not None:
            raise answer.error
        result: R = answer.result
        return result

    def _begin_small(self) -> None:
        while self._small and len(self._small_tasks) < self._count:
            calls = [self._small.popleft() for _ in range(min(SMALL_AT_ONCE, len(self._small)))]
            # Of nobody's context: the calls are of several files.
            task = asyncio.get_running_loop().create_task(self._run_small(calls), context=contextvars.Context())
            self._small_tasks.add(task)

    async def _run_small(self, calls: "list[_Call]") -> None:
        answers: list[_Answer | None] = [None] * len(calls)
        try:
            answers = await self._run(partial(_each, [call.task for call in calls]))
        except Exception as error:
            if len(calls) == 1:
                answers = [_Answer(error)]
        for call, answer in zip(calls, answers, strict=True):
            if not call.answered.done():
                call.answered.set_result(answer)
        self._small_tasks.discard(asyncio.current_task())
        self._begin_small()

    async def _run(self, task: Callable[[], R]) -> R:
        crashes = 0
        while True:
            if self._is_draining:
                raise DrainingError("The worker stops.")
            scheduled = self._processes.submit(self._timeout, task)
            self._scheduled.add(scheduled)
            scheduled.add_done_callback(self._scheduled.discard)
            try:
                return await asyncio.wrap_future(scheduled)
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


def _observe(seconds: dict[Step, float]) -> None:
    for step, spent in seconds.items():
        metrics.STEP.labels(step).observe(spent)


_Task = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a call raised or returned, and the steps that it took."""

    error: Exception | None = None
    result: Any = None
    seconds: dict[Step, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Call:
    task: _Task
    answered: "asyncio.Future[_Answer | None]"  # None: it is to be run alone


def _each(tasks: Sequence[_Task]) -> list[_Answer | None]:
    """Call one function after the other, in a worker process."""
    return [_answer(*task) for task in tasks]


def _answer(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Answer | None:
    with measured() as watch:
        try:
            result = function(*args, **kwargs)
        except MemoryError:
            return None
        except Exception as error:
            error.add_note("In a process of its own:\n" + "".join(traceback.format_tb(error.__traceback__)))
            return _Answer(error.with_traceback(None), None, watch.seconds)
    return _Answer(None, result, watch.seconds)


def limit_process(memory: int) -> None:
    """Lower this process's priority, and bound the memory that it can allocate, in bytes."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
