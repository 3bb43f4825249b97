"""Fills `known_images` from what Qdrant holds, for when its changelog cannot be used, or has it forgotten.

prepare stays the table's only writer: it is told by `image-outcome`, as if ML and Qdrant had just answered.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from api.jobs.publisher import Outgoing, Publisher
from api.schemas.replay import Run
from core.errors import RequestError
from gateways.qdrant import CollectionInfo, Point, Qdrant
from topics.content import Content
from topics.files import HashedFileOfJob
from topics.image_outcome import IMAGE_OUTCOME, ClaimsCleared, ContentOutcome, Embedded, Forgotten, Stored
from topics.record import Headers

POINTS_AT_ONCE = 100
REPLAYED = Headers(replay=True)


class CacheRebuilder:
    """Reads collections and publishes what prepare has to know of them."""

    def __init__(self, qdrant: Qdrant, publisher: Publisher, partitions: int) -> None:
        self._qdrant = qdrant
        self._publisher = publisher
        self._partitions = partitions

    async def collections(self, name: str | None) -> list[CollectionInfo]:
        """Return the named collection, or all. Raises CollectionMissingError, QdrantUnavailableError."""
        if name is None:
            return await self._qdrant.collections()
        return [await self._qdrant.existing_collection(name)]

    async def clear(self, collection: CollectionInfo, progress: Run, *, force: bool) -> None:
        """Have what a collection holds embedded again when it comes again. Raises as `run` does.

        `force`: claims in flight are void too, and those that wait for one take it over.
        """
        progress.total = collection.points
        async for page in self._qdrant.pages(collection.name, limit=POINTS_AT_ONCE):
            messages = [message for record in page for message in _forgotten(record.payload, collection, progress)]
            await self._publish(messages, progress)
            progress.read += len(page)
        if force:
            value = IMAGE_OUTCOME.encode(ClaimsCleared(collection=collection.name))
            key, headers = collection.name.encode(), Headers().encode()
            await self._publish(
                [Outgoing(IMAGE_OUTCOME.name, key, value, headers, each) for each in range(self._partitions)], progress
            )

    async def run(self, collections: list[CollectionInfo], progress: Run) -> None:
        """Fill the cache. Raises QdrantUnavailableError, KafkaUnavailableError."""
        progress.total = sum(collection.points for collection in collections)
        for collection in collections:
            async for page in self._qdrant.pages(collection.name, limit=POINTS_AT_ONCE):
                points = await self._qdrant.points(collection.name, [record.id for record in page])
                messages = {point.id: [*_messages(point, collection, progress)] for point in points}
                await self._publish([message for some in messages.values() for message in some], progress)
                for point in points:
                    if messages[point.id]:
                        await self._publish_others(point, collection, progress)
                progress.read += len(page)

    async def _publish_others(self, point: Point, collection: CollectionInfo, progress: Run) -> None:
        """Publish `stored` for the paths that stand beside a point."""
        async for paths in self._qdrant.other_paths(collection.name, point.payload):
            await self._publish([_outgoing(one) for one in _stored(point.payload, paths, collection)], progress)

    async def _publish(self, messages: list[Outgoing], progress: Run) -> None:
        await self._publisher.publish_all(messages)
        progress.published += len(messages)


def _messages(point: Point, collection: CollectionInfo, progress: Run) -> Iterator[Outgoing]:
    """Yield `embedded` for the content, then `stored` for each path; nothing for a point that others wrote."""
    payload = point.payload
    if payload.get("model_id") not in {None, collection.model_id}:
        progress.leave_out("points whose picture could not be embedded with the model of their collection")
        return
    try:
        first = _file(payload, collection, payload.get("full_path"))
        content = Content.of_point(point.vector, payload)
        messages: list[Embedded | Stored] = [Embedded(**first.model_dump(), content=content)]
        messages += _stored(payload, payload["paths"], collection)
    except (ValidationError, RequestError, KeyError, TypeError):
        progress.leave_out("points that lack what Darkroom writes")
        return
    for message in messages:
        yield _outgoing(message)


def _stored(payload: dict[str, Any], paths: list[str], collection: CollectionInfo) -> list[Stored]:
    """Say of these files that they are stored; of none in a collection that others made."""
    if not collection.incarnation:
        return []
    return [
        Stored(**_file(payload, collection, path).model_dump(), incarnation=collection.incarnation) for path in paths
    ]


def _forgotten(payload: dict[str, Any], collection: CollectionInfo, progress: Run) -> Iterator[Outgoing]:
    try:
        file = _file(payload, collection, payload.get("full_path"))
    except (ValidationError, RequestError):
        progress.leave_out("points that lack what Darkroom writes")
        return
    yield _outgoing(Forgotten(**file.model_dump()))


def _outgoing(message: ContentOutcome) -> Outgoing:
    return Outgoing(
        IMAGE_OUTCOME.name,
        message.sha256.encode(),
        IMAGE_OUTCOME.encode(message),
        message.headers(REPLAYED).encode(),
    )


def _file(payload: dict[str, Any], collection: CollectionInfo, path: object) -> HashedFileOfJob:
    """Return a file as a point tells of it. The time of its last change is not known, and not needed here."""
    return HashedFileOfJob.model_validate(
        {
            "job_id": payload.get("job_id"),
            "collection": collection.name,
            "path": path,
            "caption": "caption" in payload,
            "size": payload.get("file_size"),
            "mtime_ns": 0,
            "model_id": payload.get("model_id") or collection.model_id,
            "sha256": payload.get("file_hash"),
        }
    )
