"""Pictures without any path: which these are, and what a person says about their purge."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from api.schemas.forgetting import GonePicture
from core.errors import RequestError
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import ALL_GONE
from rules.gone import keep_until, purge_at
from rules.payload import GONE_AT, KEEP_UNTIL, REVISION

_FIELDS = ["filename", "full_path", "file_hash", GONE_AT, KEEP_UNTIL, REVISION]


class GonePictures:
    """Lists them, and writes how long they are kept: into the point itself, so that it goes with it."""

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

    async def keep(self, collection: str, point: str, days: int | None) -> GonePicture:
        """Have a picture purged so many days later; None: never. Raises RequestError(404, 409)."""
        return await self._write(
            collection, point, lambda known: keep_until(known, self._after_days, days, datetime.now(UTC)).isoformat()
        )

    async def release(self, collection: str, point: str) -> GonePicture:
        """Have a picture purged when it would have been by itself. Raises RequestError(404, 409)."""
        return await self._write(collection, point, lambda _: None)

    async def _write(self, collection: str, point: str, until: Any) -> GonePicture:
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
