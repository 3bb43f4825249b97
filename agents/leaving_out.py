"""What a walk leaves out, as the folders that it is in say: Darkroom's own rules, and the patterns of people."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import MISSING, FileError
from imaging.files import Roots, open_regular
from rules.leaving_out import IGNORE_FILE, NO_MEDIA, Patterns, is_left_out
from rules.paths import is_within, parent_of, readable

MOST_COUNTED = 10_000
"""Entries of a folder that is left out: a snapshot may hold all files of a disk, many times."""
MAX_IGNORE_BYTES = 1 << 16

Scopes = tuple[tuple[bytes, Patterns], ...]
"""Patterns with the folders that they are of; the first that says anything decides."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files that have no outcome, in how many folders; `more`: there are more, which nobody has counted."""

    files: int
    folders: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """What people choose: patterns of the request, which go before those of ignore files, and of the settings.

    `named`: the sources of the request. Who names a folder wants it.
    """

    request: Patterns = field(default_factory=lambda: Patterns(()))
    settings: Patterns = field(default_factory=lambda: Patterns(()))
    named: frozenset[bytes] = frozenset()

    def scopes_of(self, source: bytes, roots: Roots) -> Scopes:
        """Return the patterns for what is below a source, without its own ignore file. Raises FileError.

        Ignore files above it, up to the root, count as well, but one that would leave out the source itself.
        """
        scopes: Scopes = ((source, self.settings),)
        for folder in _above(source, roots):
            patterns = ignore_file(folder, roots)
            if patterns and not any(
                patterns.verdict(_relative(part, folder), is_folder=True) for part in _between(folder, source)
            ):
                scopes = ((folder, patterns), *scopes)
        return scopes

    def verdict(self, path: bytes, scopes: Scopes, source: bytes, *, is_folder: bool) -> bool:
        """Tell whether an entry of a folder is left out. Raises FileError where the disk does not say so."""
        for base, patterns in ((source, self.request), *scopes):
            said = patterns.verdict(_relative(path, base), is_folder=is_folder) if patterns else None
            if said is not None:
                return said
        above, _, name = os.fsdecode(path).rpartition("/")
        if is_left_out(name, above.rpartition("/")[2], is_folder=is_folder):
            return True
        return is_folder and _has(path, NO_MEDIA)


class ScopesWithin:
    """The patterns for what is in folders of a source, as a walk of the source finds them. Blocks."""

    def __init__(self, source: bytes, roots: Roots, chosen: Chosen) -> None:
        self._source = source
        self._roots = roots
        self._chosen = chosen
        self._scopes: dict[bytes, Scopes | None] = {}

    def of(self, folder: bytes) -> Scopes | None:
        """Return those for what is in a folder; None where the folder is left out. Raises FileError."""
        way = []
        while folder not in self._scopes and folder != self._source:
            way.append(folder)
            folder = parent_of(folder)
        if folder not in self._scopes:
            self._scopes[folder] = self._with_own(folder, self._chosen.scopes_of(folder, self._roots))
        scopes = self._scopes[folder]
        for below in reversed(way):
            if scopes is not None:
                is_left_out = self._chosen.verdict(below, scopes, self._source, is_folder=True)
                scopes = None if is_left_out else self._with_own(below, scopes)
            self._scopes[below] = scopes
        return scopes

    def leaves_out(self, path: bytes, *, is_folder: bool) -> bool:
        """Tell whether a path below the source is left out, by itself or with a folder that it lies in.

        Raises FileError as `of` does.
        """
        if path in self._chosen.named:
            return False
        return self._leaves_out(path, self.of(parent_of(path)), is_folder=is_folder)

    def left_out(self, folder: bytes, files: Iterable[bytes]) -> list[bool]:
        """Tell which of a folder's files are left out, given by their paths. Raises FileError as `of` does."""
        scopes = self.of(folder)
        return [self._leaves_out(path, scopes, is_folder=False) for path in files]

    def _leaves_out(self, path: bytes, scopes: Scopes | None, *, is_folder: bool) -> bool:
        if path in self._chosen.named:
            return False
        return scopes is None or self._chosen.verdict(path, scopes, self._source, is_folder=is_folder)

    def _with_own(self, folder: bytes, above: Scopes) -> Scopes:
        patterns = ignore_file(folder, self._roots)
        return ((folder, patterns), *above) if patterns else above


def ignore_file(folder: bytes, roots: Roots) -> Patterns | None:
    """Read a folder's ignore file; None where it has none.

    Raises FileError where it cannot be read or understood: what it would leave out must not be taken in.
    """
    if not _has(folder, IGNORE_FILE):
        return None
    path = _within(folder, IGNORE_FILE)
    with open_regular(path, roots) as file:
        text = file.read(MAX_IGNORE_BYTES + 1)
    if len(text) > MAX_IGNORE_BYTES:
        raise FileError(f"{readable(path)} has more than {MAX_IGNORE_BYTES:,} bytes. Make it shorter.")
    if b"\0" in text:
        raise FileError(f"{readable(path)} is not plain text, or is in UTF-16. Save it as UTF-8.")
    try:
        lines = os.fsdecode(text.removeprefix(b"\xef\xbb\xbf")).split("\n")
        return Patterns(line.removesuffix("\r") for line in lines)
    except ValueError as error:
        raise FileError(f"{readable(path)} has a line that is no pattern: {error}. Correct it.") from error


def _has(folder: bytes, name: str) -> bool:
    """Tell whether a folder has a file of this name. Raises FileError where the disk does not say so."""
    try:
        os.lstat(_within(folder, name))
    except MISSING:
        return False
    except OSError as error:
        raise FileError(f"{readable(folder)}: {error.strerror or error}") from error
    return True


def _within(folder: bytes, name: str) -> bytes:
    return folder.rstrip(b"/") + b"/" + name.encode()


def count(folder: bytes, named: Collection[bytes]) -> LeftOut:
    """Count the files in a folder that is left out, without those of sources in it."""
    waiting, files, entries = [folder], 0, 0
    while waiting:
        try:
            with os.scandir(waiting.pop()) as listed:
                for entry in listed:
                    entries += 1
                    if entries > MOST_COUNTED:
                        return LeftOut(files, 1, more=True)
                    if entry.path in named:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        files += 1
        except OSError:
            continue
    return LeftOut(files, int(files > 0))


def total(parts: Iterable[LeftOut]) -> LeftOut:
    """Return the sum."""
    files, folders, more = 0, 0, False
    for part in parts:
        files, folders, more = files + part.files, folders + part.folders, more or part.more
    return LeftOut(files, folders, more)


def _above(source: bytes, roots: Roots) -> list[bytes]:
    """Return the folders above a source that may be read, from the outermost on."""
    folders = list(map(bytes, map(os.fsencode, Path(os.fsdecode(source)).parents)))
    return [folder for folder in reversed(folders) if roots is None or is_within(folder, roots)]


def _between(folder: bytes, source: bytes) -> list[bytes]:
    """Return a source and the folders above it, below another folder."""
    parts = _relative(source, folder).split("/")
    return [os.path.join(folder, os.fsencode("/".join(parts[: n + 1]))) for n in range(len(parts))]  # noqa: PTH118


def _relative(path: bytes, base: bytes) -> str:
    return os.fsdecode(path[len(base.rstrip(b"/")) + 1 :])
