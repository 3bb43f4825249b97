"""Looks on the disk for paths that were taken in from a source: which are there, gone, or left out by now.

Nothing is gone that the disk does not say to be gone: what cannot be read, or is on another mount, is unread.
"""

import os
import stat
from collections.abc import Sequence

from agents.leaving_out import Chosen, ScopesWithin
from agents.mounted import linked_at, mounted_at
from core.errors import FileError
from imaging.files import Roots
from rules.departures import Seen
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
        self._mounts = tuple(mounts)
        self._links = tuple(links)
        self._away = tuple(map(os.fsencode, away))
        self._listings: dict[bytes, _Listing] = {}
        self._names = 0
        self._scopes = ScopesWithin(folder, roots, chosen)

    def why_nothing(self) -> str | None:
        """Say why nothing can be said to be gone; None where the folder is as it was when its walk began."""
        shown = os.fsdecode(self._folder)
        if mounted_at(shown) != self._mounts:
            return f"{shown} is on another mount than when the walk began, or its disk is away here"
        for link in self._links:
            if linked_at(link.path) != link:
                return f"{link.path} leads elsewhere than when the walk began, or its disk is away here"
        try:
            with os.scandir(self._folder) as entries:
                if next(entries, None) is None:
                    return f"{shown} is empty"
        except OSError as error:
            return f"{shown} cannot be read: {error.strerror or error}"
        return None

    def look(self, paths: Sequence[bytes]) -> list[Seen] | str:
        """Return what became of each path, or why nothing can be said of any."""
        if (why := self.why_nothing()) is not None:
            return why
        found = [self._seen(path) for path in paths]
        # What was mounted or taken away meanwhile makes all of it void.
        return self.why_nothing() or found

    def _seen(self, path: bytes) -> Seen:
        if is_within(path, self._away):
            return "unread"
        parent = parent_of(path)
        listing = self._listing(parent)
        if not isinstance(listing, frozenset):
            return listing
        if path.rpartition(b"/")[2] not in listing:
            return "gone"
        try:
            return "excluded" if self._scopes.leaves_out(path, is_folder=False) else "there"
        except (FileError, OSError):
            return "unread"

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

    def _list(self, folder: bytes) -> _Listing:
        try:
            with os.scandir(folder) as entries:
                # A folder that took the place of a file is none.
                return frozenset(entry.name for entry in entries if not entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return self._without(folder)
        except OSError:
            return "unread"

    def _without(self, folder: bytes) -> Seen:
        """Say what a folder that is missing means for what was in it: a link whose target is away hides it only."""
        while folder != self._folder:
            try:
                is_link = stat.S_ISLNK(os.lstat(folder).st_mode)
                return "unread" if is_link and not os.path.exists(folder) else "gone"  # noqa: PTH110 - bytes
            except (FileNotFoundError, NotADirectoryError):
                folder = parent_of(folder)
            except OSError:
                return "unread"
        return "gone"
