"""Looks on the disk for paths that were taken in from a source: which are there, gone, or left out by now.

Nothing is gone that the disk does not say to be gone: what cannot be read, or is on another mount, is unread.
"""

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, groupby, repeat

from agents.leaving_out import Chosen, ScopesWithin
from agents.mounted import linked_at, mounted_at
from agents.patience import Signs
from core.errors import MISSING, FileError
from imaging.files import Roots
from rules.departures import Guard, Seen
from rules.mounts import Linked, Mount
from rules.paths import is_within, parent_of

MOST_NAMES = 100_000
"""In the listings that are kept: some 10 MB."""
_Listing = frozenset[bytes] | Seen
"""The names in a folder, or what is to be said of all of them."""


class Absence:
    """One look at some paths below the folder of a source. Blocks."""

    def __init__(
        self,
        folder: bytes,
        roots: Roots,
        chosen: Chosen,
        mounts: Sequence[Mount],
        *,
        links: Sequence[Linked] = (),
        away: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self.signs = Signs()
        self._mounts = tuple(mounts)
        self._links = tuple(links)
        self._away = tuple(map(os.fsencode, away))
        self._listings: dict[bytes, _Listing] = {}
        self._names = 0
        # Of the folder that was asked for last, as a disk may have them that tells no case.
        self._folded: tuple[frozenset[bytes], frozenset[str]] = (frozenset(), frozenset())
        self._scopes = ScopesWithin(folder, roots, chosen)

    def why_nothing(self) -> Guard | None:
        """Say why nothing can be said to be gone; None where the folder is as it was when its walk began."""
        shown = os.fsdecode(self._folder)
        if mounted_at(shown) != self._mounts:
            return Guard("changed", f"{shown} is on another mount than when the walk began, or its disk is away here")
        for link in self._links:
            if linked_at(link.path) != link:
                return Guard(
                    "changed", f"{link.path} leads elsewhere than when the walk began, or its disk is away here"
                )
        try:
            with os.scandir(self._folder) as entries:
                if next(entries, None) is None:
                    return Guard("empty", f"{shown} is empty")
        except OSError as error:
            return Guard("unreadable", f"{shown} cannot be read: {error.strerror or error}")
        return None

    def look(self, paths: Sequence[bytes]) -> list[Seen] | Guard:
        """Return what became of each path, or why nothing can be said of any."""
        if (why := self.why_nothing()) is not None:
            return why
        found = list(chain.from_iterable(self._in(folder, list(of)) for folder, of in groupby(paths, parent_of)))
        # What was mounted or taken away meanwhile makes all of it void.
        return self.why_nothing() or found

    def _in(self, folder: bytes, paths: list[bytes]) -> Iterator[Seen]:
        """Give what became of paths in a folder, about which all is found out once."""
        self.signs.note()
        listing = self._listing(folder)
        left_out: Iterable[bool | None] = repeat(None)
        if isinstance(listing, frozenset):
            with suppress(FileError, OSError):
                left_out = self._scopes.left_out(folder, paths)
        return map(self._seen, repeat(listing), paths, left_out)

    def _seen(self, listing: _Listing, path: bytes, is_left_out: bool | None) -> Seen:
        """Return what became of a path. `is_left_out`: None where that is not known."""
        if self._away and is_within(path, self._away):
            return "unread"
        if not isinstance(listing, frozenset):
            return listing
        if path.rpartition(b"/")[2] not in listing:
            self.signs.note()
            return self._not_listed(path, listing)
        if is_left_out is None:
            return "unread"
        return "excluded" if is_left_out else "there"

    def _listing(self, folder: bytes) -> _Listing:
        known = self._listings.get(folder)
        if known is None:
            known = self._list(folder)
            if self._names > MOST_NAMES:
                self._listings.clear()
                self._names = 0
            self._names += len(known) if isinstance(known, frozenset) else 0
            self._listings[folder] = known
        return known

    def _not_listed(self, path: bytes, listing: frozenset[bytes]) -> Seen:
        """Say what it means that a folder does not list a path: its listing may be stale, as that of a network is."""
        try:
            os.lstat(path)
            if stat.S_ISDIR(os.stat(path).st_mode):  # noqa: PTH116 - bytes
                return "gone"  # another took its place
        except MISSING:
            return "unread" if os.path.lexists(path) else "gone"
        except OSError:
            return "unread"
        if self._folded[0] is not listing:
            self._folded = listing, frozenset(map(_folded, listing))
        return "gone" if _folded(path.rpartition(b"/")[2]) in self._folded[1] else "unread"

    def _list(self, folder: bytes) -> _Listing:
        try:
            with os.scandir(folder) as entries:
                # A folder that took the place of a file is none.
                return frozenset(entry.name for entry in entries if not entry.is_dir())
        except MISSING:
            return self._without(folder)
        except OSError:
            return "unread"

    def _without(self, folder: bytes) -> Seen:
        """Say what a folder that is said to be missing means for what was in it.

        One that is there after all was misread; a link whose target is away hides it only.
        """
        below = folder
        while folder != self._folder:
            try:
                os.lstat(folder)
            except MISSING:
                folder = parent_of(folder)
                continue
            except OSError:
                return "unread"
            try:
                is_folder = stat.S_ISDIR(os.stat(folder).st_mode)  # noqa: PTH116 - bytes
            except OSError:
                return "unread"
            return "unread" if is_folder and folder == below else "gone"
        return "unread" if folder == below else "gone"


def _folded(name: bytes) -> str:
    """Return what names have in common that some disks take for the same."""
    return unicodedata.normalize("NFC", os.fsdecode(name)).casefold()
