"""The data folder: one folder a collection, and a lock that keeps a second server out.

A collection appears, and disappears, by one rename; what a kill left of a half-made or half-deleted one
begins with a dot, which no name does, and is removed at the next start.
"""

import fcntl
import shutil
import uuid
from pathlib import Path

from core.errors import FatalError, RequestError
from embedded.qdrant.collection import Collection
from embedded.qdrant.configuration import CollectionConfig
from embedded.qdrant.syncing import sync_folder
from rules.collections import check_stored_name

_LOCK = "lock"
_LEFTOVERS = ".half-*"


class Store:
    """The collections in `folder`, all opened. Raises FatalError when another server has it, or one is damaged."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise FatalError(f"{folder} is in use by another embedded Qdrant: choose another --data.") from error
        for leftover in folder.glob(_LEFTOVERS):
            shutil.rmtree(leftover)
        self._collections = {path.name: _opened(path) for path in sorted(folder.iterdir()) if path.is_dir()}

    def close(self) -> None:
        """Release all files."""
        for collection in self._collections.values():
            collection.close()
        self._lock.close()

    def names(self) -> list[str]:
        """List the collections."""
        return list(self._collections)

    def get(self, name: str) -> Collection:
        """Return the collection, or raise RequestError(404)."""
        try:
            return self._collections[name]
        except KeyError:
            raise RequestError(f"Not found: Collection `{name}` doesn't exist!", status=404) from None

    def create(self, name: str, config: CollectionConfig) -> None:
        """Create the collection; RequestError: 422 for a wrong name, 409 when there is one."""
        check_stored_name(name)
        if name in self._collections:
            raise RequestError(f"Wrong input: Collection `{name}` already exists!", status=409)
        half = self._half()
        Collection.create(half, config)
        half.rename(self._folder / name)
        sync_folder(self._folder)
        self._collections[name] = _opened(self._folder / name)

    def delete(self, name: str) -> bool:
        """Delete the collection; False when there was none."""
        collection = self._collections.pop(name, None)
        if collection is None:
            return False
        collection.close()
        half = self._half()
        (self._folder / name).rename(half)
        sync_folder(self._folder)
        shutil.rmtree(half)
        return True

    def _half(self) -> Path:
        return self._folder / _LEFTOVERS.replace("*", uuid.uuid4().hex)


def _opened(folder: Path) -> Collection:
    try:
        return Collection(folder)
    except Exception as error:
        raise FatalError(f"The collection in {folder} cannot be opened ({error}): restore or remove it.") from error
