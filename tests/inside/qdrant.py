"""Points in memory, as the gateway of Qdrant gives and takes them, each call in its time."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from core.errors import CollectionMissingError
from gateways.qdrant import BoundCollection
from rules.identity import new_id
from rules.many_paths import listed
from rules.payload import FIELDS_READ_BACK, GONE_AT, KEEP_UNTIL, REVISION, Point
from rules.search.lookup import WORDS, lookup


class Qdrant:
    """Collections by name; each has one generation."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.known: dict[str, BoundCollection] = {}
        self.stored: dict[str, dict[str, Point]] = {}

    def live(self, name: str) -> list[Point]:
        """Return the points that queries find."""
        return [point for point in self.stored.get(name, {}).values() if point.payload.get(GONE_AT) is None]

    async def ensure_collection(self, name: str, *, model_id: str, dimension: int, **_: object) -> BoundCollection:
        await self._takes_its_time()
        self.stored.setdefault(name, {})
        return self.known.setdefault(name, BoundCollection(name, 0, dimension, model_id, new_id()))

    async def collection(self, name: str) -> BoundCollection | None:
        await self._takes_its_time()
        return self.known.get(name)

    async def of_model(self, name: str, model_id: str) -> BoundCollection | None:
        found = await self.collection(name)
        return found if found is not None and found.model_id == model_id else None

    async def generations(self, name: str) -> list[BoundCollection]:
        found = await self.collection(name)
        return [] if found is None else [found]

    async def addresses(self, name: str) -> list[str]:
        return [found.at for found in await self.generations(name)] or [name]

    async def count(self, name: str, *_: object) -> int:
        await self._takes_its_time()
        return len(self.live(name))

    async def payloads(self, at: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        await self._takes_its_time()
        here = self._at(at)
        return {
            id_: {name: value for name, value in here[id_].payload.items() if name in fields}
            for id_ in ids
            if id_ in here
        }

    async def points(self, at: str, ids: Sequence[str]) -> list[Point]:
        await self._takes_its_time()
        found = [self._at(at)[id_] for id_ in ids if id_ in self._at(at)]
        return [
            Point(one.id, one.vector, {name: value for name, value in one.payload.items() if name != REVISION})
            for one in found
        ]

    async def point(self, at: str, id_: str) -> Point | None:
        return next(iter(await self.points(at, [id_])), None)

    async def replace(self, at: str, points: Sequence[Point], known: Mapping[str, Mapping[str, Any]]) -> set[str]:
        await self._takes_its_time()
        others = set()
        for point in points:
            stored = known.get(point.id, {})
            if self._revision(at, point.id) != stored.get(REVISION):
                others.add(point.id)
                continue
            fields = {**point.payload, "paths": sorted({*listed(stored), *listed(point.payload)})}
            fields |= {WORDS: lookup(fields), REVISION: new_id()}
            self._at(at)[point.id] = Point(point.id, point.vector, fields)
        await self._takes_its_time()
        return others

    async def change_all(
        self, at: str, fields: Mapping[str, dict[str, Any]], known: Mapping[str, Mapping[str, Any]]
    ) -> set[str]:
        await self._takes_its_time()
        others = set()
        for id_, some in fields.items():
            point = self._at(at).get(id_)
            if point is None or point.payload.get(REVISION) != known[id_].get(REVISION):
                others.add(id_)
                continue
            changed = {**point.payload, **some, REVISION: new_id()}
            self._at(at)[id_] = Point(id_, point.vector, changed | {WORDS: lookup(changed)})
        await self._takes_its_time()
        return others

    async def erase(self, at: str, ids: Sequence[str], goes: Callable[[str, Mapping[str, Any]], bool]) -> set[str]:
        while True:
            known = await self.payloads(at, ids, [*FIELDS_READ_BACK, GONE_AT, KEEP_UNTIL, REVISION])
            going = {id_: payload for id_, payload in known.items() if goes(id_, payload)}
            if not going:
                return set(known)
            await self._takes_its_time()
            for id_, payload in going.items():
                if self._revision(at, id_) == payload.get(REVISION):
                    self._at(at).pop(id_, None)

    async def holders(self, ids: Sequence[str]) -> dict[str, set[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, info in [*self.known.items()]:
            await self._takes_its_time()
            for id_ in self.stored.get(name, {}).keys() & {*ids}:
                found[id_].add(info.model_id)
        return found

    async def delete_collection(self, name: str) -> None:
        await self._takes_its_time()
        self.known.pop(name, None)
        self.stored.pop(name, None)

    async def has_path(self, _at: str, payload: Mapping[str, Any], path: str) -> bool:
        return path in listed(payload)

    async def remove_other_path(self, *_: object) -> None:
        """There are none beside a point."""

    async def paths_page(self, _at: str, payload: Mapping[str, Any], *, limit: int) -> tuple[list[str], None]:
        return listed(payload)[:limit], None

    async def all_paths(self, _at: str, payload: Mapping[str, Any]) -> AsyncIterator[list[str]]:
        yield listed(payload)

    def _at(self, at: str) -> dict[str, Point]:
        name = at.partition("~")[0]
        if name not in self.stored:
            raise CollectionMissingError(f"There is no {name}.")
        return self.stored[name]

    def _revision(self, at: str, id_: str) -> Any:
        point = self._at(at).get(id_)
        return None if point is None else point.payload.get(REVISION)

    async def _takes_its_time(self) -> None:
        await asyncio.sleep(self._chance.expovariate(500))
