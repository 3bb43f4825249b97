"""Points taken away for good, and who has a point still."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qdrant_client import models

from core.errors import CollectionMissingError
from gateways.qdrant.collections import CollectionCalls
from gateways.qdrant.points import Points
from gateways.qdrant.records import BoundCollection
from rules.many_paths import MORE_PATHS, list_name
from rules.payload import GONE_AT, KEEP_UNTIL, REVISION

_FIELDS = ["paths", MORE_PATHS, GONE_AT, KEEP_UNTIL, REVISION]


class Erasing(CollectionCalls, Points):
    """Takes them away."""

    async def erase(self, at: str, ids: Sequence[str], goes: Callable[[str, Mapping[str, Any]], bool]) -> set[str]:
        """Take those of the points that `goes` tells by id and payload; return those that stay.

        Qdrant has confirmed it then. What is not there any more is not among these, as a kill may have it asked twice.

        `at`: the address of a generation. One that is written meanwhile is looked at again.
        """
        while True:
            known = await self.payloads(at, ids, _FIELDS)
            going = {point: payload for point, payload in known.items() if goes(point, payload)}
            if not going:
                return set(known)
            async with self._in(at) as there:
                for payload in going.values():
                    # Before the point, which alone tells of it.
                    if beside := list_name(payload):
                        await self._lists.delete(there, beside)
                await self._client.delete(there, models.FilterSelector(filter=_as_read(going)), wait=True)

    async def holders(self, ids: Sequence[str]) -> dict[str, set[str]]:
        """Return for each of these points the models of the generations, of all collections, that have it."""
        names = [info.name for info in await self.collections() if isinstance(info, BoundCollection)]
        found: defaultdict[str, set[str]] = defaultdict(set)
        for generations in await asyncio.gather(*map(self.generations, names)):
            for generation in generations:
                try:
                    some = await self.payloads(generation.at, ids, [REVISION])
                except CollectionMissingError:
                    continue  # it was deleted just now
                for point in some:
                    found[point].add(generation.model_id)
        return found


def _as_read(points: Mapping[str, Mapping[str, Any]]) -> models.Filter:
    """Match points that nobody has written since they were read."""
    revisions = sorted({payload[REVISION] for payload in points.values() if payload.get(REVISION)})
    unchanged: list[models.Condition] = [models.IsEmptyCondition(is_empty=models.PayloadField(key=REVISION))]
    if revisions:
        unchanged.append(models.FieldCondition(key=REVISION, match=models.MatchAny(any=revisions)))
    return models.Filter(must=[models.HasIdCondition(has_id=[*points]), models.Filter(should=unchanged)])
