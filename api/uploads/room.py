"""Room on disks for what people send: what is on its way is promised to it, so that all of it fits together."""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import RequestError


class Room:
    """Free bytes by disk. Of the disk of `data`, `reserve` bytes are left to Kafka, Qdrant and the tables."""

    def __init__(self, data: Path, reserve: int) -> None:
        self._data = data
        self._reserve = reserve
        self._promised: Counter[int] = Counter()  # bytes that are yet to be written, by device
        self._lock = threading.Lock()

    @contextmanager
    def promised(self, folder: Path, size: int) -> Iterator["Promise"]:
        """Promise bytes on a folder's disk until the block ends. Raises RequestError(507). Blocks for a moment."""
        promise = Promise(self, folder)
        promise.grow(size)
        try:
            yield promise
        finally:
            promise.end()

    def take(self, folder: Path, size: int) -> None:
        """Promise more bytes. Raises RequestError(507) where they do not fit."""
        place = _existing(folder)
        device = place.stat().st_dev
        reserve = self._reserve if device == _existing(self._data).stat().st_dev else 0
        with self._lock:
            left = shutil.disk_usage(place).free - self._promised[device] - reserve
            if size > left:
                raise RequestError(
                    f"No space left on device: {max(0, left):,} bytes may still be sent, beside what is on its way and "
                    f"the {reserve:,} that stay free (setting DISK_RESERVE_BYTES). Free space, or send less.",
                    507,
                )
            self._promised[device] += size

    def give_back(self, folder: Path, size: int) -> None:
        """End the promise of bytes: they are written, or will not come."""
        with self._lock:
            self._promised[_existing(folder).stat().st_dev] -= size


class Promise:
    """Bytes on a disk that one request may still write."""

    def __init__(self, room: Room, folder: Path) -> None:
        self._room = room
        self._folder = folder
        self._left = 0

    def grow(self, size: int) -> None:
        """Ask for more."""
        self._room.take(self._folder, size)
        self._left += size

    def use(self, size: int) -> None:
        """Say that so many bytes are written now; those that were not promised are asked for."""
        if size > self._left:
            self.grow(size - self._left)
        self._left -= size
        self._room.give_back(self._folder, size)

    def end(self) -> None:
        """Give back what was not used."""
        self._room.give_back(self._folder, self._left)
        self._left = 0


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110 - one call
