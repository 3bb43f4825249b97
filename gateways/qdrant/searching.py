"""Points by what a query says: by words, by vectors, or by several lists that are fused into one."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qdrant_client import models

from gateways.qdrant import words
from gateways.qdrant.filling import fill
from gateways.qdrant.filters import Filters
from gateways.qdrant.finding import Finding
from gateways.qdrant.points import WITHOUT_THUMBNAIL
from gateways.qdrant.ranking import order_of
from gateways.qdrant.records import Hit, Ranked
from gateways.qdrant.storage import RESCORED
from rules.search.fusion import fused
from rules.search.query import Named, Query, Word

END = 100_000
"""Hits of a ranked list: what comes behind them nobody looks for."""
_DEPTHS = (1_000, 10_000, END)
"""How many of each list are read, and fused: few depths, so that pages are pages of one list."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What hits are ranked by: the words of a query, vectors that they are to be near, or all of it.

    `min_score`: how near to one of the vectors at least; what the words find stays. Without vectors, the least score.
    """

    by_words: bool
    vectors: Sequence[list[float]] = field(default=())
    min_score: float | None = None
    is_filled: bool = True
    """Whether all pictures have their words by now."""


class Searching(Finding):
    """Finds points by queries."""

    async def fill_words(self, name: str, *, seconds: float) -> int:
        """Make the words of points that have none searchable, for about so long; return how many are left.

        Of a collection that is not ours, none.
        """
        async with self._in(name) as at:
            await self._has_all_indexes(at)
            return await fill(self._client, at, seconds=seconds)

    async def ranked(
        self, name: str, query: Query, ranking: Ranking, *, count: int, filters: Filters | None = None
    ) -> list[Ranked]:
        """Return the order of what a query finds: the best `count` at least, or all.

        It is one order, whatever the count: where one list of each of `_DEPTHS` ends, what the next has more goes on.
        The score is that of the one list; where several are fused, from 0 to 1, which is first in all of them.
        Raises RequestError(422) for filters that are not valid.
        """
        found: dict[str, Ranked] = {}
        async with self._in(name) as at:
            where = words.narrowed(query, await self._where(at, filters))
            by_words = ranking.by_words and bool(query.sought)
            if not (by_words or ranking.vectors):
                return []
            points, have = await self._rarity(at, query) if by_words else (0, {})
            for depth in _DEPTHS:
                lists = [_near(vector, where, depth, ranking.min_score) for vector in ranking.vectors]
                if by_words:
                    by_words_alone = None if lists else ranking.min_score
                    one = words.ranked(query, where, depth, points=points, have=have, is_filled=ranking.is_filled)
                    lists.append(one.model_copy(update={"score_threshold": by_words_alone}))
                orders = await asyncio.gather(*(order_of(self._client, at, one) for one in lists))
                some = orders[0] if len(orders) == 1 else map(Ranked._make, fused(orders))
                new = [one for one in some if one.id not in found]
                if found and (by_words or len(orders) > 1):
                    # Deeper lists may find more of a point; the scores fall all the same.
                    least = list(found.values())[-1].score
                    new = [Ranked(one.id, min(least, one.score)) for one in new]
                found |= {one.id: one for one in new}
                if len(found) >= count or all(len(order) < depth for order in orders):
                    break
        return list(found.values())

    async def hits(self, name: str, order: Sequence[Ranked]) -> list[Hit]:
        """Return what stands at these places; what is gone meanwhile is left out."""
        if not order:
            return []
        async with self._in(name) as at:
            ids = [one.id for one in order]
            records = await self._client.retrieve(at, ids, with_payload=WITHOUT_THUMBNAIL)
        payloads = {str(record.id): record.payload or {} for record in records}
        return [Hit(one.id, payloads[one.id], one.score) for one in order if one.id in payloads]

    async def _rarity(self, name: str, query: Query) -> tuple[int, dict[Word, int]]:
        """Count all points, and those with words that begin as the words of a query."""
        begun = words.begun(query)
        counts = await asyncio.gather(
            self._client.count(name, exact=True),
            *(self._client.count(name, where, exact=True) for where in begun.values()),
        )
        total, *have = [one.count for one in counts]
        return total, dict(zip(begun, have, strict=True))

    async def list_query(
        self, name: str, query: Query, *, limit: int, cursor: str | None, filters: Filters | None = None
    ) -> tuple[list[Hit], str | None]:
        """Return a page of what a query without words finds, the latest first, and the cursor of the next page.

        The score is 1: nothing tells them apart. Raises RequestError(422) for a cursor or filters that are not valid.
        """
        async with self._in(name) as at:
            await self._has_all_indexes(at)
            where = words.narrowed(query, await self._where(at, filters))
            found, following = await self._page(at, where, "-taken_at", limit, cursor)
        return [Hit(one.id, one.payload, 1.0) for one in found], following

    async def count_query(self, name: str, query: Query, ranking: Ranking, filters: Filters | None = None) -> int:
        """Count what a query finds, up to 10,000 where a score is the bound."""
        async with self._in(name) as at:
            where = words.narrowed(query, await self._where(at, filters))
            if not ranking.vectors and ranking.by_words:
                where = words.with_a_word(query, where, is_filled=ranking.is_filled)
            if ranking.min_score is None:
                return (await self._client.count(at, words.or_all(where), exact=True)).count
        return len((await self.ranked(name, query, ranking, count=_DEPTHS[1], filters=filters))[: _DEPTHS[1]])

    async def count_near(
        self, name: str, query: Query, vector: list[float], least: Sequence[float], filters: Filters | None = None
    ) -> list[int]:
        """Count the points that are at least so near to a vector, for each of some bounds; each up to 1,000."""
        near = await self.nearest(name, query, vector, filters)
        return [sum(one >= bound for one in near) for bound in least]

    async def nearest(
        self, name: str, query: Query, vector: list[float], filters: Filters | None = None
    ) -> list[float]:
        """Return how near the nearest points to a vector are, up to 1,000 of those that meet the query's conditions."""
        async with self._in(name) as at:
            where = words.narrowed(query, await self._where(at, filters))
            return [one.score for one in await order_of(self._client, at, _near(vector, where, _DEPTHS[0]))]

    async def similarities(self, name: str, vector: list[float], ids: Sequence[str]) -> Mapping[str, float]:
        """Return how near these points are to a vector."""
        if not ids:
            return {}
        only = models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
        async with self._in(name) as at:
            found = await self._client.query_points(
                at, query=vector, query_filter=only, limit=len(ids), with_payload=False, search_params=RESCORED
            )
        return {str(point.id): point.score for point in found.points}

    async def count_named(self, name: str, named: Named, filters: Filters | None = None) -> int:
        """Count the points that one condition of a query matches."""
        async with self._in(name) as at:
            where = await self._where(at, filters)
            alone = words.alone(named)
            matched = models.Filter(must=[alone, where]) if where else alone
            return (await self._client.count(at, matched, exact=True)).count


def _near(vector: Sequence[float], where: models.Filter, limit: int, least: float | None = None) -> models.Prefetch:
    return models.Prefetch(
        query=list(vector), filter=words.or_all(where), limit=limit, score_threshold=least, params=RESCORED
    )
