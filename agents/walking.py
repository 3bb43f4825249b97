"""Walks folders with `os.scandir`, streaming: what it holds grows with the depth, not with the number of files."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from errors import FileError
from imaging.files import Roots, check_within
from imaging.formats import is_listed
from imaging.hashing import FileStamp
from rules.outcomes import Outcome
from rules.paths import ARCHIVE_FOLDER, readable


@dataclass(frozen=True, slots=True)
class Found:
    """A photograph, by its extension."""

    path: bytes
    stamp: FileStamp


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that ends here, with its outcome and the reason."""

    path: bytes
    outcome: Outcome
    reason: str


def walk(source: bytes, roots: Roots = None) -> Iterator[Found | Refused]:
    """Yield what is below a folder (or the file itself).

    What leads out of the roots is refused, so that nothing is told of what lies there; a file that is found is bound
    to them again when it is read. What Darkroom itself has archived is left out.
    """
    try:
        check_within(source, roots)
        status = os.stat(source)  # noqa: PTH116 - bytes
    except (FileError, OSError) as error:
        yield Refused(source, "failed", _why(error))
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk_folder(source, [(status.st_dev, status.st_ino)], roots)
    else:
        yield _judge(source, status)


def _walk_folder(folder: bytes, ancestors: list[tuple[int, int]], roots: Roots) -> Iterator[Found | Refused]:
    try:
        with os.scandir(folder) as entries:
            # Links to folders are followed, as photographs are often kept behind one.
            for entry in entries:
                if entry.name != ARCHIVE_FOLDER:
                    yield from _walk_entry(entry, ancestors, roots)
    except OSError as error:
        yield Refused(folder, "failed", _why(error))


def _walk_entry(
    entry: "os.DirEntry[bytes]", ancestors: list[tuple[int, int]], roots: Roots
) -> Iterator[Found | Refused]:
    try:
        if entry.is_symlink():
            check_within(entry.path, roots)
        status = entry.stat()
    except FileError as error:
        yield Refused(entry.path, "failed", _why(error))
        return
    except OSError as error:
        if entry.is_symlink() and not is_listed(entry.path):
            yield Refused(entry.path, "skipped", "its extension is not that of a photograph")
        else:
            yield Refused(entry.path, "failed", "a link to nothing" if entry.is_symlink() else _why(error))
        return
    if not stat.S_ISDIR(status.st_mode):
        yield _judge(entry.path, status)
        return
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        yield Refused(entry.path, "skipped", "a link to a folder that contains it")
    else:
        yield from _walk_folder(entry.path, [*ancestors, identity], roots)


def _judge(path: bytes, status: os.stat_result) -> Found | Refused:
    if not is_listed(path):
        return Refused(path, "skipped", "its extension is not that of a photograph")
    if not stat.S_ISREG(status.st_mode):
        return Refused(path, "skipped", "not a regular file")
    return Found(path, FileStamp(status.st_size, status.st_mtime_ns))


def _why(error: FileError | OSError) -> str:
    if isinstance(error, FileError):
        return str(error)
    return f"{readable(error.filename) if isinstance(error.filename, bytes) else error.filename}: {error.strerror}"
