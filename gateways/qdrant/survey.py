"""What the points of a collection lack, counted."""

import asyncio
from dataclasses import dataclass

from qdrant_client import models

from gateways.qdrant.connection import Connection


@dataclass(frozen=True, slots=True)
class Survey:
    """Points of a collection.

    `of_model`: with a vector of the collection's model. `from_thumbnail`: those that were embedded from what was kept,
    as their files were gone. `archived`: none of whose files is listed any more.
    """

    points: int
    of_model: int
    without_caption: int
    from_thumbnail: int
    archived: int


class Surveying(Connection):
    """Counts them."""

    async def survey(self, name: str, model_id: str | None) -> Survey:
        """Count the points of a collection, which is of this model."""
        wanted = [
            None,
            models.Filter(must=[models.FieldCondition(key="model_id", match=models.MatchValue(value=model_id))])
            if model_id is not None
            else None,
            models.Filter(must=[_is_empty("caption")]),
            models.Filter(must_not=[_is_empty("from_thumbnail")]),
            models.Filter(must=[_is_empty("paths")]),
        ]
        async with self._in(name) as at:
            found = await asyncio.gather(*(self._client.count(at, where, exact=True) for where in wanted))
        return Survey(*(one.count for one in found))


def _is_empty(field: str) -> models.Condition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
