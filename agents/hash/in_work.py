"""What hash has in work, as sweeps need to know."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, TypeVar

from rules.paths import is_within

T = TypeVar("T")


class InWork:
    """The paths that hash has in work: what is found of them on the disk may be old by the time it is acted on."""

    def __init__(self) -> None:
        self._pieces: dict[int, Sequence[bytes]] = {}
        # By identity: two may hold the same paths.
        self._watches: dict[int, set[bytes]] = {}
        self._ended = asyncio.Event()

    def begin(self, paths: Sequence[bytes]) -> None:
        """Note paths that were taken, as one piece of work."""
        self._pieces[id(paths)] = paths
        for watch in self._watches.values():
            watch.update(paths)

    def end(self, paths: Sequence[bytes]) -> None:
        """Note that a piece of work has ended, by the very list that it has begun with."""
        del self._pieces[id(paths)]
        # Whoever waits now looks again.
        self._ended.set()
        self._ended.clear()

    def below(self, place: bytes) -> list[bytes]:
        """Return the paths that are in work now, of a place and of what lies below it."""
        return [path for path in chain.from_iterable(self._pieces.values()) if is_within(path, (place,))]

    async def without(self, paths: Iterable[bytes], seconds: float | None = None) -> None:
        """Wait until none of these paths is in work, at most so long; None: as long as that takes."""
        wanted = set(paths)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not wanted.isdisjoint(chain.from_iterable(self._pieces.values())):
                    await self._ended.wait()

    async def until_done(self, paths: Sequence[bytes], work: Coroutine[Any, Any, T]) -> T:
        """Do work on paths, which are in work until then. They have begun already."""
        try:
            return await work
        finally:
            self.end(paths)

    @contextmanager
    def watched(self) -> Iterator[set[bytes]]:
        """Give the paths that are in work at any time until the block ends."""
        watch = set(chain.from_iterable(self._pieces.values()))
        self._watches[id(watch)] = watch
        try:
            yield watch
        finally:
            del self._watches[id(watch)]
