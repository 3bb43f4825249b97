"""How points are written: with JSON of our own. qdrant-client takes longer to make it than Qdrant to read it.

It makes a model of each point, looks through all of them for what a cloud is to embed, and writes numbers one by one.
"""

import json
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from qdrant_client import AsyncQdrantClient, models

from rules.payload import Point

_JSON = {"Content-Type": "application/json"}


async def write(
    client: AsyncQdrantClient, name: str, points: Sequence[Point], where: models.Filter | None = None
) -> dict[str, Any]:
    """Upsert points, in one request; when it answers, Qdrant has confirmed them.

    `where`: of those that exist, only the ones that match. Raises what qdrant-client does.
    """
    structs = [{"id": point.id, "vector": _numbers(point.vector), "payload": point.payload} for point in points]
    body: dict[str, Any] = {"points": structs}
    if where is not None:
        body["update_filter"] = where.model_dump(mode="json", exclude_unset=True)
    return await client.http.client.request(
        type_=dict[str, Any],
        method="PUT",
        url="/collections/{collection_name}/points",
        path_params={"collection_name": name},
        params={"wait": "true"},
        headers=_JSON,
        content=_dumped(body),
    )


def _numbers(vector: Sequence[float]) -> object:
    """Return a vector as orjson writes it: with as many digits as 32 bits need, where it has no more."""
    if isinstance(vector, array) and vector.typecode == "f":
        return np.frombuffer(vector, np.float32)
    return list(vector)


def _dumped(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:  # a number of more than 64 bits, or half of a letter: Qdrant is to judge it
        return json.dumps(body, default=_list).encode()


def _list(vector: "np.ndarray[Any, np.dtype[np.float32]]") -> list[float]:
    numbers: list[float] = vector.tolist()
    return numbers
