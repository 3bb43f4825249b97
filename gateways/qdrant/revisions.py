"""Writes that hold only if nobody has written meanwhile: who reads a point, and writes what follows from it.

Every such write gives the point a new revision, a name that nobody else gives, and holds for points that have the
revision that was read. Qdrant leaves the others as they are, and does not say which: so they are read back.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import AsyncQdrantClient, models

from gateways.qdrant.upserting import write
from rules.payload import REVISION, Point


async def replace(
    client: AsyncQdrantClient, name: str, points: Sequence[Point], read: Mapping[str, str | None]
) -> set[str]:
    """Write the points; return the ids of those that had another revision than was read. See `Qdrant.replace`."""
    given = {point.id: str(uuid.uuid4()) for point in points}
    revised = {
        point.id: Point(point.id, point.vector, {**point.payload, REVISION: given[point.id]}) for point in points
    }
    for is_known in (False, True):
        some = [point for point_id, point in revised.items() if (read.get(point_id) is not None) == is_known]
        if some:
            expected = [revision for point_id in given if (revision := read.get(point_id)) is not None]
            await write(client, name, some, _where(expected if is_known else []))
    return await _others(client, name, given)


async def change(
    client: AsyncQdrantClient, name: str, fields: Mapping[str, dict[str, Any]], read: Mapping[str, str | None]
) -> set[str]:
    """Set fields of points, by their ids, in one request; return the ids that had another revision than was read.

    See `Qdrant.change_all`.
    """
    given = {point_id: str(uuid.uuid4()) for point_id in fields}
    operations: list[models.UpdateOperation] = []
    for point_id, revision in given.items():
        known = read.get(point_id)
        where = _where([] if known is None else [known])
        only = models.Filter(must=[models.HasIdCondition(has_id=[point_id]), where])
        payload = {**fields[point_id], REVISION: revision}
        operations.append(models.SetPayloadOperation(set_payload=models.SetPayload(payload=payload, filter=only)))
    if operations:
        await client.batch_update_points(name, operations, wait=True)
    return await _others(client, name, given)


def _where(revisions: list[str]) -> models.Filter:
    """Match points with one of these revisions; without any, those that have none yet."""
    if revisions:
        return models.Filter(must=[models.FieldCondition(key=REVISION, match=models.MatchAny(any=revisions))])
    return models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key=REVISION))])


async def _others(client: AsyncQdrantClient, name: str, given: Mapping[str, str]) -> set[str]:
    """Return the points that do not have the revision that they were given."""
    if not given:
        return set()
    records = await client.retrieve(name, list(given), with_payload=[REVISION], with_vectors=False)
    found = {str(record.id): (record.payload or {}).get(REVISION) for record in records}
    return {point_id for point_id, revision in given.items() if found.get(point_id) != revision}
