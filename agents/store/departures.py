"""Takes paths from points in Qdrant, as they leave: store's part in a sync. Doing it twice is doing it once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from agents.stage import StageApp
from core import failpoints
from core.errors import CollectionMissingError, DrainingError, FatalError
from rules.batching import halves
from rules.identity import point_id
from rules.many_paths import MAX_PATHS, MORE_PATHS
from rules.payload import REVISION, without_paths
from streams.item import Item
from topics.db_write import DB_WRITE
from topics.departure import Left

_OfContent = Sequence[Item[Left]]
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
        await self._take([*by_content.values()])
        for _ in items:
            failpoints.reach("store-left")

    async def _take(self, contents: Sequence[_OfContent]) -> None:
        """Take what leaves of contents; where Qdrant refuses, of half as many, until the guilty one stands alone."""
        job_ids = {item.record.job_id for items in contents for item in items}
        try:
            await self._stage.persist(job_ids, lambda: self._change_all(contents))
        except CollectionMissingError:
            return  # nothing is in it any more
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            if len(contents) > 1:
                for half in halves(contents):
                    await self._take(half)
                return
            for item in contents[0]:
                await self._stage.reject_file(DB_WRITE, item, error)

    async def _change_all(self, contents: Sequence[_OfContent]) -> None:
        # Also the generation that is being filled with vectors of another model.
        for address in await self._qdrant.addresses(contents[0][0].record.collection):
            await self._change(address, contents)

    async def _change(self, collection: str, contents: Sequence[_OfContent]) -> None:
        left = {point_id(items[0].record.sha256): items for items in contents}
        # Also where a job writes to a point meanwhile.
        while left:
            known = await self._qdrant.payloads(collection, [*left], FIELDS)
            fields = {
                point: await self._fields(collection, known[point], left[point]) for point in left if point in known
            }
            others = await self._qdrant.change_all(collection, fields, known)
            left = {point: items for point, items in left.items() if point in others}

    async def _fields(self, collection: str, known: Mapping[str, Any], items: _OfContent) -> dict[str, Any]:
        """Return the fields of a point that change; what stands beside it is taken away."""
        gone = {item.record.path for item in items}
        at = datetime.fromtimestamp(items[-1].event.message.timestamp, UTC).isoformat(timespec="seconds")
        for path in sorted(gone):
            await self._qdrant.remove_other_path(collection, known, path)
        fields = without_paths(known, gone, at=at)
        if fields["paths"] or MORE_PATHS not in known:
            return fields
        # Those beside it take the place of what stood in the point.
        others, _ = await self._qdrant.paths_page(collection, {**known, "paths": []}, limit=MAX_PATHS)
        return without_paths(known, gone, others, at=at)
