"""Opens the original of a picture, from whichever of its files is still there, and only the bytes that were taken in.

A file may have been edited since: its SHA-256 says so, which is asked once for each version of a file, as size, times
and inode tell versions apart.
"""

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from api.access.sources import open_first
from api.kept import Kept
from core.errors import RequestError
from gateways.qdrant import Qdrant
from imaging.hashing import SETTLED_NS, digest, is_sha256
from rules.many_paths import MORE_PATHS

FIELDS = ["full_path", "paths", MORE_PATHS, "file_hash"]
SHOWN = 3
REMEMBERED = 10_000
Version = tuple[int, int, int, int, int]
"""Device, inode, bytes, and nanoseconds of the last change of content and of anything."""


class Originals:
    """Knows which versions of files have which content.

    What it opens is a file descriptor, which the caller closes, and the path.
    """

    def __init__(self, qdrant: Qdrant, kept: Kept) -> None:
        self._qdrant = qdrant
        self._kept = kept
        self._known: OrderedDict[Version, str] = OrderedDict()
        self._lock = Lock()

    async def of_point(self, collection: str, fields: Mapping[str, Any]) -> tuple[int, str]:
        """Open a file of a picture that has its content; `fields`: FIELDS of its payload.

        Raises RequestError: 410 where only files with other contents are left, 404 where none is.
        """
        tried: list[str] = []
        changed: RequestError | None = None
        async for paths in self._paths(collection, fields):
            tried += paths[: SHOWN - len(tried)]
            try:
                opened = await self._first(paths, fields.get("file_hash"))
            except RequestError as error:
                changed = changed or error
            else:
                if opened is not None:
                    return opened
        raise changed or _gone("original", tried)

    async def at(self, path: str | None) -> tuple[int, str]:
        """Open a file, whatever it holds. Raises RequestError(404)."""
        paths = [path] if path else []
        opened = await self._first(paths, None)
        if opened is None:
            raise _gone("file", paths)
        return opened

    async def _paths(self, collection: str, fields: Mapping[str, Any]) -> AsyncIterator[list[str]]:
        first = fields.get("full_path")
        shown = [first] if first and isinstance(first, str) else []
        async for paths in self._qdrant.all_paths(collection, fields):
            yield [*shown, *filter(None, paths)]
            shown = []

    async def _first(self, paths: Sequence[str], sha256: object) -> tuple[int, str] | None:
        return await asyncio.to_thread(self._open, paths, await self._kept.readable_roots(), sha256)

    def _open(self, paths: Sequence[str], roots: Iterable[Path], sha256: object) -> tuple[int, str] | None:
        """Open the first of these paths, inside a root, that has this content; None where none can be opened. Blocks.

        A point that another program wrote may have no hash as `sha256`: any content will do then.
        Raises RequestError(410) where only other contents are there.
        """
        roots, changed = list(roots), []
        for path in dict.fromkeys(paths):
            opened = open_first([path], roots)
            if opened is None:
                continue
            try:
                if not is_sha256(sha256) or self._digest(opened[0]) == sha256:
                    return opened
            except OSError:  # the disk cannot read it: as if it were not there
                os.close(opened[0])
                continue
            os.close(opened[0])
            changed.append(path)
        if changed:
            raise RequestError(
                f"{', '.join(changed[:3])} changed since it was taken in: it is another picture now. "
                "Take its folder in again to find it as it is.",
                410,
            )
        return None

    def _digest(self, descriptor: int) -> str:
        version = _version(descriptor)
        with self._lock:
            if version in self._known:
                self._known.move_to_end(version)
                return self._known[version]
        with open(descriptor, "rb", closefd=False) as file:
            file.seek(0)
            found = digest(file)
            file.seek(0)
        # Two writes that are close together may leave the same times.
        if _version(descriptor) == version and time.time_ns() - version[4] > SETTLED_NS:
            with self._lock:
                self._known[version] = found
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
        return found


def _gone(what: str, tried: Sequence[str]) -> RequestError:
    return RequestError(
        f"The {what} is not there any more, or outside the folders that may be read (setting INGEST_ROOTS). "
        f"It was at: {', '.join(tried) or 'an unknown path'}",
        404,
    )


def _version(descriptor: int) -> Version:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
