"""Points by what they are: filtered, sorted, counted, searched."""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from qdrant_client import models

from gateways.qdrant.connection import Connection
from gateways.qdrant.filters import EARLIEST, Filters, date_range, to_filter
from gateways.qdrant.pages import read_page
from gateways.qdrant.points import WITHOUT_THUMBNAIL, dense
from gateways.qdrant.records import Hit, ListedPoint
from gateways.qdrant.schema import collection_info, complete
from gateways.qdrant.storage import RESCORED
from rules.payload import GONE_AT, HELPERS
from rules.text import nfc

_WITH_SORT_KEYS = models.PayloadSelectorExclude(exclude=["thumbnail_base64"])


class Finding(Connection):
    """Finds points. A filter by `paths` finds those too that stand beside their points."""

    async def sample(self, name: str, *, limit: int, filters: Filters | None = None) -> list[ListedPoint]:
        """Return points that match, chosen at random: ids follow from contents and tell nothing about them."""
        start = str(uuid.uuid4())
        async with self._in(name) as at:
            where = await self._where(at, filters)
            found, _ = await self._client.scroll(at, where, limit, offset=start, with_payload=WITHOUT_THUMBNAIL)
            if len(found) < limit:
                # Go on at the first one, up to where it began.
                first, _ = await self._client.scroll(at, where, limit, with_payload=WITHOUT_THUMBNAIL)
                known = {record.id for record in found}
                found += [record for record in first if record.id not in known]
        return [ListedPoint(str(record.id), record.payload or {}) for record in found[:limit]]

    async def page(
        self,
        name: str,
        *,
        limit: int,
        cursor: str | None = None,
        filters: Filters | None = None,
        sort: str | None = None,
        fields: list[str] | None = None,
    ) -> tuple[list[ListedPoint], str | None]:
        """Return a page of the points that match, and the cursor of the next page (None: this was the last).

        `sort`: one of `pages.SORTS`, with a leading `-` the other way round; points without it come last. None: by id.
        `fields`: which of the payload are read, where no sort is wanted; None: all but the thumbnail.
        Raises RequestError(422) for a filter, sort or cursor that is not valid.
        """
        async with self._in(name) as at:
            if sort is not None:
                await self._has_all_indexes(at)
            return await self._page(at, await self._where(at, filters), sort, limit, cursor, fields=fields)

    async def _page(
        self,
        name: str,
        where: models.Filter | None,
        sort: str | None,
        limit: int,
        cursor: str | None,
        *,
        fields: list[str] | None = None,
    ) -> tuple[list[ListedPoint], str | None]:
        """Return a page as `page` does. Call it where errors are translated."""

        async def scroll(
            where: models.Filter, limit: int, offset: str | None, order_by: models.OrderBy | None
        ) -> tuple[list[models.Record], str | None]:
            records, following = await self._client.scroll(
                name, where, limit, order_by=order_by, offset=offset, with_payload=fields or _WITH_SORT_KEYS
            )
            return records, None if following is None else str(following)

        records, following = await read_page(scroll, where, sort, limit, cursor)
        return [ListedPoint(str(record.id), _shown(record.payload)) for record in records], following

    def pages(
        self, name: str, *, limit: int, filters: Filters | None = None, fields: list[str] | None = None
    ) -> "AllPages":
        """Return all points that match, page by page, by id. `fields`: as of `page`."""
        return AllPages(self, name, limit, filters, fields)

    async def count(self, name: str, filters: Filters | None = None, *, without: str | None = None) -> int:
        """Count the points that match, but the one with the id `without`."""
        async with self._in(name) as at:
            where = await self._where(at, filters, without)
            return (await self._client.count(at, where, exact=True)).count

    async def facet(self, name: str, field: str, *, limit: int, filters: Filters | None = None) -> dict[str, int]:
        """Count the points that match by the values of a field that is indexed as a keyword, most frequent first.

        Values that were stored before texts were composed count with those that look the same.
        """
        async with self._in(name) as at:
            where = await self._where(at, filters)
            await self._has_all_indexes(at)
            found = await self._client.facet(at, field, facet_filter=where, limit=limit, exact=True)
        counts: Counter[str] = Counter()
        for hit in found.hits:
            counts[nfc(str(hit.value))] += hit.count
        return dict(counts.most_common())

    async def _has_all_indexes(self, name: str) -> bool:
        """Make the indexes that a collection of ours lacks, as it was made before there was the field.

        Once for each collection: whoever makes it anew under the same name makes them all. False: it is not ours.
        """
        if name not in self._complete:
            info = await self._client.get_collection(name)
            is_ours = collection_info(name, info).incarnation is not None
            if is_ours:
                await complete(self._client, name, info)
            self._complete[name] = is_ours
        return self._complete[name]

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
        async with self._in(name) as at:
            found = await self._client.query_points(
                at,
                query=vector,
                query_filter=await self._where(at, filters, without),
                limit=limit,
                offset=offset,
                score_threshold=min_score,
                with_payload=WITHOUT_THUMBNAIL,
                search_params=RESCORED,
            )
        return [Hit(str(point.id), point.payload or {}, point.score) for point in found.points]

    async def neighbours(
        self, name: str, ids: Sequence[str], *, limit: int, min_score: float, filters: Filters | None = None
    ) -> dict[str, list[tuple[str, float]]]:
        """Return for each of these points the ids of up to `limit` others that are at least so similar, best first."""
        async with self._in(name) as at:
            where = await self._where(at, filters)
            records = await self._client.retrieve(at, list(ids), with_payload=False, with_vectors=True)
            asked = [
                models.QueryRequest(
                    query=dense(record.vector),
                    filter=where,
                    limit=limit + 1,  # itself is among them
                    params=RESCORED,
                    score_threshold=min_score,
                    with_payload=False,
                )
                for record in records
            ]
            answers = await self._client.query_batch_points(at, asked) if asked else []
        return {
            str(record.id): [(str(point.id), point.score) for point in answer.points if point.id != record.id][:limit]
            for record, answer in zip(records, answers, strict=True)
        }

    async def _where(self, name: str, filters: Filters | None, without: str | None = None) -> models.Filter | None:
        """Return Qdrant's form of the filters. Call it where errors are translated. Raises RequestError(422).

        What has no path any more is found by a filter of `gone_at` alone.
        """
        filters = filters or {}
        where = to_filter(filters, without)  # refuses what has a wrong shape
        if wanted := filters.get("paths"):
            lists = await self._lists.with_paths(name, [wanted] if isinstance(wanted, str) else wanted)
            where = to_filter(filters, without, lists)
        if GONE_AT in filters or not await self._has_all_indexes(name):
            return where
        gone = date_range(GONE_AT, gte=EARLIEST)
        return models.Filter(must=[where], must_not=[gone]) if where else models.Filter(must_not=[gone])


class AllPages:
    """An iterator over the pages of a collection. Where a page cannot be read, the next try reads that one."""

    def __init__(
        self, finding: Finding, name: str, limit: int, filters: Filters | None, fields: list[str] | None
    ) -> None:
        self._finding = finding
        self._name = name
        self._limit = limit
        self._filters = filters
        self._fields = fields
        self._cursor: str | None = None
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[ListedPoint]:
        page = await self.next()
        if page is None:
            raise StopAsyncIteration
        return page

    async def next(self) -> list[ListedPoint] | None:
        """Return the next page; None behind the last one."""
        if self._ended:
            return None
        page, self._cursor = await self._finding.page(
            self._name, limit=self._limit, cursor=self._cursor, filters=self._filters, fields=self._fields
        )
        self._ended = self._cursor is None
        return page


def _shown(payload: models.Payload | None) -> dict[str, Any]:
    return {name: value for name, value in (payload or {}).items() if name not in HELPERS}
