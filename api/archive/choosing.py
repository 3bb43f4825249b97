"""Which of a content's files may be moved. Everything here reads the disk and changes nothing; all of it blocks."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import FileError
from imaging.hashing import hash_file
from rules.paths import ARCHIVE_FOLDER, is_within


@dataclass(frozen=True, slots=True)
class Content:
    """A content that is stored, and those of its paths that somebody wants to be archived.

    `paths`: all that its point has, the one to keep rather than others first. `keep`: one of them must stay.
    """

    sha256: str
    paths: tuple[str, ...]
    unwanted: tuple[str, ...]
    keep: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A path and where it really lies: the root, and the path below it. With a `reason`, it is not to be moved."""

    path: str
    sha256: str
    root: bytes = b""
    relative: bytes = b""
    reason: str | None = None


def choose(content: Content, roots: Iterable[Path]) -> list[Choice]:
    """Decide about each unwanted path.

    Every file is read again: one that was replaced since it was stored is another picture, and neither archived as a
    copy nor counted on as the one that stays.
    """
    folders = _folders(roots)
    kept = _first_good(content, folders) if content.keep else None
    if content.keep and kept is None:
        return [Choice(path, content.sha256, reason="No other copy of it is left.") for path in content.unwanted]
    found = [_choice(path, content.sha256, folders, kept) for path in content.unwanted]
    return [choice for choice in found if choice is not None]


def _first_good(content: Content, folders: Sequence[bytes]) -> Choice | None:
    unwanted = set(content.unwanted)
    # Where all are unwanted, the first of them stays nevertheless.
    for path in [path for path in content.paths if path not in unwanted] or content.paths:
        try:
            return _locate(path, content.sha256, folders)
        except FileError:
            continue
    return None


def _choice(path: str, sha256: str, folders: Sequence[bytes], kept: Choice | None) -> Choice | None:
    if kept is not None and path == kept.path:
        return None
    try:
        choice = _locate(path, sha256, folders)
    except FileError as error:
        return Choice(path, sha256, reason=str(error))
    if kept is not None and (choice.root, choice.relative) == (kept.root, kept.relative):
        return Choice(path, sha256, reason=f"It is {kept.path} by another name, and that stays.")
    return choice


def _locate(path: str, sha256: str, folders: Sequence[bytes]) -> Choice:
    try:
        raw = os.fsencode(path)
        real = os.path.realpath(raw)
    except ValueError as error:
        raise FileError("It is no possible path.") from error
    if not raw.startswith(b"/") or os.path.islink(raw):  # noqa: PTH114 - bytes
        raise FileError("It is a link, or no absolute path.")
    root = next((folder for folder in folders if is_within(real, (folder,))), None)
    if root is None:
        raise FileError("It lies outside the folders that may be used (setting INGEST_ROOTS).")
    relative = os.path.relpath(real, root)
    if ARCHIVE_FOLDER in relative.split(b"/"):
        raise FileError("It is in the archive already.")
    if hash_file(real, (root,))[0] != sha256:
        raise FileError("It was replaced by another file since it was stored.")
    return Choice(path, sha256, root, relative)


def _folders(roots: Iterable[Path]) -> list[bytes]:
    """Return those roots that are folders, without links, an inner one before the one around it."""
    real = {os.path.realpath(os.fsencode(root.expanduser())) for root in roots}
    return sorted(filter(os.path.isdir, real), key=len, reverse=True)
