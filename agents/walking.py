"""Walks folders with `os.scandir`, streaming: what it holds grows with the depth, not with the number of files."""

import os
import stat
from collections.abc import Generator, Iterator
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
    reread: str | None = None  # as in topics.files


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that ends here, with its outcome and the reason."""

    path: bytes
    outcome: Outcome
    reason: str
    reread: str | None = None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is being listed. `identity`: device and inode."""

    path: bytes
    identity: tuple[int, int]
    entries: "os._ScandirIterator[bytes]"


def walk(source: bytes, roots: Roots = None) -> Generator[Found | Refused, None, None]:
    """Yield what is below a folder (or the file itself), in the order in which the disk lists it.

    Links to folders are followed, as photographs are often kept behind one. One that leads out of the roots is
    refused, so that nothing is told of what lies there; a file that is found is bound to them again when it is read.
    What Darkroom itself has archived is left out.
    """
    try:
        check_within(source, roots)
        status = os.stat(source)  # noqa: PTH116 - bytes
    except (FileError, OSError) as error:
        yield Refused(source, "failed", _why(source, error))
        return
    if not stat.S_ISDIR(status.st_mode):
        yield _judge(source, status)
        return
    # From the source down. No recursion: folders nest deeper than Python calls may.
    opened: list[_Folder] = []
    try:
        yield from _enter(opened, source, status)
        while opened:
            folder = opened[-1]
            try:
                entry = next(folder.entries, None)
            except OSError as error:
                yield Refused(folder.path, "failed", _why(folder.path, error))
                entry = None
            if entry is None:
                opened.pop().entries.close()
            elif entry.name != ARCHIVE_FOLDER:
                yield from _walk_entry(opened, entry, roots)
    finally:
        for folder in opened:
            folder.entries.close()


def _walk_entry(opened: list[_Folder], entry: "os.DirEntry[bytes]", roots: Roots) -> Iterator[Found | Refused]:
    try:
        if entry.is_symlink():
            check_within(entry.path, roots)
        status = entry.stat()
    except FileError as error:
        yield Refused(entry.path, "failed", str(error))
        return
    except OSError as error:
        yield _refuse(entry, error)
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _enter(opened, entry.path, status)
    else:
        yield _judge(entry.path, status)


def _enter(opened: list[_Folder], path: bytes, status: os.stat_result) -> Iterator[Refused]:
    """Open a folder, to be listed next."""
    identity = (status.st_dev, status.st_ino)
    if any(folder.identity == identity for folder in opened):
        yield Refused(path, "skipped", "a link to a folder that contains it")
        return
    try:
        opened.append(_Folder(path, identity, os.scandir(path)))
    except OSError as error:
        yield Refused(path, "failed", _why(path, error))


def _refuse(entry: "os.DirEntry[bytes]", error: OSError) -> Refused:
    """Refuse what cannot be looked at: a link to nothing, what vanished, what lies in a forbidden folder."""
    if not is_listed(entry.path) and not entry.is_dir(follow_symlinks=False):
        return _not_listed(entry.path)
    if entry.is_symlink() and isinstance(error, FileNotFoundError):
        return Refused(entry.path, "failed", "a link to nothing")
    return Refused(entry.path, "failed", _why(entry.path, error))


def _judge(path: bytes, status: os.stat_result) -> Found | Refused:
    if not is_listed(path):
        return _not_listed(path)
    if not stat.S_ISREG(status.st_mode):
        return Refused(path, "skipped", "not a regular file")
    return Found(path, FileStamp(status.st_size, status.st_mtime_ns))


def _not_listed(path: bytes) -> Refused:
    return Refused(path, "skipped", "its extension is not that of a photograph")


def _why(path: bytes, error: FileError | OSError) -> str:
    if isinstance(error, FileError):
        return str(error)
    return f"{readable(path)}: {error.strerror or error}"
