"""What a request to forget is about, as far as Qdrant knows of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from api.view.dead_letters import WholeDeadLetter
from core.errors import CollectionMissingError
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import ALL_GONE
from rules.collections import check_name
from rules.identity import point_id
from rules.many_paths import MORE_PATHS

PATHS_SHOWN = 100
POINTS_AT_ONCE = 1000
_FIELDS = ["paths", MORE_PATHS, "full_path", "file_hash"]


@dataclass(slots=True)
class Extent:
    """Pictures, and where they are. `only`: the collection that alone is meant; `below`: the folder, of a source."""

    only: str | None = None
    below: str | None = None
    pictures: int = 0
    contents: dict[str, list[str]] = field(default_factory=dict)  # SHA-256 → collections
    paths: list[str] = field(default_factory=list)
    paths_total: int = 0
    is_all: bool = False  # all of the collection

    @property
    def collections(self) -> list[str]:
        """Where they are."""
        found = sorted({name for names in self.contents.values() for name in names})
        return found or ([self.only] if self.only is not None else [])

    def has(self, letter: WholeDeadLetter) -> bool:
        """Tell whether a dead letter is about one of them."""
        said = _said(letter.value)
        if self.only is not None and said.get("collection") != self.only:
            return False
        if self.is_all:
            return True
        if self.below is not None:
            return letter.path.startswith(f"{self.below.rstrip('/')}/")
        return letter.path in self.paths or said.get("sha256") in self.contents

    def shown(self, name: str) -> str:
        """Say how much that is, of what goes by this name."""
        if not self.pictures:
            return f"{name}: nothing is stored of it; what is on its way is forgotten when it comes"
        where = ", ".join(self.collections)
        return f"{name}: {plural(self.pictures, 'picture')} in {where}, with {plural(self.paths_total, 'file')}"


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

    async def of_collection(self, name: str) -> Extent:
        """Return all of a collection."""
        found = Extent(only=name, is_all=True)
        if await self._qdrant.collection(name) is not None:
            for filters in ({}, ALL_GONE):
                async for page in self._qdrant.pages(name, limit=POINTS_AT_ONCE, filters=filters):
                    found.pictures += len(page)
                    found.contents |= {str(record.payload.get("file_hash")): [name] for record in page}
        return found

    async def _add(self, found: Extent, collection: str, ids: Iterable[str]) -> None:
        try:
            points = await self._qdrant.payloads(collection, sorted(set(ids)), _FIELDS)
            for payload in points.values():
                paths, _ = await self._qdrant.paths_page(collection, payload, limit=PATHS_SHOWN)
                new = [path for path in paths or [str(payload.get("full_path"))] if path not in found.paths]
                found.paths += new[: PATHS_SHOWN - len(found.paths)]
                found.paths_total += await self._qdrant.count_paths(collection, payload)
                found.contents.setdefault(str(payload.get("file_hash")), []).append(collection)
        except CollectionMissingError:
            return
        found.pictures += len(points)

    async def _names(self, collection: str | None) -> list[str]:
        if collection is None:
            return [info.name for info in await self._qdrant.collections() if info.incarnation is not None]
        check_name(collection)
        return [collection]


def plural(count: int, name: str) -> str:
    """Return such as `1 picture`, `2 pictures`."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _said(value: bytes | None) -> dict[str, object]:
    try:
        said = orjson.loads(value or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
