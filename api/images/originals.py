"""Opens the original of a picture, and only the bytes that were taken in.

A file may have been edited since: its SHA-256 says so, which is asked once for each version of a file, as size, times
and inode tell versions apart.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock

from api.access.sources import open_first
from core.errors import RequestError
from imaging.hashing import SETTLED_NS, digest, is_sha256

REMEMBERED = 10_000
Version = tuple[int, int, int, int, int]
"""Device, inode, bytes, and nanoseconds of the last change of content and of anything."""


class Originals:
    """Knows which versions of files have which content."""

    def __init__(self) -> None:
        self._known: OrderedDict[Version, str] = OrderedDict()
        self._lock = Lock()

    def open(self, paths: Sequence[str], roots: Iterable[Path], sha256: object) -> tuple[int, str] | None:
        """Open the first of these paths, inside a root, that has this content; None where none can be opened. Blocks.

        A point that another program wrote may have no hash as `sha256`: any content will do then. Returns a file
        descriptor, which the caller closes, and the path. Raises RequestError(410) where only other contents are there.
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


def _version(descriptor: int) -> Version:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
