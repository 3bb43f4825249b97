"""One collection: a folder with the engine's shard and `collection.json`, our note of its configuration.

Every change but an index is on disk before the method returns, so an answered request outlives a kill and a power cut:
the engine's log of changes is, which it does again where it loads a shard that had not written them to its own files.
None of this is safe to call from two threads at once.
"""

import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from core.errors import RequestError
from embedded.qdrant.configuration import CollectionConfig
from embedded.qdrant.queries import to_edge_query
from embedded.qdrant.syncing import sync_files
from embedded.qdrant.translate import (
    DISTANCES,
    index_type_name,
    to_edge_filter,
    to_edge_index,
    to_edge_order,
    to_edge_payload_selector,
    unsupported,
)

_SHARD = "shard"
_LOG = "wal"
# The engine writes all its files, some hundred of them, after changes of so many points: what loading may have to do
# again, and the size of the log, are bounded by that.
_POINTS_LOGGED = 5000


class Collection:
    """The collection in an existing folder; `close` it before the folder is moved or removed."""

    @staticmethod
    def create(folder: Path, config: CollectionConfig) -> None:
        """Lay out a new collection in `folder`, which must not exist."""
        folder.mkdir()
        params = edge.EdgeVectorParams(size=config.dimension, distance=DISTANCES[models.Distance(config.distance)])
        (folder / _SHARD).mkdir()
        shard = edge.EdgeShard.create(str(folder / _SHARD), edge.EdgeConfig(vectors=params))
        shard.flush()
        shard.close()
        config.write(folder)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = CollectionConfig.read(folder)
        self._shard = edge.EdgeShard.load(str(folder / _SHARD))
        self._logged = 0

    def close(self) -> None:
        """Release the files."""
        self._shard.close()

    def info(self) -> dict[str, Any]:
        """Describe the collection as REST does."""
        shard = self._shard.info()
        return {
            "status": "green",
            "optimizer_status": "ok",
            "warnings": [{"message": said} for said in self._config.warnings()],
            "indexed_vectors_count": shard.indexed_vectors_count,
            "points_count": shard.points_count,
            "segments_count": shard.segments_count,
            "config": self._config.described(),
            "payload_schema": {
                field: {"data_type": index_type_name(index.data_type), "points": index.points}
                for field, index in shard.payload_schema.items()
            },
        }

    def change(self, body: models.UpdateCollection) -> None:
        """Change the configuration. Raises RequestError(400) for what cannot be changed here."""
        config = self._config.changed(body)
        config.write(self._folder)
        self._config = config

    def upsert(self, points: list[dict[str, Any]], update_filter: models.Filter | None = None) -> None:
        """Write all the points, or none and raise RequestError(400).

        `update_filter`: of those that exist, only the ones that match.
        """
        checked = [self._checked_point(point) for point in points]
        self._update(edge.UpdateOperation.upsert_points(checked, to_edge_filter(update_filter)), points=len(checked))

    def _checked_point(self, point: dict[str, Any]) -> edge.Point:
        """Refuse here what the engine takes without a word (NaN) or only notices when it has begun."""
        if not isinstance(point, dict) or not point.keys() >= {"id", "vector"}:
            raise RequestError("Format error in JSON body: a point needs an id and a vector", status=400)
        vector = self._checked_vector(point["vector"])
        try:
            return edge.Point(point["id"], vector, point.get("payload") or {})
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestError(f"Format error in JSON body: point {point['id']!r}: {error}", status=400) from error

    def _checked_vector(self, vector: Any) -> list[float]:
        if not isinstance(vector, list):
            raise RequestError("Format error in JSON body: a vector must be a list of numbers", status=400)
        if len(vector) != self._config.dimension:
            raise RequestError(
                f"Wrong input: Vector dimension error: expected dim: {self._config.dimension}, got {len(vector)}",
                status=400,
            )
        try:
            # Of finite numbers the sum is nearly always finite as well, and found in a fifth of the time.
            finite = math.isfinite(sum(vector)) or all(map(math.isfinite, vector))
        except (TypeError, OverflowError):
            finite = False
        if not finite:
            raise RequestError("Format error in JSON body: a vector must be made of finite numbers", status=400)
        return vector

    def delete_points(self, selector: models.PointsSelector) -> None:
        """Delete the points with these ids, or those that match the filter."""
        if isinstance(selector, models.PointIdsList):
            self._update(edge.UpdateOperation.delete_points(_ids(selector.points)))
        else:
            self._update(edge.UpdateOperation.delete_points_by_filter(to_edge_filter(selector.filter) or edge.Filter()))

    def set_payload(self, request: models.SetPayload, *, wait: bool = True) -> None:
        """Set some payload fields of points given by ids or by filter; other fields stay.

        Without `wait` it is on disk after the next change only.
        """
        if request.points is not None:
            operation = edge.UpdateOperation.set_payload(_ids(request.points), request.payload, request.key)
            self._update(operation, wait=wait)
        elif request.filter is not None:
            found = to_edge_filter(request.filter) or edge.Filter()
            self._update(edge.UpdateOperation.set_payload_by_filter(found, request.payload, request.key), wait=wait)
        else:
            raise RequestError("Format error in JSON body: neither points nor filter are given", status=400)

    def change_batch(self, operations: list[models.UpdateOperation]) -> list[dict[str, Any]]:
        """Set payload fields as each of these says, in their order."""
        changes = [one.set_payload for one in operations if isinstance(one, models.SetPayloadOperation)]
        if len(changes) < len(operations):
            raise unsupported("other changes than set_payload in a batch")
        for number, change in enumerate(changes, 1):
            self.set_payload(change, wait=number == len(changes))
        return [{"operation_id": 0, "status": "completed"} for _ in changes]

    def create_index(self, request: models.CreateFieldIndex, *, wait: bool) -> None:
        """Index a payload field. Without `wait` it is on disk after the next change only."""
        index = to_edge_index(request.field_schema)
        self._update(edge.UpdateOperation.create_field_index(request.field_name, index), wait=wait)

    def retrieve(self, request: models.PointRequest) -> list[dict[str, Any]]:
        """Return those of the points that exist."""
        payload = to_edge_payload_selector(request.with_payload, default=True)
        with _engine_errors():
            records = self._shard.retrieve(_ids(request.ids), payload, request.with_vector or False)
        return [_record(record) for record in records]

    def scroll(self, request: models.ScrollRequest) -> dict[str, Any]:
        """Return a page of points by id, or ordered by a payload field, and the id that the next page starts at."""
        if request.order_by is not None and request.offset is not None:
            raise RequestError("Wrong input: offset cannot be used together with order_by", status=400)
        with _engine_errors():
            records, following = self._shard.scroll(
                edge.ScrollRequest(
                    offset=_ids([request.offset])[0] if request.offset is not None else None,
                    limit=request.limit or 10,
                    filter=to_edge_filter(request.filter),
                    with_payload=to_edge_payload_selector(request.with_payload, default=True),
                    with_vector=request.with_vector or False,
                    order_by=to_edge_order(request.order_by),
                )
            )
        points = [_record(record) for record in records]
        return {"points": points, "next_page_offset": None if request.order_by else following}

    def query(self, request: models.QueryRequest) -> list[dict[str, Any]]:
        """Return the best points of a query, best first; without one, all that match the filter, by id."""
        wanted = to_edge_query(request, self._checked_vector)
        with _engine_errors():
            found = self._shard.query(wanted)
        return _scored(found)

    def query_batch(self, requests: list[models.QueryRequest]) -> list[list[dict[str, Any]]]:
        """Do several queries in one pass over the points."""
        wanted = [to_edge_query(request, self._checked_vector) for request in requests]
        with _engine_errors():
            answers = self._shard.query_batch(edge.QueryBatchRequest(wanted))
        return [_scored(found) for found in answers]

    def count(self, request: models.CountRequest) -> int:
        """Count the points that match."""
        with _engine_errors():
            return self._shard.count(edge.CountRequest(exact=True, filter=to_edge_filter(request.filter)))

    def facet(self, request: models.FacetRequest) -> list[dict[str, Any]]:
        """Count the points by the value of an indexed payload field, most frequent first."""
        where = to_edge_filter(request.filter)
        wanted = edge.FacetRequest(request.key, request.limit or 10, request.exact or False, where)
        with _engine_errors():
            hits = self._shard.facet(wanted).hits
        return [{"value": hit.value, "count": hit.count} for hit in hits]

    def _update(self, operation: edge.UpdateOperation, *, points: int = 1, wait: bool = True) -> None:
        """Make a change of about so many points, and wait until it is on disk."""
        with _engine_errors():
            self._shard.update(operation)
        if wait:
            sync_files(self._folder / _SHARD / _LOG)
        self._logged += points
        if self._logged >= _POINTS_LOGGED:
            self._shard.flush()
            self._logged = 0


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Tell what a request did wrong (400) from what went wrong here (any other exception: 500)."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        # The engine raises bare exceptions; only their words tell them apart.
        if "Service runtime error" in str(error):
            raise
        raise RequestError(f"Wrong input: {error}", status=400) from error


def _ids(ids: list[models.ExtendedPointId]) -> "list[edge.PointId]":
    for one in ids:
        if isinstance(one, str):
            try:
                uuid.UUID(one)
            except ValueError:
                raise RequestError(f"Format error in JSON body: {one!r} is no point id", status=400) from None
    return list(ids)


def _scored(found: list[edge.ScoredPoint]) -> list[dict[str, Any]]:
    return [{**_record(point), "version": point.version, "score": point.score} for point in found]


def _record(record: edge.Record | edge.ScoredPoint) -> dict[str, Any]:
    found: dict[str, Any] = {"id": record.id, "payload": record.payload}
    if record.vector is not None:
        found["vector"] = record.vector
    if record.order_value is not None:
        found["order_value"] = record.order_value
    return found
