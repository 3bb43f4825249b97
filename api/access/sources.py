"""Which folders of this machine the service may read. A request names a path; it is used without links, or refused."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.errors import MISSING, FileError, RequestError
from imaging.files import open_regular
from rules.paths import is_within


def allowed_source(text: str, roots: Iterable[Path], *, must_be_folder: bool) -> str:
    """Return the real path behind `text`: absolute, without links, inside a root, and readable.

    Raises RequestError(400) that says what is wrong with it. Of a path outside the roots it does not tell
    whether it exists. Blocks on the file system.
    """
    real_roots = resolved(roots)
    if not real_roots:
        raise RequestError(
            "No folder may be read over HTTP: set INGEST_ROOTS to the folders that hold photographs, "
            "or upload the files."
        )
    path = _real_path(text)
    if not is_within(os.fsencode(path), real_roots):
        raise RequestError(
            f"{text} is outside the folders that may be read (setting INGEST_ROOTS), or a link out of them."
        )
    _check_readable(path, text, must_be_folder=must_be_folder)
    return str(path)


def roots_around(sources: Sequence[str], roots: Iterable[Path]) -> list[str]:
    """Return the roots, without links, that hold these sources. Blocks on the file system."""
    return sorted(
        {
            os.fsdecode(root)
            for root in resolved(roots)
            if any(is_within(os.fsencode(source), (root,)) for source in sources)
        }
    )


def real_roots(roots: Iterable[Path]) -> list[str]:
    """Return the roots without links, each once. Blocks on the file system."""
    return sorted({os.fsdecode(root) for root in resolved(roots)})


def allowed_root(text: str) -> Path:
    """Return the real path of a folder (or file) that someone on this machine allows.

    Raises RequestError(400) if there is none, or it cannot be read. Blocks on the file system.
    """
    path = _real_path(text)
    _check_readable(path, text, must_be_folder=False)
    return path


def resolved(roots: Iterable[Path]) -> tuple[bytes, ...]:
    """Return folders as paths without links. Blocks on the file system."""
    return tuple(os.fsencode(root.expanduser().resolve()) for root in roots)


def open_first(paths: Sequence[str], roots: Iterable[Path]) -> tuple[int, str] | None:
    """Open the first of these paths that is a file inside a root; None where none is left. Blocks.

    Returns a file descriptor, which the caller closes, and the path.
    """
    real_roots = resolved(roots)
    for path in paths:
        try:
            with open_regular(os.fsencode(path), real_roots) as file:
                return os.dup(file.fileno()), path
        except (FileError, UnicodeEncodeError):
            continue
    return None


def _real_path(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise RequestError(f"{text!r} is not an absolute path: send the whole path from / on.")
        path = path.resolve()
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{text!r} leads to a folder whose name is not UTF-8: name the folder above it.") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise RequestError(f"{text!r} cannot be used as a path: {error}.") from error
    return path


def _check_readable(path: Path, text: str, *, must_be_folder: bool) -> None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            # Tried, not asked: permissions, access lists and network mounts all have their say.
            with os.scandir(path):
                return
        if must_be_folder:
            raise RequestError(f"{text} is a file, not a folder: name the folder, or upload the file.")
        if not stat.S_ISREG(mode):
            raise RequestError(f"{text} is neither a file nor a folder.")
        if not os.access(path, os.R_OK):
            raise RequestError(f"{text} cannot be read by the service: Permission denied.")
    except MISSING as error:
        raise RequestError(f"{text} does not exist.") from error
    except OSError as error:
        raise RequestError(f"{text} cannot be read by the service: {error.strerror}.") from error
