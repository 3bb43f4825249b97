"""Pages of what a query finds, as the API asks for them."""

from gateways.qdrant import Hit, Qdrant
from gateways.qdrant.filters import Filters
from gateways.qdrant.searching import Ranking
from rules.search.language import read
from rules.search.query import Query

WORDS = Ranking(by_words=True)


async def page_of(
    qdrant: Qdrant,
    name: str,
    query: Query,
    ranking: Ranking,
    *,
    limit: int,
    offset: int = 0,
    filters: Filters | None = None,
) -> list[Hit]:
    """Return a page of what a query finds."""
    order = await qdrant.ranked(name, query, ranking, count=offset + limit, filters=filters)
    return await qdrant.hits(name, order[offset : offset + limit])


async def by_words(
    qdrant: Qdrant, name: str, text: str, *, limit: int, offset: int = 0, filters: Filters | None = None
) -> tuple[list[Hit], int]:
    """Return the best hits of a query, and how many there are."""
    await qdrant.fill_words(name, seconds=60)
    query = read(text)
    hits = await page_of(qdrant, name, query, WORDS, limit=limit, offset=offset, filters=filters)
    return hits, await qdrant.count_query(name, query, WORDS, filters)
