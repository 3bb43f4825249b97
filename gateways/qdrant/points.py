"""Points by their ids: written and read."""

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from core.errors import QdrantRejectedError
from gateways.qdrant import revisions
from gateways.qdrant.connection import Connection
from gateways.qdrant.records import ListedPoint
from gateways.qdrant.upserting import write
from rules.identity import new_id
from rules.many_paths import MORE_PATHS, divide, list_name, listed
from rules.payload import HELPERS, REVISION, Point
from rules.search.lookup import WORDS, lookup

# Thumbnails are most of a payload and are asked for one at a time.
WITHOUT_THUMBNAIL = models.PayloadSelectorExclude(exclude=["thumbnail_base64", *HELPERS])


class Points(Connection):
    """Reads and writes points that are named."""

    async def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write the points, in one request; on return Qdrant has confirmed them. All or none are written."""
        if not points:
            return
        async with self._in(name) as at:
            await write(self._client, at, points)

    async def replace(self, name: str, points: Sequence[Point], known: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Write points, each with its paths and those that it had before, and wait until Qdrant confirms.

        `known`: the payloads (FIELDS_READ_BACK) of those that exist, as they were read. Return the ids of points that
        someone else has written since then: these were not written, and may be read and tried again.
        """
        divided = []
        others: dict[str, list[str]] = {}
        for point in points:
            stored = known.get(point.id, {})
            fields = point.payload
            if isinstance(fields.get("paths"), list):  # else another program wrote it
                fields = _divided({**fields, "paths": [*listed(stored), *listed(fields)]}, stored, others)
                # Only here all paths are known, whose names and folders are among the words.
                fields |= {WORDS: lookup(fields)}
            divided.append(Point(point.id, point.vector, fields))
        read = {point_id: payload.get(REVISION) for point_id, payload in known.items()}
        async with self._in(name) as at:
            await self._lists.put(at, others)
            return await revisions.replace(self._client, at, divided, read)

    async def change(self, name: str, point_id: str, fields: dict[str, Any], known: Mapping[str, Any]) -> bool:
        """Set these fields of a point's payload; the others stay. False: it was written since `known` was read."""
        return not await self.change_all(name, {point_id: fields}, {point_id: known})

    async def change_all(
        self, name: str, fields: Mapping[str, dict[str, Any]], known: Mapping[str, Mapping[str, Any]]
    ) -> set[str]:
        """Set fields of many points' payloads, by their ids; the others stay. Return the ids as `replace` does.

        `known`: their payloads, with `paths`, `more_paths` and the revision, as they were read.
        """
        others: dict[str, list[str]] = {}
        divided = {
            # Names and folders are among the words: they are found anew.
            point_id: _divided(some, known[point_id], others) | {WORDS: {}} if "paths" in some else some
            for point_id, some in fields.items()
        }
        read = {point_id: known[point_id].get(REVISION) for point_id in fields}
        async with self._in(name) as at:
            await self._lists.put(at, others)
            return await revisions.change(self._client, at, divided, read)

    async def payloads(self, name: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        """Return the named fields of those of the points that exist, by point id."""
        if not ids:
            return {}
        async with self._in(name) as at:
            records = await self._client.retrieve(at, list(ids), with_payload=fields, with_vectors=False)
        return {str(record.id): record.payload or {} for record in records}

    async def point(self, name: str, point_id: str) -> Point | None:
        """Return the whole point, with its thumbnail; None when there is none. Cosine vectors come back normalised."""
        return next(iter(await self.points(name, [point_id])), None)

    async def points(self, name: str, ids: Sequence[str]) -> list[Point]:
        """Return those of the points that exist, whole, as `point` does."""
        if not ids:
            return []
        async with self._in(name) as at:
            records = await self._client.retrieve(at, list(ids), with_payload=True, with_vectors=True)
        payloads = [{**(record.payload or {})} for record in records]
        for payload in payloads:
            payload.pop(REVISION, None)  # it names a write, and is no part of what was written
        return [
            Point(str(record.id), dense(record.vector), payload)
            for record, payload in zip(records, payloads, strict=True)
        ]

    async def records(self, name: str, ids: Sequence[str]) -> list[ListedPoint]:
        """Return those of the points that exist, as lists show them."""
        if not ids:
            return []
        async with self._in(name) as at:
            found = await self._client.retrieve(at, list(ids), with_payload=WITHOUT_THUMBNAIL, with_vectors=False)
        return [ListedPoint(str(record.id), record.payload or {}) for record in found]


def _divided(fields: dict[str, Any], known: Mapping[str, Any], others: dict[str, list[str]]) -> dict[str, Any]:
    """Return the fields with as many paths as a point holds; the others are added to `others`, by their list."""
    paths, rest = divide(fields["paths"], listed(known), fields.get("full_path", known.get("full_path")))
    beside = list_name(known) or (new_id() if rest else None)
    fields = {field: value for field, value in fields.items() if field != MORE_PATHS} | {"paths": paths}
    if beside is None:
        return fields
    others[beside] = rest
    return fields | {MORE_PATHS: beside}


def dense(vector: models.VectorStructOutput | None) -> list[float]:
    """Return a plain vector. Raises QdrantRejectedError for another."""
    if not isinstance(vector, list):
        raise QdrantRejectedError("The point has no plain vector.")
    return [value for value in vector if isinstance(value, float | int)]
