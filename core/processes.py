"""Processes that run functions: one that crashes, hangs or is killed costs the task that it works on, and no other.

Each has a pipe of its own and shares no lock, so that a kill at any moment leaves nothing that others wait for.
"""

import ctypes
import multiprocessing
import queue
import resource
import signal
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")

STATM = Path("/proc/self/statm")
KEPT_BYTES = 200 << 20
"""A process that waits may hold so much: what a common picture needs is not worth the time to give it back."""


class CrashedError(Exception):
    """A process ended before it answered; `exit_code` is negative for a signal."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(f"The process ended before it answered (exit code {exit_code}).")
        self.exit_code = exit_code


@dataclass(frozen=True, eq=False)
class _Worker:
    process: ForkServerProcess
    pipe: Connection

    def ask(self, task: tuple[Any, ...], timeout: float) -> tuple[BaseException | None, Any]:
        self.pipe.send(task)
        if not self.pipe.poll(timeout):
            raise TimeoutError
        answer: tuple[BaseException | None, Any] = self.pipe.recv()
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Processes:
    """`count` processes, each led by a thread; tasks are begun in the order in which they come.

    The processes are forked from a small server that has read the modules `preload`: a fork of a process with
    threads can deadlock. Each calls `prepare(*arguments)` first. They end with this process.
    """

    def __init__(
        self,
        count: int,
        *,
        preload: Sequence[str],
        prepare: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self._count = count
        self._first = (prepare, arguments)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="processes")
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def start(self) -> None:
        """Start the processes. Otherwise each is started for its first task."""
        for _ in range(self._count):
            self._idle.put(self._launch())

    def submit(self, timeout: float, function: Callable[..., R], *args: Any, **kwargs: Any) -> "Future[R]":
        """Have a function called in one of the processes; it may take `timeout` seconds from its start.

        The future raises what the function raises, TimeoutError, or CrashedError. All of it is pickled.
        """
        return self._threads.submit(self._call, timeout, (function, args, kwargs))

    def close(self) -> None:
        """End the processes, whatever they do, and wait until they are gone."""
        with self._lock:
            self._is_closed = True
            workers = list(self._workers)
        for worker in workers:
            worker.process.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in workers:
            worker.kill()

    def _call(self, timeout: float, task: tuple[Any, ...]) -> Any:
        worker = self._take()
        try:
            error, result = worker.ask(task, timeout)
        except BaseException as failure:
            self._drop(worker)
            if isinstance(failure, EOFError | ConnectionError):
                raise CrashedError(worker.process.exitcode) from None
            raise
        self._idle.put(worker)
        if error is not None:
            raise error
        return result

    def _take(self) -> _Worker:
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            return self._launch()
        if worker.process.is_alive():
            return worker
        self._drop(worker)
        return self._launch()

    def _drop(self, worker: _Worker) -> None:
        worker.kill()
        with self._lock:
            self._workers.discard(worker)

    def _launch(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, *self._first), daemon=True)
        with self._lock:
            if self._is_closed:
                raise CrashedError(None)
            try:
                process.start()
            except (OSError, EOFError) as error:  # the server that forks has been killed; it is started again
                raise CrashedError(None) from error
            theirs.close()
            worker = _Worker(process, ours)
            self._workers.add(worker)
        return worker


def _serve(pipe: Connection, prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    """Answer tasks until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all; who started this one ends it
    if prepare is not None:
        prepare(*arguments)
    try:
        while True:
            _answer(pipe)
            _give_back_memory()
    except (EOFError, ConnectionError):
        return


def _give_back_memory() -> None:
    """Return what is free to the system, where it is much: the allocator of Linux keeps it for the next task."""
    try:
        held = int(STATM.read_bytes().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux
        return
    if held > KEPT_BYTES:
        ctypes.CDLL(None).malloc_trim(0)


def _answer(pipe: Connection) -> None:
    """Take one task; what it held is free when this returns."""
    message = pipe.recv_bytes()
    answer: tuple[BaseException | None, Any]
    try:
        function, args, kwargs = multiprocessing.reduction.ForkingPickler.loads(message)
        answer = (None, function(*args, **kwargs))
    except BaseException as error:
        error.add_note("In a process of its own:\n" + "".join(traceback.format_tb(error.__traceback__)))
        answer = (error.with_traceback(None), None)
    try:
        packed = multiprocessing.reduction.ForkingPickler.dumps(answer)
    except Exception as error:
        reason = RuntimeError(f"The answer cannot be sent: {error}: {answer!r:.500}")
        packed = multiprocessing.reduction.ForkingPickler.dumps((reason, None))
    pipe.send_bytes(packed)
