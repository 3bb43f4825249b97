"""Takes paths from points in Qdrant, as they leave: store's part in a sync. Doing it twice is doing it once."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from agents.stage import StageApp
from core import failpoints
from core.errors import CollectionMissingError, DrainingError, FatalError
from rules.identity import point_id
from rules.many_paths import MAX_PATHS, MORE_PATHS
from rules.payload import REVISION, without_paths
from streams.item import Item
from topics.db_write import DB_WRITE
from topics.departure import Left

FIELDS = ["paths", MORE_PATHS, "full_path", "filename", REVISION]

log = structlog.get_logger()


class LeavingPaths:
    """Takes them away, many points at once."""

    def __init__(self, stage: StageApp) -> None:
        self._stage = stage
        self._qdrant = stage.services.qdrant

    async def take(self, items: Sequence[Item[Left]]) -> None:
        """Take the paths of these messages, of one collection, from their points, and wait until Qdrant confirms."""
        by_content: defaultdict[str, list[Item[Left]]] = defaultdict(list)
        for item in items:
            by_content[item.record.sha256].append(item)
        await asyncio.gather(*map(self._take_of, by_content.values()))
        for _ in items:
            failpoints.reach("store-left")

    async def _take_of(self, items: list[Item[Left]]) -> None:
        job_ids = {item.record.job_id for item in items}
        try:
            await self._stage.persist(job_ids, lambda: self._change_all(items))
        except CollectionMissingError:
            return  # nothing is in it any more
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            for item in items:
                await self._stage.reject_file(DB_WRITE, item, error)

    async def _change_all(self, items: list[Item[Left]]) -> None:
        # Also the generation that is being filled with vectors of another model.
        for address in await self._qdrant.addresses(items[0].record.collection):
            await self._change(address, items)

    async def _change(self, collection: str, items: list[Item[Left]]) -> None:
        point = point_id(items[0].record.sha256)
        gone = {item.record.path for item in items}
        at = datetime.fromtimestamp(items[-1].event.message.timestamp, UTC).isoformat(timespec="seconds")
        # Also where a job writes to the point meanwhile.
        while (known := (await self._qdrant.payloads(collection, [point], FIELDS)).get(point)) is not None:
            for path in sorted(gone):
                await self._qdrant.remove_other_path(collection, known, path)
            fields = without_paths(known, gone, at=at)
            if not fields["paths"]:
                # Those beside it take the place of what stood in the point.
                others, _ = await self._qdrant.paths_page(collection, known | {"paths": []}, limit=MAX_PATHS)
                fields = without_paths(known, gone, others, at=at)
            if await self._qdrant.change(collection, point, fields, known):
                return
