"""What a request to forget is about, as far as Qdrant knows of it."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.view.dead_letters import WholeDeadLetter, texts_of
from core.errors import CollectionMissingError
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import ALL_GONE, Filters
from rules.collections import check_name
from rules.identity import point_id
from rules.many_paths import MORE_PATHS, listed
from rules.wording import plural

PATHS_SHOWN = 100
POINTS_AT_ONCE = 1000
_FIELDS = ["paths", MORE_PATHS, "full_path", "file_hash"]
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(slots=True)
class Extent:
    """Pictures, and where they are. `only`: the one collection meant; `below`: the folder, or that of a source."""

    only: str | None = None
    below: str | None = None
    is_all: bool = False  # all of the collection
    pictures: int = 0
    contents: dict[str, list[str]] = field(default_factory=dict)  # SHA-256 → collections; where these are few
    where: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    paths_total: int = 0

    @property
    def collections(self) -> list[str]:
        """Where they are."""
        return sorted(self.where) or ([self.only] if self.only is not None else [])

    @property
    def is_many(self) -> bool:
        """Whether the contents are too many to be named."""
        return self.is_all or self.below is not None

    def has(self, letter: WholeDeadLetter) -> bool:
        """Tell whether a dead letter is about one of them."""
        said = texts_of(letter.value)
        if self.only is not None and said.get("collection") != self.only:
            return False
        if self.is_all:
            return True
        if self.below is not None:
            return _lies_below(letter.path, self.below)
        return letter.path in self.paths or said.get("sha256") in self.contents

    def shown(self, name: str) -> str:
        """Say how much that is, of what goes by this name."""
        if not self.pictures:
            return f"{name}: nothing is stored of it; what is on its way is forgotten when it comes"
        where = ", ".join(self.collections)
        return f"{name}: {plural(self.pictures, 'picture')} in {where}, with {plural(self.paths_total, 'file')}"

    def note(self, collection: str, payload: Mapping[str, Any], paths: list[str], paths_total: int) -> None:
        """Count a picture. `paths`: the first that it has."""
        new = [path for path in paths or [str(payload.get("full_path"))] if path not in self.paths]
        self.paths += new[: PATHS_SHOWN - len(self.paths)]
        self.paths_total += paths_total
        self.pictures += 1
        self.where.add(collection)


class Extents:
    """Finds them. Raises QdrantUnavailableError; RequestError(422) for a wrong name of a collection."""

    def __init__(self, qdrant: Qdrant) -> None:
        self._qdrant = qdrant

    async def of_content(self, sha256: str, collection: str | None) -> Extent:
        """Return where a content is stored."""
        found = Extent(only=collection, contents={sha256: []})
        for name in await self._names(collection):
            await self._add(found, name, [point_id(sha256)])
        return found

    async def of_ids(self, collection: str, ids: Sequence[str]) -> Extent:
        """Return pictures of a collection: where each of them is stored there."""
        check_name(collection)
        found = Extent(only=collection)
        await self._add(found, collection, ids)
        return found

    async def of_gone(self, collection: str) -> AsyncIterator[Extent]:
        """Yield all that is gone of a collection, a part at a time."""
        check_name(collection)
        async for page in self._qdrant.pages(collection, limit=POINTS_AT_ONCE, filters=ALL_GONE):
            yield await self.of_ids(collection, [record.id for record in page])

    async def of_path(self, path: str, collection: str | None) -> Extent:
        """Return what is stored of a path, or had it last."""
        found = Extent(only=collection, paths=[path])
        for name in await self._names(collection):
            try:
                there, _ = await self._qdrant.page(name, limit=POINTS_AT_ONCE, filters={"paths": path})
                gone, _ = await self._qdrant.page(name, limit=POINTS_AT_ONCE, filters={"full_path": path, **ALL_GONE})
            except CollectionMissingError:
                continue
            await self._add(found, name, [record.id for record in (*there, *gone)])
        return found

    async def of_folder(self, folder: str, collection: str | None) -> Extent:
        """Return the pictures of which a path lies below a folder, or did last, with all their paths."""
        found = Extent(only=collection, below=folder)
        async for name, payloads in self.many(found):
            for payload in payloads:
                found.note(name, payload, listed(payload), await self._qdrant.count_paths(name, payload))
        return found

    async def of_source(self, folder: str, collection: str) -> Extent:
        """Count the pictures that a source may hold: others may hold them too. What is gone it holds no more."""
        found = Extent(only=collection, below=folder)
        async for _, payloads in self._meant(found, collection, {}):
            found.pictures += len(payloads)
        return found

    async def of_collection(self, name: str) -> Extent:
        """Return all of a collection."""
        found = Extent(only=name, is_all=True)
        check_name(name)
        if await self._qdrant.collection(name) is not None:
            found.pictures = await self._qdrant.count(name) + await self._qdrant.count(name, ALL_GONE)
        return found

    async def many(self, meant: Extent) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        """Yield what is stored of the pictures of a whole collection or a folder, a page at a time: these may be many.

        With the collection of each page; nothing for any other extent.
        """
        if not meant.is_many:
            return
        for name in await self._names(meant.only):
            for filters in ({}, ALL_GONE):
                async for found in self._meant(meant, name, filters):
                    yield found

    async def among(self, meant: Extent, sha256s: Sequence[str]) -> set[str]:
        """Return those of some contents that are stored, of a whole collection or a folder."""
        found: set[str] = set()
        for name in await self._names(meant.only):
            try:
                for start in range(0, len(sha256s), POINTS_AT_ONCE):
                    ids = [point_id(sha256) for sha256 in sha256s[start : start + POINTS_AT_ONCE]]
                    known = (await self._qdrant.payloads(name, ids, _FIELDS)).values()
                    found |= contents_of([one for one in known if await self._is_meant(meant, name, one)])
            except CollectionMissingError:
                continue
        return found

    async def _meant(
        self, meant: Extent, name: str, filters: Filters
    ) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
        try:
            async for page in self._qdrant.pages(name, limit=POINTS_AT_ONCE, filters=filters, fields=_FIELDS):
                found = [one.payload for one in page if await self._is_meant(meant, name, one.payload)]
                if found:
                    yield name, found
        except CollectionMissingError:
            return

    async def _is_meant(self, meant: Extent, name: str, payload: dict[str, Any]) -> bool:
        if meant.below is None:
            return True
        shown = listed(payload) or [str(payload.get("full_path"))]
        if any(_lies_below(path, meant.below) for path in shown):
            return True
        others = self._qdrant.other_paths(name, payload)
        return any([_lies_below(path, meant.below) async for paths in others for path in paths])

    async def _add(self, found: Extent, collection: str, ids: Iterable[str]) -> None:
        try:
            points = await self._qdrant.payloads(collection, sorted(set(ids)), _FIELDS)
            for payload in points.values():
                paths, _ = await self._qdrant.paths_page(collection, payload, limit=PATHS_SHOWN)
                found.note(collection, payload, paths, await self._qdrant.count_paths(collection, payload))
                for sha256 in contents_of([payload]):
                    found.contents.setdefault(sha256, []).append(collection)
        except CollectionMissingError:
            return

    async def _names(self, collection: str | None) -> list[str]:
        if collection is None:
            return [info.name for info in await self._qdrant.collections() if info.incarnation is not None]
        check_name(collection)
        return [collection]


def contents_of(payloads: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the SHA-256 of pictures; what another program has written may have none."""
    found = (payload.get("file_hash") for payload in payloads)
    return {sha256 for sha256 in found if isinstance(sha256, str) and _SHA256.fullmatch(sha256)}


def _lies_below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder.rstrip('/')}/")
