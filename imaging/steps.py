"""How long each step on a file takes: read, hash, decode, metadata, thumbnail.

A step within another counts for itself alone, so the steps of a file sum to its time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

Step = Literal["read", "hash", "decode", "metadata", "thumbnail"]


class Stopwatch:
    """Seconds by step."""

    def __init__(self) -> None:
        self.seconds: dict[Step, float] = {}
        self._running: Step | None = None
        self._since = 0.0

    def switch(self, step: Step | None) -> Step | None:
        """Go on with another step, or with none; return the one before."""
        now = time.perf_counter()
        before = self._running
        if before is not None:
            self.seconds[before] = self.seconds.get(before, 0.0) + now - self._since
        self._running, self._since = step, now
        return before


_watch: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def measured() -> Iterator[Stopwatch]:
    """Measure the steps of what is called in the block."""
    token = _watch.set(Stopwatch())
    try:
        yield _watch.get()  # type: ignore[misc]  # just set
    finally:
        _watch.reset(token)


@contextmanager
def step(name: Step) -> Iterator[None]:
    """Count the time in the block for a step, if anybody measures."""
    watch = _watch.get()
    if watch is None:
        yield
        return
    before = watch.switch(name)
    try:
        yield
    finally:
        watch.switch(before)
