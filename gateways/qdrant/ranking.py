"""The order of hits: their ids and scores alone, so that a list of thousands can be read for a page of twenty."""

from itertools import groupby

from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models

from gateways.qdrant.records import Ranked

_JSON = {"Content-Type": "application/json"}


class _Point(BaseModel):
    id: int | str
    score: float


class _Points(BaseModel):
    points: list[_Point]


class _Answer(BaseModel):
    """What is read of an answer: qdrant-client looks through all of each point, and takes ten times as long."""

    result: _Points


async def order_of(client: AsyncQdrantClient, name: str, wanted: models.Prefetch) -> list[Ranked]:
    """Return the order of a list, best first; those of one score by their ids. Raises what qdrant-client does.

    Qdrant has points of one score in an order that changes with each request.
    """
    request = models.QueryRequest(
        prefetch=wanted.prefetch,
        query=wanted.query,
        filter=wanted.filter,
        params=wanted.params,
        limit=wanted.limit,
        score_threshold=wanted.score_threshold,
        with_payload=False,
    )
    answer: _Answer = await client.http.client.request(
        type_=_Answer,
        method="POST",
        url="/collections/{collection_name}/points/query",
        path_params={"collection_name": name},
        headers=_JSON,
        content=request.model_dump_json(by_alias=True, exclude_unset=True, exclude_none=True),
    )
    found = [Ranked(str(point.id), point.score) for point in answer.result.points]
    # Not sorted by scores: the least distance is the best.
    tied = (sorted(group, key=lambda one: one.id) for _, group in groupby(found, key=lambda one: one.score))
    return [one for group in tied for one in group]
