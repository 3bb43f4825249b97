"""Pictures without any path: which these are, and what a person says about their purge."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from api.schemas.forgetting import GonePicture
from core.errors import RequestError
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import ALL_GONE
from rules.gone import keep_until, purge_at
from rules.payload import GONE_AT, KEEP_UNTIL, REVISION

POINTS_AT_ONCE = 1000
Until = Callable[[Mapping[str, Any]], str | None]
"""From a payload: until when it is kept."""
_FIELDS = ["filename", "full_path", "file_hash", GONE_AT, KEEP_UNTIL, REVISION]


class Kept(NamedTuple):
    """How many pictures have another time of purge now; and which, where they were named."""

    total: int
    pictures: list[GonePicture]


class GonePictures:
    """Lists them, and writes into each point how long it is kept."""

    def __init__(self, qdrant: Qdrant, after_days: float) -> None:
        self._qdrant = qdrant
        self._after_days = after_days

    async def page(
        self, collection: str, *, limit: int, cursor: str | None
    ) -> tuple[list[GonePicture], int, str | None]:
        """Return a page, those that have gone last first; the number of all; and the cursor of the next page."""
        total = await self._qdrant.count(collection, ALL_GONE)
        records, following = await self._qdrant.page(
            collection, limit=limit, cursor=cursor, filters=ALL_GONE, sort=f"-{GONE_AT}"
        )
        return [self._described(record.id, record.payload) for record in records], total, following

    async def keep_many(self, collection: str, points: Sequence[str] | None, days: int | None) -> Kept:
        """Put off the purge of pictures by so many days (None: for ever). `points` None: of all that are gone.

        Pictures that are not gone, or not there, are passed over.
        """
        now = datetime.now(UTC)
        return await self._write_many(
            collection, points, lambda known: keep_until(known, self._after_days, days, now).isoformat()
        )

    async def release_many(self, collection: str, points: Sequence[str] | None) -> Kept:
        """Take back what `keep_many` has put off, of the same pictures."""
        return await self._write_many(collection, points, lambda _: None)

    async def keep(self, collection: str, point: str, days: int | None) -> GonePicture:
        """Put off the purge of a picture by so many days; None: for ever. Raises RequestError(404, 409)."""
        return await self._write(
            collection, point, lambda known: keep_until(known, self._after_days, days, datetime.now(UTC)).isoformat()
        )

    async def release(self, collection: str, point: str) -> GonePicture:
        """Take back what `keep` has put off. Raises RequestError(404, 409)."""
        return await self._write(collection, point, lambda _: None)

    async def _write_many(self, collection: str, points: Sequence[str] | None, until: Until) -> Kept:
        if points is not None:
            written = await self._write_all(collection, points, until)
            return Kept(len(written), written)
        count = 0
        async for page in self._qdrant.pages(collection, limit=POINTS_AT_ONCE, filters=ALL_GONE):
            count += len(await self._write_all(collection, [record.id for record in page], until))
        return Kept(count, [])

    async def _write_all(self, collection: str, points: Sequence[str], until: Until) -> list[GonePicture]:
        written: list[GonePicture] = []
        left: Collection[str] = points
        while left:
            known = await self._qdrant.payloads(collection, [*left], _FIELDS)
            gone = {point: payload for point, payload in known.items() if payload.get(GONE_AT) is not None}
            fields = {point: {KEEP_UNTIL: until(payload)} for point, payload in gone.items()}
            # Whoever brings one back, or purges it, writes the point too.
            left = await self._qdrant.change_all(collection, fields, gone)
            written += [self._described(point, {**gone[point], **fields[point]}) for point in gone if point not in left]
        return written

    async def _write(self, collection: str, point: str, until: Until) -> GonePicture:
        while True:
            known = (await self._qdrant.payloads(collection, [point], _FIELDS)).get(point)
            if known is None:
                raise RequestError(f"There is no picture {point} in collection {collection!r}.", 404)
            if known.get(GONE_AT) is None:
                raise RequestError(f"Picture {point} is not gone: it has a file, and nothing purges it.", 409)
            fields = {KEEP_UNTIL: until(known)}
            # Whoever brings it back, or purges it, writes the point too.
            if await self._qdrant.change(collection, point, fields, known):
                return self._described(point, {**known, **fields})

    def _described(self, point: str, payload: Mapping[str, Any]) -> GonePicture:
        at = purge_at(payload, self._after_days)
        return GonePicture(
            id=point,
            sha256=payload["file_hash"],
            filename=payload["filename"],
            path=payload["full_path"],
            gone_at=payload[GONE_AT],
            purge_at=None if at is None else at.isoformat(timespec="seconds"),
            kept=payload.get(KEEP_UNTIL) is not None,
        )
