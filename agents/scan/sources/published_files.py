"""What the walks of a watched source have published: what is like that is no news.

In memory, about 100 bytes a file. A watcher that begins knows nothing, and has the whole source walked.
"""

from collections.abc import Iterable

from agents.scan.walking import Found
from imaging.hashing import FileStamp
from rules.paths import is_within


class PublishedFiles:
    """Names and stamps, each as a number, by their folders. Folders above those are there without any."""

    def __init__(self) -> None:
        self._stamps: dict[bytes, dict[int, int]] = {}
        self.are_all = False
        """Whether a walk of the whole source has gone through."""

    def add(self, found: Iterable[Found]) -> None:
        """Note what is published."""
        for file in found:
            folder, name = _parted(file.path)
            if folder not in self._stamps:
                self._add_folder(folder)
            self._stamps[folder][hash(name)] = _number(file.stamp)

    def holds(self, file: Found) -> bool:
        """Tell whether a file was published as it is."""
        folder, name = _parted(file.path)
        return self._stamps.get(folder, {}).get(hash(name)) == _number(file.stamp)

    def names(self, path: bytes) -> bool:
        """Tell whether a file of this path was published."""
        folder, name = _parted(path)
        return hash(name) in self._stamps.get(folder, {})

    def may_lie_within(self, path: bytes) -> bool:
        """Tell whether a file at a path or below was published, or may have been before the watcher began."""
        if not self.are_all or self.names(path):
            return True
        return path in self._stamps and any(self._stamps[folder] for folder in self._within(path))

    def remove(self, path: bytes) -> None:
        """Forget a path, and all below it: they are gone."""
        folder, name = _parted(path)
        self._stamps.get(folder, {}).pop(hash(name), None)
        if path in self._stamps:
            for below in self._within(path):
                del self._stamps[below]

    def _add_folder(self, folder: bytes) -> None:
        while folder not in self._stamps:
            self._stamps[folder] = {}
            folder = _parted(folder)[0]

    def _within(self, path: bytes) -> list[bytes]:
        return [folder for folder in list(self._stamps) if is_within(folder, (path,))]


def _parted(path: bytes) -> tuple[bytes, bytes]:
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name


def _number(stamp: FileStamp) -> int:
    return hash((stamp.size, stamp.mtime_ns))
