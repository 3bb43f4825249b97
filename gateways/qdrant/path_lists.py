"""Lists of paths: what contents with very many copies have beyond the paths that stand in their points.

    NAME~paths    beside the collection NAME, made when it is first needed: a point for each path of a list

A list has a name that nobody else gives, and counts once a point of NAME names it in `more_paths`. So its first paths
are written before that point: what a kill leaves belongs to nobody, and the next try takes another name. See
docs/decisions/0053-many-paths.md.
"""

from collections.abc import Mapping, Sequence

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from gateways.qdrant.errors import unless_missing
from gateways.qdrant.upserting import write
from rules.collections import paths_collection
from rules.many_paths import entry_id
from rules.paths import end_of
from rules.payload import Point

# A path may have 16 KB, and Qdrant takes 32 MB.
ENTRIES_AT_ONCE = 500
LIST, PATH, END = "list", "path", "end"


class PathLists:
    """Reads and writes the lists beside each collection. `name` is that of the collection."""

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client
        self._made: set[str] = set()

    async def put(self, name: str, paths: Mapping[str, Sequence[str]]) -> None:
        """Write the paths of each list; on return Qdrant has confirmed them. Those that are there stay."""
        entries = [(list_name, path) for list_name, some in paths.items() for path in some]
        for start in range(0, len(entries), ENTRIES_AT_ONCE):
            # A part after the other: the event loop has others to serve meanwhile.
            await self._upsert(name, [_entry(*one) for one in entries[start : start + ENTRIES_AT_ONCE]])

    async def remove(self, name: str, list_name: str, path: str) -> None:
        """Take a path off a list. Doing it twice is doing it once."""
        entries: list[models.ExtendedPointId] = [entry_id(list_name, path)]
        await unless_missing(self._client.delete(paths_collection(name), entries, wait=True))

    async def delete(self, name: str, list_name: str) -> None:
        """Delete a list. Doing it twice is doing it once."""
        where = models.FilterSelector(filter=_on_list(list_name, ()))
        await unless_missing(self._client.delete(paths_collection(name), where, wait=True))

    async def has(self, name: str, list_name: str, path: str) -> bool:
        """Tell whether a path is on a list."""
        entries = [entry_id(list_name, path)]
        return bool(await unless_missing(self._client.retrieve(paths_collection(name), entries, with_payload=False)))

    async def page(
        self, name: str, list_name: str, *, limit: int, start: str | None = None, without: Sequence[str] = ()
    ) -> tuple[list[str], str | None]:
        """Return paths of a list but those in `without`, from the entry `start` on, and where the next page starts."""
        where = _on_list(list_name, without)
        records, following = await self._scroll(name, where, limit, [PATH], start)
        return [record[PATH] for record in records], following

    async def count(self, name: str, list_name: str, *, without: Sequence[str] = ()) -> int:
        """Count the paths of a list but those in `without`."""
        where = _on_list(list_name, without)
        found = await unless_missing(self._client.count(paths_collection(name), where, exact=True))
        return found.count if found else 0

    async def with_paths(self, name: str, paths: Sequence[str]) -> list[str]:
        """Return the lists that have one of these paths."""
        return await self._all(name, models.Filter(must=[_any(PATH, paths)]), LIST)

    async def ends(self, name: str, lists: Sequence[str], ends: Sequence[str]) -> list[str]:
        """Return those of the `ends` that a path of these lists has."""
        return await self._all(name, models.Filter(must=[_any(LIST, lists), _any(END, ends)]), END)

    async def delete_all(self, name: str) -> None:
        """Delete all lists of a collection."""
        await self._client.delete_collection(paths_collection(name))
        self._made.discard(name)

    async def _all(self, name: str, where: models.Filter, field: str) -> list[str]:
        found: dict[str, None] = {}
        start: str | None = None
        while True:
            records, start = await self._scroll(name, where, ENTRIES_AT_ONCE, [field], start)
            found |= dict.fromkeys(record[field] for record in records)
            if start is None:
                return list(found)

    async def _scroll(
        self, name: str, where: models.Filter, limit: int, fields: list[str], start: str | None
    ) -> tuple[list[dict[str, str]], str | None]:
        scrolled = self._client.scroll(paths_collection(name), where, limit, offset=start, with_payload=fields)
        records, following = await unless_missing(scrolled) or ([], None)
        return [record.payload or {} for record in records], None if following is None else str(following)

    async def _upsert(self, name: str, entries: list[Point]) -> None:
        lists = paths_collection(name)
        if name not in self._made:
            await self._make(name)
        if await unless_missing(write(self._client, lists, entries)) is None:
            await self._make(name)  # it was deleted meanwhile
            await write(self._client, lists, entries)

    async def _make(self, name: str) -> None:
        await self._client.get_collection(name)  # one that was deleted meanwhile gets none
        lists = paths_collection(name)
        if not await self._client.collection_exists(lists):
            try:
                await self._client.create_collection(
                    lists,
                    vectors_config=models.VectorParams(size=1, distance=models.Distance.DOT),
                    hnsw_config=models.HnswConfigDiff(m=0),  # nobody searches by these vectors
                    metadata={"created_by": "darkroom"},
                )
            except UnexpectedResponse as error:
                if error.status_code != 409:  # another process was first, which is as good
                    raise
        for field in (LIST, PATH, END):
            await self._client.create_payload_index(lists, field, models.PayloadSchemaType.KEYWORD, wait=True)
        self._made.add(name)


def _entry(list_name: str, path: str) -> Point:
    return Point(entry_id(list_name, path), [0.0], {LIST: list_name, PATH: path, END: end_of(path)})


def _on_list(list_name: str, without: Sequence[str]) -> models.Filter:
    ids: list[models.ExtendedPointId] = [entry_id(list_name, path) for path in without]
    return models.Filter(must=[_any(LIST, [list_name])], must_not=[models.HasIdCondition(has_id=ids)] if ids else None)


def _any(field: str, values: Sequence[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
