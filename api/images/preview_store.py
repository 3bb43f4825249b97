"""Previews on disk: within a bound, those that were not looked at for longest go first.

A file is whole or not there: it is written under another name. So a kill leaves at most a part, which the next start
removes, and what a power cut has emptied is noticed when it is read.
"""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import structlog

from api.uploads.room import Room
from core.errors import RequestError

START, END = b"\xff\xd8", b"\xff\xd9"
PART = ".part"

log = structlog.get_logger()


class PreviewStore:
    """JPEGs by name, in a folder that nobody else writes to. Its methods block, and may be called by any thread."""

    def __init__(self, folder: Path, max_bytes: int, room: Room) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._room = room
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] | None = None  # what was looked at last comes last

    def get(self, name: str) -> bytes | None:
        """Return a preview; None where it is not kept."""
        with self._lock:
            try:
                sizes = self._known()
            except OSError:
                return None  # a folder that cannot be used keeps nobody from a picture; `put` says so
            if name not in sizes:
                return None
            path = self._folder / name
            try:
                jpeg = path.read_bytes()
                if not (jpeg.startswith(START) and jpeg.endswith(END)):
                    raise FileNotFoundError(name)  # a power cut came before it was on disk
                os.utime(path)  # the order outlives a restart
            except OSError:
                self._remove(name, sizes)
                return None
            sizes.move_to_end(name)
            return jpeg

    def put(self, name: str, jpeg: bytes) -> None:
        """Keep a preview, if there is room for it."""
        if len(jpeg) > self._max_bytes:
            return
        with self._lock:
            try:
                sizes = self._known()
                with self._room.promised(self._folder, len(jpeg)):
                    self._write(name, jpeg)
            except (OSError, RequestError) as error:
                log.warning("preview-not-kept", reason=str(error))
                return
            sizes[name] = len(jpeg)
            sizes.move_to_end(name)
            self._shrink(sizes)

    def contents(self) -> set[str]:
        """Return the contents that there are previews of."""
        with self._lock:
            try:
                return {name.partition("-")[0] for name in self._known()}
            except OSError:
                return set()

    def forget(self, sha256s: Collection[str]) -> None:
        """Remove the previews of these contents, whose hash their names begin with."""
        with self._lock:
            try:
                sizes = self._known()
            except OSError:
                return  # nothing is kept in a folder that cannot be used
            for name in [name for name in sizes if name.partition("-")[0] in sha256s]:
                self._remove(name, sizes)

    def _write(self, name: str, jpeg: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self._folder, suffix=PART, delete=False) as file:
            try:
                file.write(jpeg)
                file.flush()
                Path(file.name).replace(self._folder / name)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink(missing_ok=True)
                raise

    def _shrink(self, sizes: "OrderedDict[str, int]") -> None:
        held = sum(sizes.values())
        while held > self._max_bytes:
            oldest = next(iter(sizes))
            held -= sizes[oldest]
            self._remove(oldest, sizes)

    def _remove(self, name: str, sizes: "OrderedDict[str, int]") -> None:
        sizes.pop(name, None)
        with suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)

    def _known(self) -> "OrderedDict[str, int]":
        if self._sizes is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            found = []
            for entry in os.scandir(self._folder):
                if entry.name.endswith(PART):
                    Path(entry).unlink(missing_ok=True)
                elif entry.is_file(follow_symlinks=False):
                    found.append((entry.stat().st_mtime_ns, entry.name, entry.stat().st_size))
            self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
            self._shrink(self._sizes)
        return self._sizes
