"""Moves one file within a root. All paths but the root's are relative to it; no link in them is followed.

A move is a hard link under the new name, then the removal of the old one: it never overwrites, a kill leaves the file
under one name or both, and the content is under a name at every moment.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import FileError
from rules.paths import ARCHIVE_FOLDER, readable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def move(root: bytes, source: bytes, target: bytes) -> None:
    """Move a regular file; the folders of the target are made. Raises FileError, with nothing changed."""
    try:
        with _folder(root, source) as here, _folder(root, target, make=True) as there:
            name, fresh = _name(source), _name(target)
            if not stat.S_ISREG(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
                raise FileError("It is no regular file.")
            os.link(name, fresh, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
            os.fsync(there)
            try:
                os.unlink(name, dir_fd=here)
            except OSError:
                os.unlink(fresh, dir_fd=there)
                raise
    except FileExistsError as error:
        raise FileError(f"There is a file already at {readable(root + b'/' + target)}.") from error
    except OSError as error:
        raise FileError(f"It cannot be moved: {error.strerror or error}.") from error


def finish(root: bytes, source: bytes, target: bytes) -> bool:
    """Bring a move that a kill has broken off to its end, where it had begun. Tell whether it had."""
    moved = _status(root, target)
    if moved is None:
        return False
    left = _status(root, source)
    if left is None:
        return True
    if not os.path.samestat(left, moved):
        return False
    with _folder(root, source) as here:
        os.unlink(_name(source), dir_fd=here)
    return True


def remove_empty_folders(root: bytes, path: bytes) -> None:
    """Remove the folders of the archive that held a file, from the innermost up to the first that is not empty."""
    folder = _above(path)
    while folder.split(b"/")[0] == ARCHIVE_FOLDER:
        try:
            with _folder(root, folder) as above:
                os.rmdir(_name(folder), dir_fd=above)
        except OSError:
            return
        folder = _above(folder)


@contextmanager
def _folder(root: bytes, path: bytes, *, make: bool = False) -> Iterator[int]:
    """Open the folder that holds `path`, one step at a time, so that no step can be a link."""
    descriptor = os.open(root, _FOLDER)
    try:
        for part in filter(None, _above(path).split(b"/")):
            if part == b"..":
                raise FileError("Its path leads upwards.")
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            above, descriptor = descriptor, os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(above)
        yield descriptor
    finally:
        os.close(descriptor)


def _status(root: bytes, path: bytes) -> os.stat_result | None:
    try:
        with _folder(root, path) as folder:
            return os.stat(_name(path), dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None


def _above(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
