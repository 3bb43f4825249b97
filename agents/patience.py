"""Waits for a disk that may not answer for ever: that of a network folder whose server is away.

A thread that waits for one cannot be ended. So each call has one of its own, which is given up after a time, and which
neither other calls nor the end of the process wait for.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from core.errors import FileError

T = TypeVar("T")


class Signs:
    """When a disk has answered last: longer work on it notes each of its steps."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def note(self) -> None:
        """Note that it has answered."""
        self._at = time.monotonic()

    def left(self, seconds: float) -> float:
        """Return for how long the next answer is waited for still, of so many seconds after the last."""
        return self._at + seconds - time.monotonic()


class _Threads(Executor):
    """Calls each function in a thread of its own."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()
        Thread(target=_call, args=(future, partial(fn, *args, **kwargs)), name="disk", daemon=True).start()
        return future


_THREADS = _Threads()


async def on_disk(function: Callable[..., T], *args: Any) -> T:
    """Return what a function returns that blocks on a disk, however long that takes."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args))


async def answered(place: str, seconds: float, function: Callable[..., T], *args: Any, signs: Signs | None = None) -> T:
    """Return what a function returns that blocks on a disk; raise FileError where there is no sign of that for so long.

    The function may go on.
    """
    signs = signs or Signs()
    signs.note()
    work = asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args))
    while True:
        await asyncio.wait({work}, timeout=max(0.0, signs.left(seconds)))
        if work.done():
            return work.result()
        if signs.left(seconds) <= 0:
            work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody waits for it any more
            raise FileError(
                f"{place} does not answer: its disk, or the network, has said nothing for {seconds:.0f} s. "
                "Look again when it does."
            )


def _call(future: "Future[T]", function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
