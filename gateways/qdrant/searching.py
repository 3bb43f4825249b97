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
from gateways.qdrant.records import Hit
from rules.search.query import Named, Query, Word

RRF_K = 60
"""Of reciprocal rank fusion: Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion" (SIGIR 2009)."""
END = 100_000
"""Hits of a ranked list: what comes behind them nobody looks for."""
_DEPTHS = (1_000, 10_000, END)
"""How many of each list are fused: the same for neighbouring pages, so that they are pages of one list."""
_FILL_SECONDS = 2.0


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
        async with self._errors(name):
            await self._with_all_indexes(name)
            return await fill(self._client, name, seconds=seconds)

    async def search_query(
        self, name: str, query: Query, ranking: Ranking, *, limit: int, offset: int = 0, filters: Filters | None = None
    ) -> list[Hit]:
        """Find what a query says, best first.

        The score is that of the one list; where several are fused, from 0 to 1, which is first in all of them.
        Raises RequestError(422) for filters that are not valid.
        """
        async with self._errors(name):
            where = words.narrowed(query, await self._where(name, filters))
            depth = next((depth for depth in _DEPTHS if offset + limit <= depth), END)
            lists = [
                models.Prefetch(query=list(vector), filter=where, limit=depth, score_threshold=ranking.min_score)
                for vector in ranking.vectors
            ]
            if ranking.by_words and query.sought:
                sought = words.with_a_word(query, where, is_filled=ranking.is_filled)
                points, have = await self._rarity(name, query)
                lists.append(words.ranked(query, sought, depth, points=points, have=have, is_filled=ranking.is_filled))
            if not lists:
                return []
            if len(lists) > 1:
                asked: models.QueryRequest | models.Prefetch = models.Prefetch(
                    prefetch=lists, query=models.RrfQuery(rrf=models.Rrf(k=RRF_K))
                )
            else:
                asked = lists[0]
            least = ranking.min_score if len(lists) == 1 else None
            found = await self._client.query_points(
                name,
                prefetch=asked.prefetch,
                query=asked.query,
                query_filter=asked.filter,
                limit=limit,
                offset=offset,
                score_threshold=least,
                with_payload=WITHOUT_THUMBNAIL,
            )
        share = RRF_K / len(lists)  # of what the first in all lists has
        hits = [
            Hit(str(point.id), point.payload or {}, min(1.0, point.score * share) if len(lists) > 1 else point.score)
            for point in found.points
        ]
        # Qdrant has points of one score in an order that a restart may change.
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

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
        async with self._errors(name):
            await self._with_all_indexes(name)
            where = words.narrowed(query, await self._where(name, filters))
            found, following = await self._page(name, where, "-taken_at", limit, cursor)
        return [Hit(one.id, one.payload, 1.0) for one in found], following

    async def count_query(self, name: str, query: Query, ranking: Ranking, filters: Filters | None = None) -> int:
        """Count what a query finds, up to 10,000 where a score is the bound."""
        async with self._errors(name):
            where = words.narrowed(query, await self._where(name, filters))
            if not ranking.vectors and ranking.by_words:
                where = words.with_a_word(query, where, is_filled=ranking.is_filled)
            if ranking.min_score is None:
                return (await self._client.count(name, where, exact=True)).count
        return len(await self.search_query(name, query, ranking, limit=_DEPTHS[1], filters=filters))

    async def count_near(
        self, name: str, query: Query, vector: list[float], least: Sequence[float], filters: Filters | None = None
    ) -> list[int]:
        """Count the points that are at least so near to a vector, for each of some bounds; each up to 1,000."""
        async with self._errors(name):
            found = await self._client.query_points(
                name,
                query=vector,
                query_filter=words.narrowed(query, await self._where(name, filters)),
                limit=_DEPTHS[0],
                score_threshold=min(least),
                with_payload=False,
            )
        return [sum(point.score >= bound for point in found.points) for bound in least]

    async def similarities(self, name: str, vector: list[float], ids: Sequence[str]) -> Mapping[str, float]:
        """Return how near these points are to a vector."""
        if not ids:
            return {}
        only = models.Filter(must=[models.HasIdCondition(has_id=list(ids))])
        async with self._errors(name):
            found = await self._client.query_points(name, query=vector, query_filter=only, limit=len(ids))
        return {str(point.id): point.score for point in found.points}

    async def count_named(self, name: str, named: Named, filters: Filters | None = None) -> int:
        """Count the points that one condition of a query matches."""
        async with self._errors(name):
            where = await self._where(name, filters)
            alone = words.alone(named)
            matched = models.Filter(must=[alone, where]) if where else alone
            return (await self._client.count(name, matched, exact=True)).count
