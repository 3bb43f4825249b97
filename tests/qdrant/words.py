"""Search by words alone, as the API does it."""

from gateways.qdrant import Hit, Qdrant
from gateways.qdrant.filters import Filters
from gateways.qdrant.searching import Ranking
from rules.search.language import read

WORDS = Ranking(by_words=True)


async def by_words(
    qdrant: Qdrant, name: str, text: str, *, limit: int, offset: int = 0, filters: Filters | None = None
) -> tuple[list[Hit], int]:
    """Return the best hits of a query, and how many there are."""
    await qdrant.fill_words(name, seconds=60)
    query = read(text)
    hits = await qdrant.search_query(name, query, WORDS, limit=limit, offset=offset, filters=filters)
    return hits, await qdrant.count_query(name, query, WORDS, filters)
