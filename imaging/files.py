"""Open one file safely, and know whether it is still the file it was.

Paths are bytes, as the system keeps them: a name need not be UTF-8.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from errors import FileChangedError, FileError
from rules.paths import readable


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells two versions of a file apart without reading it: bytes, and nanoseconds since 1970."""

    size: int
    mtime_ns: int


@contextmanager
def open_regular(path: bytes) -> Iterator[io.BufferedReader]:
    """Open a regular file, or a link to one, for reading.

    Never waits on a pipe. Raises FileError when the file is missing, forbidden or not regular, and for an error of the
    disk inside the `with` block.
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
            yield file
    except FileNotFoundError as error:
        raise FileError(f"{readable(path)} does not exist (any more).") from error
    except PermissionError as error:
        raise FileError(f"{readable(path)} may not be read: permission denied for this user.") from error
    except OSError as error:
        raise FileError(f"{readable(path)} cannot be read: {error.strerror or error}.") from error


def stamp_of(file: BinaryIO) -> FileStamp:
    """Stamp of the open file itself, whatever its name points to by now."""
    status = os.fstat(file.fileno())
    return FileStamp(size=status.st_size, mtime_ns=status.st_mtime_ns)


def stamp(path: bytes) -> FileStamp:
    """Stamp of a regular file. Raises FileError as `open_regular` does."""
    with open_regular(path) as file:
        return stamp_of(file)


def check_unchanged(path: bytes, file: BinaryIO, expected: FileStamp) -> None:
    """Raise FileChangedError when the open file is not the one that was stamped."""
    found = stamp_of(file)
    if found != expected:
        raise FileChangedError(
            f"{readable(path)} changed since it was hashed ({expected.size} bytes then, {found.size} bytes now); "
            "it has to be hashed again."
        )
