"""Qdrant, the vector store: the only code that speaks to it.

Every method may raise QdrantUnavailableError (wait and try again); those that name a collection raise
CollectionMissingError when it does not exist, and QdrantRejectedError when Qdrant refuses what was sent.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, Self

from qdrant_client import AsyncQdrantClient, models

from errors import CollectionMissingError, QdrantRejectedError, QdrantUnavailableError, RequestError
from gateways.qdrant import revisions
from gateways.qdrant.errors import translated_errors
from gateways.qdrant.filters import Filters, keyword_filter, to_filter
from gateways.qdrant.lean import without_fastembed
from gateways.qdrant.measure import measure
from gateways.qdrant.pages import read_page
from gateways.qdrant.records import CollectionInfo, Hit, Point, Record
from gateways.qdrant.schema import collection_info, complete, ensure
from rules.collections import check_name
from rules.payload import HELPERS, REVISION
from rules.text import nfc
from tls import authorities

# Thumbnails are most of a payload and are asked for one at a time.
_WITHOUT_THUMBNAIL = models.PayloadSelectorExclude(exclude=["thumbnail_base64", *HELPERS])
_WITH_SORT_KEYS = models.PayloadSelectorExclude(exclude=["thumbnail_base64"])


class Qdrant:
    """A client of the Qdrant at `url`; `timeout` in seconds, rounded up. Close it, or use it in `async with`."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 60.0) -> None:
        self._url = url
        # The key goes in a header of our own: qdrant-client warns about a key over plain HTTP, which is
        # ordinary inside a cluster.
        with without_fastembed():
            self._client = AsyncQdrantClient(
                url=url,
                headers={"api-key": api_key} if api_key else None,
                timeout=timeout,  # type: ignore[arg-type]  # annotated int, and rounded up inside
                prefer_grpc=False,
                check_compatibility=False,
                verify=authorities(url),
            )
        measure(self._client)
        self._complete: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def healthy(self) -> bool:
        """Whether Qdrant answers, and accepts our key."""
        try:
            async with self._errors():
                await self._client.get_collections()
        except (QdrantUnavailableError, QdrantRejectedError):
            return False
        return True

    # Collections

    async def ensure_collection(self, name: str, *, model_id: str, dimension: int, distance: str) -> CollectionInfo:
        """Return the collection `name` for vectors of `model_id`, creating it if it is missing.

        One that others made is adopted: it gets our metadata. Raises RequestError: 422 for a wrong name,
        409 when the collection holds vectors of another model or dimension.
        """
        check_name(name)
        async with self._errors(name):
            return await ensure(self._client, name, model_id=model_id, dimension=dimension, distance=distance)

    async def collection(self, name: str) -> CollectionInfo | None:
        """Return what is known of the collection; None when there is none of that name."""
        try:
            check_name(name)  # it becomes a part of an address
        except RequestError:
            return None
        try:
            async with self._errors(name):
                return collection_info(name, await self._client.get_collection(name))
        except CollectionMissingError:
            return None

    async def collections(self) -> list[CollectionInfo]:
        """List all collections, by name. Those whose vectors are named or sparse are not for us and left out."""
        async with self._errors():
            names = sorted(found.name for found in (await self._client.get_collections()).collections)
        infos = await asyncio.gather(*(self._collection_for_us(name) for name in names))
        return [info for info in infos if info is not None]

    async def _collection_for_us(self, name: str) -> CollectionInfo | None:
        try:
            return await self.collection(name)
        except RequestError:
            return None

    async def delete_collection(self, name: str) -> bool:
        """Delete the collection with all its points; False when there was none."""
        async with self._errors(name):
            return await self._client.delete_collection(name)

    async def incarnation(self, name: str) -> str | None:
        """Return the incarnation that the collection has now; None when it is missing, or made by others."""
        found = await self.collection(name)
        return found.incarnation if found else None

    async def renew_collection(self, name: str) -> CollectionInfo:
        """Give a collection a new incarnation, as if it had been made now, and return it as it is then.

        Raises CollectionMissingError; RequestError(409) for a collection that others made and nothing was stored in.
        """
        found = await self.collection(name)
        if found is None:
            raise CollectionMissingError(f"There is no collection {name!r}.")
        if found.incarnation is None:
            raise RequestError(f"Collection {name!r} was made by another program: nothing is known of it.", 409)
        incarnation = str(uuid.uuid4())
        async with self._errors(name):
            await self._client.update_collection(name, metadata={"incarnation": incarnation})
        return replace(found, incarnation=incarnation)

    # Points

    async def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write the points, in one request; on return Qdrant has confirmed them. All or none are written."""
        if not points:
            return
        async with self._errors(name):
            await self._client.upsert(
                name,
                [models.PointStruct(id=point.id, vector=point.vector, payload=point.payload) for point in points],
                wait=True,
            )

    async def replace(self, name: str, points: Sequence[Point], read: Mapping[str, str | None]) -> set[str]:
        """Write the points, whose revisions were `read` before (None: it was not there, or had none).

        Return the ids of those that somebody else has written since: they are as that one has left them. The others
        Qdrant has confirmed.
        """
        async with self._errors(name):
            return await revisions.replace(self._client, name, points, read)

    async def change(self, name: str, point_id: str, fields: dict[str, Any], read: str | None) -> bool:
        """Set these fields of a point's payload; the others stay. False: it was written since it was `read`."""
        async with self._errors(name):
            return await revisions.change(self._client, name, point_id, fields, read)

    async def payloads(self, name: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        """Return the named fields of those of the points that exist, by point id."""
        if not ids:
            return {}
        async with self._errors(name):
            records = await self._client.retrieve(name, list(ids), with_payload=fields, with_vectors=False)
        return {str(record.id): record.payload or {} for record in records}

    async def point(self, name: str, point_id: str) -> Point | None:
        """Return the whole point, with its thumbnail; None when there is none. Cosine vectors come back normalised."""
        return next(iter(await self.points(name, [point_id])), None)

    async def points(self, name: str, ids: Sequence[str]) -> list[Point]:
        """Return those of the points that exist, whole, as `point` does."""
        if not ids:
            return []
        async with self._errors(name):
            records = await self._client.retrieve(name, list(ids), with_payload=True, with_vectors=True)
        payloads = [{**(record.payload or {})} for record in records]
        for payload in payloads:
            payload.pop(REVISION, None)  # it names a write, and is no part of what was written
        return [
            Point(str(record.id), _dense(record.vector), payload)
            for record, payload in zip(records, payloads, strict=True)
        ]

    async def records(self, name: str, ids: Sequence[str]) -> list[Record]:
        """Return those of the points that exist, as lists show them."""
        if not ids:
            return []
        async with self._errors(name):
            found = await self._client.retrieve(name, list(ids), with_payload=_WITHOUT_THUMBNAIL, with_vectors=False)
        return [Record(str(record.id), record.payload or {}) for record in found]

    async def sample(self, name: str, *, limit: int, filters: Filters | None = None) -> list[Record]:
        """Return points that match, chosen at random: ids follow from contents and tell nothing about them."""
        where, start = to_filter(filters or {}), str(uuid.uuid4())
        async with self._errors(name):
            found, _ = await self._client.scroll(name, where, limit, offset=start, with_payload=_WITHOUT_THUMBNAIL)
            if len(found) < limit:
                # Go on at the first one, up to where it began.
                first, _ = await self._client.scroll(name, where, limit, with_payload=_WITHOUT_THUMBNAIL)
                known = {record.id for record in found}
                found += [record for record in first if record.id not in known]
        return [Record(str(record.id), record.payload or {}) for record in found[:limit]]

    async def page(
        self,
        name: str,
        *,
        limit: int,
        cursor: str | None = None,
        filters: Filters | None = None,
        sort: str | None = None,
    ) -> tuple[list[Record], str | None]:
        """Return a page of the points that match, and the cursor of the next page (None: this was the last).

        `sort`: one of `pages.SORTS`, with a leading `-` the other way round; points without it come last. None: by id.
        Raises RequestError(422) for a filter, sort or cursor that is not valid.
        """

        async def scroll(
            where: models.Filter, limit: int, offset: str | None, order_by: models.OrderBy | None
        ) -> tuple[list[models.Record], str | None]:
            records, following = await self._client.scroll(
                name, where, limit, order_by=order_by, offset=offset, with_payload=_WITH_SORT_KEYS
            )
            return records, None if following is None else str(following)

        async with self._errors(name):
            if sort is not None:
                await self._with_all_indexes(name)
            records, following = await read_page(scroll, to_filter(filters or {}), sort, limit, cursor)
        return [Record(str(record.id), _shown(record.payload)) for record in records], following

    async def count(self, name: str, filters: Filters | None = None, *, without: str | None = None) -> int:
        """Count the points that match, but the one with the id `without`."""
        async with self._errors(name):
            return (await self._client.count(name, to_filter(filters or {}, without), exact=True)).count

    async def facet(self, name: str, field: str, *, limit: int, filters: Filters | None = None) -> dict[str, int]:
        """Count the points that match by the values of a field that is indexed as a keyword, most frequent first.

        Values that were stored before texts were composed count with those that look the same.
        """
        where = to_filter(filters or {})
        async with self._errors(name):
            await self._with_all_indexes(name)
            found = await self._client.facet(name, field, facet_filter=where, limit=limit, exact=True)
        counts: Counter[str] = Counter()
        for hit in found.hits:
            counts[nfc(str(hit.value))] += hit.count
        return dict(counts.most_common())

    async def _with_all_indexes(self, name: str) -> None:
        """Make the indexes that a collection of ours lacks, as it was made before there was the field.

        Once for each collection: whoever makes it anew under the same name makes them all.
        """
        if name in self._complete:
            return
        info = await self._client.get_collection(name)
        if collection_info(name, info).incarnation is not None:
            await complete(self._client, name, info)
        self._complete.add(name)

    async def search(
        self,
        name: str,
        vector: list[float],
        *,
        limit: int,
        offset: int = 0,
        filters: Filters | None = None,
        without: str | None = None,
        min_score: float | None = None,
    ) -> list[Hit]:
        """Find the points most similar to `vector`, best first, but the one with the id `without`."""
        async with self._errors(name):
            found = await self._client.query_points(
                name,
                query=vector,
                query_filter=to_filter(filters or {}, without),
                limit=limit,
                offset=offset,
                score_threshold=min_score,
                with_payload=_WITHOUT_THUMBNAIL,
            )
        return [Hit(str(point.id), point.payload or {}, point.score) for point in found.points]

    async def neighbours(
        self, name: str, ids: Sequence[str], *, limit: int, min_score: float, filters: Filters | None = None
    ) -> dict[str, list[tuple[str, float]]]:
        """Return for each of these points the ids of up to `limit` others that are at least so similar, best first."""
        async with self._errors(name):
            records = await self._client.retrieve(name, list(ids), with_payload=False, with_vectors=True)
            asked = [
                models.QueryRequest(
                    query=_dense(record.vector),
                    filter=to_filter(filters or {}),
                    limit=limit + 1,  # itself is among them
                    score_threshold=min_score,
                    with_payload=False,
                )
                for record in records
            ]
            answers = await self._client.query_batch_points(name, asked) if asked else []
        return {
            str(record.id): [(str(point.id), point.score) for point in answer.points if point.id != record.id][:limit]
            for record, answer in zip(records, answers, strict=True)
        }

    async def search_keywords(
        self, name: str, query: str, *, limit: int, offset: int = 0, filters: Filters | None = None
    ) -> tuple[list[Hit], int]:
        """Find points that have every word in caption, file name, camera, lens or date; and how many there are.

        In the order of ids. Raises RequestError(422) for a query without words.
        """
        where = keyword_filter(query, filters or {})
        async with self._errors(name):
            found, total = await asyncio.gather(
                self._client.query_points(
                    name, query_filter=where, limit=limit, offset=offset, with_payload=_WITHOUT_THUMBNAIL
                ),
                self._client.count(name, where, exact=True),
            )
        return [Hit(str(point.id), point.payload or {}, 1.0) for point in found.points], total.count

    def _errors(self, name: str | None = None) -> AbstractAsyncContextManager[None]:
        return translated_errors(self._url, name)


def _shown(payload: models.Payload | None) -> dict[str, Any]:
    return {name: value for name, value in (payload or {}).items() if name not in HELPERS}


def _dense(vector: models.VectorStructOutput | None) -> list[float]:
    if not isinstance(vector, list):
        raise QdrantRejectedError("The point has no plain vector.")
    return [value for value in vector if isinstance(value, float | int)]
