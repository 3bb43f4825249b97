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


@asynccontextmanager
async def open_words(qdrant: Qdrant) -> AsyncIterator[None]:
    """Do so now, and every few minutes until the block ends."""

    async def run() -> None:
        while True:
            try:
                await fill_all(qdrant)
            except Exception as error:  # whatever it is: the next time may do
                log.warning("words-not-filled", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(PAUSE_SECONDS)

    running = asyncio.create_task(run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
