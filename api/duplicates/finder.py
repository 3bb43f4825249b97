"""Looks through a collection for pictures that look alike and for contents with several copies."""

import time
from dataclasses import dataclass

from api.duplicates.grouping import Groups
from api.duplicates.reports import Group, Likeness, Report, Reports
from api.schemas.replay import Run
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import Filters

POINTS_AT_ONCE = 16
"""Compared in one request: a vector store without an index reads every vector for it, and nobody else is served."""
NEIGHBOURS = 20
"""Of one picture; what else looks like them all is found from those."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A report that is being made."""

    progress: Run
    collection: str
    threshold: float


class Finder:
    """Makes reports. What it holds in memory grows with the pictures that look alike, not with the collection."""

    def __init__(self, qdrant: Qdrant, reports: Reports) -> None:
        self._qdrant = qdrant
        self._reports = reports
        self.under_way: UnderWay | None = None

    async def run(self, collection: str, threshold: float, filters: Filters, progress: Run) -> None:
        """Make the report with the run's id. Raises CollectionMissingError, QdrantUnavailableError."""
        self.under_way = UnderWay(progress, collection, threshold)
        try:
            await self._run(self.under_way, filters)
        finally:
            self.under_way = None

    async def _run(self, begun: UnderWay, filters: Filters) -> None:
        progress, collection = begun.progress, begun.collection
        progress.total = await self._qdrant.count(collection, filters)
        exact: list[Group] = []
        alike = Groups()
        async for page in self._qdrant.pages(collection, limit=POINTS_AT_ONCE, filters=filters):
            exact += [
                Group("exact", [Likeness(record.id, 1.0)])
                for record in page
                if await self._qdrant.count_paths(collection, record.payload) > 1
            ]
            ids = [record.id for record in page]
            found = await self._qdrant.neighbours(
                collection, ids, limit=NEIGHBOURS, min_score=begun.threshold, filters=filters
            )
            for one, neighbours in found.items():
                for other, score in neighbours:
                    alike.join(one, other, score)
            progress.read += len(page)
        similar = [Group("similar", [Likeness(one, score) for one, score in members]) for members in alike.groups()]
        progress.published = len(exact) + len(similar)
        report = Report(progress.id, time.time(), collection, begun.threshold, progress.read)
        await self._reports.keep(report, [*exact, *similar])
