"""Gives words to pictures that have none: those that an earlier version stored, or another program.

A search does so itself for a few pictures; a library of a hundred thousand takes minutes, which nobody is to wait for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from core.errors import CollectionMissingError
from gateways.qdrant import Qdrant

PAUSE_SECONDS = 300.0
_SECONDS_AT_ONCE = 30.0

log = structlog.get_logger()


async def fill_all(qdrant: Qdrant) -> None:
    """Give words to all pictures of our collections that have none. Raises QdrantUnavailableError."""
    for info in await qdrant.collections():
        if info.incarnation is None:
            continue
        with suppress(CollectionMissingError):  # deleted meanwhile
            while await qdrant.fill_words(info.name, seconds=_SECONDS_AT_ONCE):
                log.info("words-filled", collection=info.name)


class Words:
    """Gives words to all pictures, now and every few minutes."""

    def __init__(self, qdrant: Qdrant) -> None:
        self._qdrant = qdrant
        self._wanted = asyncio.Event()

    def go_on(self) -> None:
        """Do so now: there are pictures without words."""
        self._wanted.set()

    async def run(self) -> None:
        """Do so for ever."""
        while True:
            self._wanted.clear()
            try:
                await fill_all(self._qdrant)
            except Exception as error:  # whatever it is: the next time may do
                log.warning("words-not-filled", reason=f"{type(error).__name__}: {error}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), PAUSE_SECONDS)


@asynccontextmanager
async def open_words(qdrant: Qdrant) -> AsyncIterator[Words]:
    """Give words until the block ends."""
    words = Words(qdrant)
    running = asyncio.create_task(words.run())
    try:
        yield words
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
