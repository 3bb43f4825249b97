"""Walks folders with `os.scandir`, streaming: what it holds grows with the depth, not with the number of files."""

import os
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from agents.leaving_out import Chosen, LeftOut, Scopes, ScopesWithin, count, ignore_file
from agents.patience import Signs
from core.errors import MISSING, FileError
from imaging.files import Roots, check_within, open_regular
from imaging.formats import HEAD_BYTES, is_listed, is_picture
from imaging.hashing import FileStamp
from rules.leaving_out import IGNORE_FILE
from rules.outcomes import Outcome
from rules.paths import ARCHIVE_FOLDER, is_within, outermost, parent_of, readable

_OWN = frozenset({ARCHIVE_FOLDER, IGNORE_FILE.encode()})


@dataclass(frozen=True, slots=True)
class Found:
    """A photograph, by its extension or its first bytes."""

    path: bytes
    stamp: FileStamp
    reread: str | None = None  # as in topics.files
    counts: bool = True  # its walk has not published it before
    kept: bool = False  # as in topics.files


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that ends here, with its outcome and the reason."""

    path: bytes
    outcome: Outcome
    reason: str
    reread: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """A folder whose entries are listed next. `identity`: device and inode."""

    path: bytes
    identity: tuple[int, int]


@dataclass(slots=True)
class _Folder:
    """A folder that is being listed. `identity`: device and inode. `scopes`: patterns for what is in it."""

    path: bytes
    identity: tuple[int, int]
    entries: "os._ScandirIterator[bytes]"
    source: bytes
    scopes: Scopes
    has_left_out: bool = False


Walked = Found | Refused | LeftOut


def walk(source: bytes, roots: Roots = None, chosen: Chosen | None = None) -> Generator[Walked, None, None]:
    """Yield what is below a folder (or the file itself), in the order in which the disk lists it.

    Links to folders are followed, as photographs are often kept behind one. One that leads out of the roots is
    refused, so that nothing is told of what lies there; a file that is found is bound to them again when it is read.
    What Darkroom itself has archived is left out without a word; what is none of anyone's photographs is counted.
    """
    yield from walk_within(source, source, roots, chosen or Chosen())


def walk_within(
    path: bytes,
    source: bytes,
    roots: Roots,
    chosen: Chosen,
    links: set[bytes] | None = None,
    *,
    signs: Signs | None = None,
) -> Generator[Walked, None, None]:
    """Yield what a walk of a source finds at a path and below it; nothing where nothing is there.

    `links`: gets the links to folders that are followed. `signs`: of each entry.
    """
    for entry in _Walk(roots, chosen, links).run(path, source):
        if signs is not None:
            signs.note()
        if not isinstance(entry, Entered):
            yield entry


def folders_within(path: bytes, source: bytes, roots: Roots, chosen: Chosen, links: set[bytes]) -> Iterator[Entered]:
    """Yield the folders that a walk of a source enters at a path and below it; files are not looked at."""
    for entry in _Walk(roots, chosen, links, only_folders=True).run(path, source):
        if isinstance(entry, Entered):
            yield entry


class _Walk:
    """The folders from the source down. No recursion: folders nest deeper than Python calls may."""

    def __init__(
        self, roots: Roots, chosen: Chosen, links: set[bytes] | None = None, *, only_folders: bool = False
    ) -> None:
        self._links = set() if links is None else links
        self._roots = roots
        self._chosen = chosen
        self._only_folders = only_folders
        self._opened: list[_Folder] = []
        # The folders between the source and where the walk begins.
        self._above: set[tuple[int, int]] = set()

    def run(self, path: bytes, source: bytes) -> Iterator[Walked | Entered]:
        try:
            yield from self.begin(source) if path == source else self._begin_within(path, source)
            while self._opened:
                folder = self._opened[-1]
                try:
                    entry = next(folder.entries, None)
                except OSError as error:
                    yield Refused(folder.path, "failed", _why(folder.path, error))
                    entry = None
                if entry is None:
                    self._opened.pop().entries.close()
                elif entry.name not in _OWN:
                    yield from self._take(folder, entry)
        finally:
            for folder in self._opened:
                folder.entries.close()

    def _take(self, folder: _Folder, entry: "os.DirEntry[bytes]") -> Iterator[Walked | Entered]:
        is_folder = _is_folder(entry)
        if self._only_folders and not is_folder:
            return
        try:
            if entry.path not in self._chosen.named and self._chosen.verdict(
                entry.path, folder.scopes, folder.source, is_folder=is_folder
            ):
                yield from self._leave_out(folder, entry, is_folder=is_folder)
                return
            if entry.is_symlink():
                check_within(entry.path, self._roots)
            status = entry.stat()
        except FileError as error:
            yield Refused(entry.path, "failed", str(error))
            return
        except OSError as error:
            yield _refuse(entry, error)
            return
        if stat.S_ISDIR(status.st_mode):
            if entry.is_symlink():
                self._links.add(entry.path)
            yield from self._enter(entry.path, status, folder.source, folder.scopes)
        else:
            yield _judge(entry.path, status)

    def _leave_out(
        self, folder: _Folder, entry: "os.DirEntry[bytes]", *, is_folder: bool
    ) -> Iterator[Walked | Entered]:
        if not is_folder:
            yield LeftOut(1, int(not folder.has_left_out))
            folder.has_left_out = True
            return
        if not entry.is_symlink() and not self._only_folders:
            yield count(entry.path, self._chosen.named)
        for source in outermost(one for one in self._chosen.named if is_within(one, (entry.path,))):
            yield from self.begin(source)  # asked for by name

    def begin(self, source: bytes) -> Iterator[Walked | Entered]:
        """Judge a source that is a file, or open one that is a folder."""
        try:
            check_within(source, self._roots)
            status = os.stat(source)  # noqa: PTH116 - bytes
            if not stat.S_ISDIR(status.st_mode):
                yield _judge(source, status)
                return
            scopes = self._chosen.scopes_of(source, self._roots)
        except (FileError, OSError) as error:
            yield Refused(source, "failed", _why(source, error))
            return
        yield from self._enter(source, status, source, scopes)

    def _begin_within(self, path: bytes, source: bytes) -> Iterator[Walked | Entered]:
        """Begin at a path below a source, where a walk of the source would come by."""
        within = path[len(source.rstrip(b"/")) + 1 :]
        if not _OWN.isdisjoint(within.split(b"/")):
            return
        try:
            check_within(path, self._roots)
            status = os.stat(path)  # noqa: PTH116 - bytes
            is_folder = stat.S_ISDIR(status.st_mode)
            scopes = ScopesWithin(source, self._roots, self._chosen)
            if scopes.leaves_out(path, is_folder=is_folder) or (of_parent := scopes.of(parent_of(path))) is None:
                return
            folder = path
            while folder != source:
                folder = parent_of(folder)
                above = os.stat(folder)  # noqa: PTH116 - bytes
                identity = (above.st_dev, above.st_ino)
                if identity in self._above:
                    return  # by way of a link to a folder that contains it
                self._above.add(identity)
        except MISSING as error:
            if os.path.lexists(path):
                yield Refused(path, "failed", _why(path, error))
            return
        except (FileError, OSError) as error:
            yield Refused(path, "failed", _why(path, error))
            return
        if is_folder:
            if os.path.islink(path):  # noqa: PTH114 - bytes
                self._links.add(path)
            yield from self._enter(path, status, source, of_parent)
        elif not self._only_folders:
            yield _judge(path, status)

    def _enter(self, path: bytes, status: os.stat_result, source: bytes, scopes: Scopes) -> Iterator[Refused | Entered]:
        """Open a folder, to be listed next."""
        identity = (status.st_dev, status.st_ino)
        if identity in self._above or any(folder.identity == identity for folder in self._opened):
            yield Refused(path, "skipped", "a link to a folder that contains it")
            return
        try:
            patterns = ignore_file(path, self._roots)
            scopes = ((path, patterns), *scopes) if patterns else scopes
            self._opened.append(_Folder(path, identity, os.scandir(path), source, scopes))
            yield Entered(path, identity)
        except (FileError, OSError) as error:
            yield Refused(path, "failed", _why(path, error))


def _is_folder(entry: "os.DirEntry[bytes]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _refuse(entry: "os.DirEntry[bytes]", error: OSError) -> Refused:
    """Refuse what cannot be looked at: a link to nothing, what vanished, what lies in a forbidden folder."""
    if not is_listed(entry.path) and not entry.is_dir(follow_symlinks=False):
        return _not_listed(entry.path)
    if entry.is_symlink() and isinstance(error, FileNotFoundError):
        return Refused(entry.path, "failed", "a link to nothing")
    return Refused(entry.path, "failed", _why(entry.path, error))


def _judge(path: bytes, status: os.stat_result) -> Found | Refused:
    listed, regular = is_listed(path), stat.S_ISREG(status.st_mode)
    # A name only saves a look: a picture is taken under any.
    if not listed and not (regular and _holds_picture(path)):
        return _not_listed(path)
    if not regular:
        return Refused(path, "skipped", "not a regular file")
    return Found(path, FileStamp(status.st_size, status.st_mtime_ns))


def _holds_picture(path: bytes) -> bool:
    """Whether a file starts as a picture does, whatever it is called; one that cannot be read does not."""
    try:
        with open_regular(path) as file:
            return is_picture(file.read(HEAD_BYTES))
    except FileError:
        return False


def _not_listed(path: bytes) -> Refused:
    return Refused(path, "skipped", "its extension is not that of a photograph")


def _why(path: bytes, error: FileError | OSError) -> str:
    if isinstance(error, FileError):
        return str(error)
    return f"{readable(path)}: {error.strerror or error}"
