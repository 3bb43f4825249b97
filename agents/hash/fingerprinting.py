"""What files hold: read once they keep still, unless what is remembered of them stands."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

from agents.patience import answered
from agents.roots import allowed_roots
from agents.stage import Services
from core.errors import FileChangedError, FileError
from imaging import hashing
from imaging.files import FileStamp, Roots, check_within, outside_of_all
from rules.hashing import STILL_ATTEMPTS, seconds_until_still
from tables.fingerprints import Fingerprint
from topics.raw_path import RawPath

T = TypeVar("T")


class Fingerprinter:
    """Reads files, where they lie in folders that may be read."""

    def __init__(self, services: Services) -> None:
        self._cpu = services.cpu
        self._settings = services.settings

    async def outside(self, first: RawPath, paths: list[bytes]) -> list[FileError | None]:
        """Return for each of the files of a message whether it lies outside the folders that all must lie in."""
        try:
            roots = allowed_roots(first.roots, self._settings)
            return await self._answered(first.path, outside_of_all, paths, roots)
        except FileError as error:
            return [error] * len(paths)

    async def fingerprint(self, file: RawPath, known: Fingerprint | None) -> Fingerprint:
        """Return the known fingerprint if the file has not changed since, else read the file.

        Raises FileError where it cannot be read, or does not stop changing.
        """
        roots = allowed_roots(file.roots, self._settings)
        if known is None:
            return await self._read(file, roots)
        if roots is not None:
            await self._answered(file.path, check_within, file.path_bytes, roots)
        stamp = file.stamp
        if stamp is None:
            stamp = await self._answered(file.path, hashing.stamp, file.path_bytes)
        return known if known.matches(stamp) else await self._read(file, roots)

    async def _read(self, file: RawPath, roots: Roots) -> Fingerprint:
        for _ in range(STILL_ATTEMPTS):
            try:
                sha256, stamp = await self._cpu.run_for_file(
                    file.size,
                    hashing.hash_file,
                    file.path_bytes,
                    roots,
                    max_bytes=self._settings.max_file_bytes,
                )
            except FileChangedError:
                await asyncio.sleep(seconds_until_still(0.0))
            else:
                if await self._is_still(file, stamp):
                    return Fingerprint(size=stamp.size, mtime_ns=stamp.mtime_ns, ctime_ns=stamp.ctime_ns, sha256=sha256)
        raise FileChangedError(f"{file.path} does not stop changing. Scan again when it is complete.")

    async def _is_still(self, file: RawPath, stamp: FileStamp) -> bool:
        """Tell whether a file has kept still for a moment."""
        seconds = seconds_until_still(time.time() - stamp.mtime_ns / 1e9)
        if not seconds:
            return True
        await asyncio.sleep(seconds)
        return await self._answered(file.path, hashing.stamp, file.path_bytes) == stamp

    async def _answered(self, path: str, look: Callable[..., T], *args: Any) -> T:
        return await answered(path, self._settings.file_timeout_seconds, look, *args)
