"""Open one file safely, and know whether it is still the file it was.

Paths are bytes, as the system keeps them: a name need not be UTF-8.
"""

import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from core.errors import ContentError, FileChangedError, FileError
from rules.paths import is_within, readable

Roots = tuple[bytes, ...] | None
"""Folders, absolute and without links, that a file must lie in; None: it may lie anywhere."""

DESCRIPTORS = b"/proc/self/fd"
"""Where Linux tells the real path of an open file."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells two versions of a file apart without reading it: bytes, and nanoseconds since 1970.

    `ctime_ns`, where it is known, is moved by every write and cannot be set back, as `mtime_ns` can.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None = field(default=None, compare=False)


@contextmanager
def open_regular(path: bytes, roots: Roots = None) -> Iterator[io.BufferedReader]:
    """Open a regular file, or a link to one, for reading.

    Never waits on a pipe. Raises FileError when the file is missing, forbidden, not regular or outside the roots, and
    for an error of the disk inside the `with` block. What was opened is compared with the roots, not what the path
    led to before, so that a link which is swapped meanwhile gains nothing.
    """
    if b"\0" in path:
        raise FileError(f"{readable(path)!r} is not a possible path: it holds a NUL.")
    try:
        # O_NONBLOCK: a plain open of a pipe waits for a writer, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileError(f"{readable(path)} is not a regular file; only regular files can be read.")
        with os.fdopen(descriptor, "rb") as file:
            if roots is not None and not is_within(_real_path_of(descriptor, path), roots):
                raise outside(path)
            yield file
    except FileNotFoundError as error:
        raise FileError(f"{readable(path)} does not exist (any more).") from error
    except PermissionError as error:
        raise FileError(f"{readable(path)} may not be read: permission denied for this user.") from error
    except OSError as error:
        raise FileError(f"{readable(path)} cannot be read: {error.strerror or error}.") from error


def check_within(path: bytes, roots: Roots) -> None:
    """Raise FileError when a path leads out of the roots now. For what is not opened; `open_regular` is stricter."""
    if roots is not None and not is_within(os.path.realpath(path), roots):
        raise outside(path)


def outside_of(path: bytes, roots: Roots) -> FileError | None:
    """Return why a path may not be told of, as it leads out of the roots now; None where it does not."""
    try:
        check_within(path, roots)
    except FileError as error:
        return error
    return None


def outside_of_all(paths: Sequence[bytes], roots: Roots) -> list[FileError | None]:
    """Return for each path, of the form of `rules.paths.normal`, what `outside_of` does: with one look at each."""
    if roots is None:
        return [None] * len(paths)
    folders = {path.rpartition(b"/")[0] for path in paths}
    within = {folder for folder, real in _real_paths(folders).items() if is_within(real, roots)}
    return [
        None if path.rpartition(b"/")[0] in within and not _is_link(path) else outside_of(path, roots) for path in paths
    ]


def _real_paths(folders: Iterable[bytes]) -> dict[bytes, bytes]:
    """Return where folders lie, without links, with one look at each folder on the way, however many go through it."""
    are_plain = {b"": True}
    for folder in folders:
        way, plain = [], folder
        while plain not in are_plain:
            way.append(plain)
            plain = plain.rpartition(b"/")[0]
        for step in reversed(way):
            are_plain[step] = are_plain[plain] and not _is_link(step)
            plain = step
    return {folder: (folder if are_plain[folder] else os.path.realpath(folder)) or b"/" for folder in folders}


def _is_link(path: bytes) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False


def outside(path: bytes) -> FileError:
    """Return the error for a path that leads out of the roots. It does not tell where to."""
    return FileError(
        f"{readable(path)} lies outside the folders that its job may read, or is a link out of them. "
        "Move it into one of them, or allow its folder (INGEST_ROOTS) and scan that."
    )


def _real_path_of(descriptor: int, path: bytes) -> bytes:
    """Return where an open file lies, without links."""
    try:
        return os.readlink(DESCRIPTORS + b"/%d" % descriptor)  # noqa: PTH115 - bytes
    except FileNotFoundError:  # no /proc
        real = os.path.realpath(path)
        # The same file, so nothing that the path leads to since it was opened.
        return real if os.path.samestat(os.lstat(real), os.fstat(descriptor)) else b""


def stamp_of(file: BinaryIO) -> FileStamp:
    """Stamp of the open file itself, whatever its name points to by now."""
    status = os.fstat(file.fileno())
    return FileStamp(size=status.st_size, mtime_ns=status.st_mtime_ns, ctime_ns=status.st_ctime_ns)


def stamp(path: bytes) -> FileStamp:
    """Stamp of a regular file. Raises FileError as `open_regular` does."""
    with open_regular(path) as file:
        return stamp_of(file)


def check_size(path: bytes, size: int, max_bytes: int | None) -> None:
    """Raise ContentError when a file has more bytes than may be read."""
    if max_bytes is not None and size > max_bytes:
        raise ContentError(
            f"{readable(path)} has {size:,} bytes; at most {max_bytes:,} are read (setting MAX_FILE_BYTES)."
        )


def check_unchanged(path: bytes, file: BinaryIO, expected: FileStamp) -> None:
    """Raise FileChangedError when the open file is not the one that was stamped."""
    found = stamp_of(file)
    if found != expected or expected.ctime_ns not in {None, found.ctime_ns}:
        raise FileChangedError(
            f"{readable(path)} changed since it was hashed ({expected.size} bytes then, {found.size} bytes now); "
            "it has to be hashed again."
        )
