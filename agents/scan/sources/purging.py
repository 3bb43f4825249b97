"""Finds pictures that are due to be purged: a task of scan.

Of the workers, the one that has the partition of a collection's name on `scan-request` does it, as for sources. Where
that changes at this very moment two may: to ask for a purge twice is to ask for it once. The clock is read here alone:
what is asked for names the time since which the picture is gone, and the time that counts for now.
"""

import asyncio
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError

from agents.scan.sources.owning import owned
from agents.stage import StageApp, now
from core.errors import CollectionMissingError, RetryableError
from gateways.qdrant import BoundCollection, ListedPoint
from rules.gone import DAY_SECONDS
from rules.payload import GONE_AT, KEEP_UNTIL
from topics.erasure import Purge
from topics.image_outcome import IMAGE_OUTCOME
from topics.record import Headers

LOOK_SECONDS = 60.0
# A look asks for so many of a collection; those that are left are due at the next.
POINTS_AT_ONCE = 1000

log = structlog.get_logger()


class Purging:
    """Looks each minute, or oftener where pictures are kept for minutes only. `run` is a task."""

    def __init__(self, stage: StageApp) -> None:
        self._stage = stage
        self._qdrant = stage.services.qdrant
        self._kept_seconds = stage.services.settings.purge_after_days * DAY_SECONDS

    async def run(self) -> None:
        """Look until cancelled."""
        pause = min(LOOK_SECONDS, max(1.0, self._kept_seconds / 100))
        try:
            while True:
                try:
                    for name in owned(self._stage, await self._names()):
                        await self._ask_for(name)
                except (RetryableError, CollectionMissingError) as error:
                    log.info("purge-put-off", reason=str(error))
                await asyncio.sleep(pause)
        except Exception as error:
            self._stage.services.stop(error)

    async def _names(self) -> list[str]:
        return [info.name for info in await self._qdrant.collections() if isinstance(info, BoundCollection)]

    async def _ask_for(self, collection: str) -> None:
        at = now()
        gone = {"lt": _iso(at - self._kept_seconds)}
        for kept in (None, {"lte": _iso(at)}):
            points, _ = await self._qdrant.page(
                collection, limit=POINTS_AT_ONCE, filters={GONE_AT: gone, KEEP_UNTIL: kept}
            )
            due = [one for point in points if (one := _purge(collection, point, at)) is not None]
            deliveries = [await self._stage.send(IMAGE_OUTCOME, one.sha256, one, Headers()) for one in due]
            await asyncio.gather(*deliveries)
            if points:
                log.info("purge-asked", collection=collection, pictures=len(points))


def _purge(collection: str, point: ListedPoint, at: float) -> Purge | None:
    """Return what is asked of a point; None for one that another program has written, and that is no picture."""
    payload = point.payload
    try:
        return Purge(sha256=payload.get("file_hash"), collection=collection, gone_at=payload[GONE_AT], at=at)
    except ValidationError as error:
        log.warning("purge-impossible", collection=collection, point=point.id, reason=str(error))
        return None


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
