"""JPEGs of stored pictures for people to look at: made when they are asked for, once for all who ask."""

import asyncio
import os
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from api.images.preview_store import PreviewStore
from api.images.renditions import Renditions
from imaging import renderer
from imaging.hashing import is_sha256


class Side(IntEnum):
    """Pixels of the longest side, at most."""

    SMALL = 512
    LARGE = 2048


MAX_BYTES = 4 << 20


@dataclass(slots=True)
class _Making:
    """A preview that is being made, and how many wait for it."""

    task: asyncio.Task[bytes]
    asking: int = 0


class Previews:
    """What is kept is named by the content's hash, the size and how it was rendered, so it never goes stale."""

    def __init__(self, renditions: Renditions, store: PreviewStore) -> None:
        self.version = renderer.version()
        self._renditions = renditions
        self._store = store
        self._making: dict[str, _Making] = {}

    def name(self, sha256: object, side: Side) -> str | None:
        """Return what the preview of a content is kept under; None for what is no hash."""
        return f"{sha256}-{side:d}-{self.version}" if is_sha256(sha256) else None

    async def of(self, file: BinaryIO, sha256: object, side: Side) -> bytes:
        """Return the preview of an open file with this hash, if it has one.

        Raises RequestError: 410 where the file has another content by now, 422 where it cannot be decoded; BusyError.
        """
        name = self.name(sha256, side)
        if name is None:
            return await self._renditions.of(file, side=side, max_rendition_bytes=MAX_BYTES)
        if kept := await asyncio.to_thread(self._store.get, name):
            return kept
        making = self._making.get(name)
        if making is None:
            # A file of its own: whoever asked first may go before it is made, and others wait.
            making = _Making(asyncio.create_task(self._make(name, str(sha256), side, os.dup(file.fileno()))))
            self._making[name] = making
        making.asking += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.asking -= 1
            if not making.asking:
                # It is made, or all who asked have gone: the next one begins anew.
                making.task.cancel()
                del self._making[name]

    async def _make(self, name: str, sha256: str, side: int, descriptor: int) -> bytes:
        with os.fdopen(descriptor, "rb") as file:
            jpeg = await self._renditions.of(file, side=side, max_rendition_bytes=MAX_BYTES, sha256=sha256)
        await asyncio.to_thread(self._store.put, name, jpeg)
        return jpeg
