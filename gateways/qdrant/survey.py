"""What the points of a collection lack, counted."""

import asyncio
from dataclasses import dataclass

from qdrant_client import models

from gateways.qdrant.connection import Connection
from rules.payload import GONE_AT


@dataclass(frozen=True, slots=True)
class Survey:
    """Points of a collection, without those that are gone.

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
        is_of_model = models.FieldCondition(key="model_id", match=models.MatchValue(value=model_id))
        wanted: list[list[models.Condition]] = [
            [],
            [is_of_model] if model_id is not None else [],
            [_is_empty("caption")],
            [models.Filter(must_not=[_is_empty("from_thumbnail")])],
            [_is_empty("paths")],
        ]
        there = _is_empty(GONE_AT)
        async with self._in(name) as at:
            found = await asyncio.gather(
                *(self._client.count(at, models.Filter(must=[there, *one]), exact=True) for one in wanted)
            )
        return Survey(*(one.count for one in found))


def _is_empty(field: str) -> models.Condition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
