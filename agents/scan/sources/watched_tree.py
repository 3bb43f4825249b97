"""The folders of a source as they are watched: all that a walk of it enters, also behind links."""

import os
from collections.abc import Iterable, Mapping
from queue import Empty, SimpleQueue

from agents.leaving_out import Chosen
from agents.scan.sources.nets import Lost, Net, Told
from agents.scan.walking import folders_within
from core.errors import FileError
from imaging.files import Roots
from rules.paths import is_within, outermost

MOST_NETS = 8
"""Of folders that came later, each time in a net of their own: more become one."""
ATTEMPTS = 10
"""Folders may go between their listing and their being watched."""

_Identity = tuple[int, int]


class WatchedTree:
    """Watches from `watch` to `close`. Its methods block."""

    def __init__(self, source: bytes, roots: Roots, chosen: Chosen) -> None:
        self.source = source
        self._roots = roots
        self._chosen = chosen
        self._told: SimpleQueue[list[Told] | None] = SimpleQueue()
        self._nets: list[Net] = []
        self._folders: dict[bytes, _Identity] = {}
        # One folder may have several paths, by links: it is watched by the first.
        self._paths: dict[_Identity, list[bytes]] = {}
        self.links: set[bytes] = set()
        """To folders, that are followed."""
        self.unwatched = 0
        """Folders that no watcher can be told of, as their paths are no text."""

    def __len__(self) -> int:
        return len(self._paths) - self.unwatched

    def __contains__(self, path: bytes) -> bool:
        return path in self._folders

    def watch(self, places: Iterable[bytes]) -> None:
        """Watch what a walk enters at these paths and below, as well. Raises FileError where the system refuses."""
        places = list(places)
        for attempt in range(ATTEMPTS):
            new = self._not_watched(places)
            if not new:
                return
            try:
                self._watch_all({identity: path for path, identity in reversed(new.items())})
            except (FileNotFoundError, PermissionError) as error:
                if attempt == ATTEMPTS - 1:
                    raise FileError(f"its folders change faster than they can be watched: {error}") from error
                continue
            for path, identity in new.items():
                self._folders[path] = identity
                self._paths.setdefault(identity, []).append(path)
        # What is new once more is told of by what is watched by now.

    def drain(self) -> list[Told] | None:
        """Return what was told since, by all paths of each folder; None where that is not known."""
        told: list[Told] = []
        while True:
            try:
                batch = self._told.get_nowait()
            except Empty:
                return told
            if batch is Lost:
                return None
            told.extend(alias for one in batch for alias in self._aliases(one))

    def follow(self, told: Iterable[Told]) -> list[bytes]:
        """Watch the folders that have come, and no longer those that have left; return those that have come.

        Raises FileError as `watch` does.
        """
        told = list(told)
        again = self._forget([one.path for one in told if one.is_left and one.path in self._folders])
        come = [one.path for one in told if one.path not in self._folders and os.path.isdir(one.path)]  # noqa: PTH112 - bytes
        come = outermost(come)
        if come or again:
            self.watch([*come, *again])
            if len(self._nets) > MOST_NETS:
                self._join()
        return come

    def close(self) -> None:
        """Watch no more."""
        for net in self._nets:
            net.close()

    def _not_watched(self, places: list[bytes]) -> dict[bytes, _Identity]:
        return {
            folder.path: folder.identity
            for place in places
            for folder in folders_within(place, self.source, self._roots, self._chosen, self.links)
            if self._folders.get(folder.path) != folder.identity
        }

    def _watch_all(self, first: Mapping[_Identity, bytes]) -> None:
        new = [path for identity, path in first.items() if identity not in self._paths]
        text = [path.decode() for path in new if _is_text(path)]
        if text:
            self._nets.append(Net(text, self._told))
        self.unwatched += len(new) - len(text)

    def _forget(self, places: list[bytes]) -> list[bytes]:
        """Forget folders at and below these paths; return what is to be watched by another path than before."""
        again: list[bytes] = []
        gone = tuple(places)
        for path in [path for path in self._folders if gone and is_within(path, gone)]:
            identity = self._folders.pop(path, None)
            if identity is None:
                continue  # by another path of the same folder
            paths = self._paths[identity]
            was_first = paths[0] == path
            paths.remove(path)
            if was_first:
                again += paths
                for other in self._paths.pop(identity):
                    del self._folders[other]
                self.unwatched -= not _is_text(path)
        return [path for path in again if not is_within(path, gone)]

    def _aliases(self, told: Told) -> list[Told]:
        if told.path in self._folders:
            return [told._replace(path=path) for path in self._paths[self._folders[told.path]]]
        folder, _, name = told.path.rpartition(b"/")
        identity = self._folders.get(folder or b"/")
        if identity is None:
            return [told]
        return [told._replace(path=path.rstrip(b"/") + b"/" + name) for path in self._paths[identity]]

    def _join(self) -> None:
        """Have one net in place of all but the first, which is the large one."""
        first, *later = self._nets
        folders = {path for net in later for path in net.folders if path.encode() in self._folders}
        try:
            self._nets = [first, Net(sorted(folders), self._told)]
        except (FileNotFoundError, PermissionError):
            return  # the next time
        for net in later:
            net.close()


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True
