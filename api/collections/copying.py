"""Copies points from collection to collection, and unites the paths of those that both have."""

from collections.abc import Sequence
from typing import Any

from api.schemas.replay import Run
from api.view.view import JobView
from core.errors import RequestError
from gateways.qdrant import CollectionInfo, Point, Qdrant
from gateways.targets import Targets
from rules.many_paths import MORE_PATHS, listed
from rules.payload import FIELDS_READ_BACK, REVISION, merge, was_read_later, with_paths

POINTS_AT_ONCE = 100


class Copier:
    """Fills collections from others; these stay as they are."""

    def __init__(self, qdrant: Qdrant, targets: Targets, view: JobView) -> None:
        self._qdrant = qdrant
        self._targets = targets
        self._view = view

    async def prepare(self, sources: Sequence[str], target: str) -> CollectionInfo:
        """Return the target, created if it is new.

        Raises RequestError: 409 where the collections hold vectors of several models, or a job writes to the target;
        422 for a wrong name. CollectionMissingError for a source that does not exist; QdrantUnavailableError.
        """
        infos = [await self._qdrant.existing_collection(name) for name in sources]
        models = {(info.model_id, info.dimension) for info in infos}
        model_id, dimension = next(iter(models))
        if len(models) > 1 or model_id is None:
            raise RequestError(
                f"The vectors of {', '.join(sources)} are not of one model that Darkroom knows: they cannot be in one "
                "collection.",
                409,
            )
        # The store stage reads the paths of a point before it writes them, as is done here: one would lose.
        async for job in self._view.unfinished():
            if job.collection == target:
                raise RequestError(f"Job {job.job_id} takes pictures into {target!r}: wait for its end.", 409)
        return await self._targets.ensure(target, model_id, dimension)

    async def merge(self, sources: Sequence[str], target: str, progress: Run) -> None:
        """Copy all points of the sources.

        Raises CollectionMissingError, QdrantUnavailableError; RequestError(409) where the target is of another model
        by now.
        """
        progress.total = sum([await self._qdrant.count(name) for name in sources])
        into = await self._qdrant.existing_collection(target)
        for name in sources:
            async for page in self._qdrant.pages(name, limit=POINTS_AT_ONCE):
                if (now := await self._qdrant.existing_collection(target)).model_id != into.model_id:
                    raise RequestError(
                        f"Collection {target!r} was embedded anew meanwhile, with {now.model_id}: merge again.", 409
                    )
                progress.published += await self.copy(name, target, [record.id for record in page])
                progress.read += len(page)

    async def select(self, source: str, target: str, ids: Sequence[str]) -> None:
        """Copy these points. Raises RequestError(404), with nothing copied, where one does not exist."""
        found = await self._qdrant.payloads(source, ids, ["filename"])
        missing = next((one for one in ids if one not in found), None)
        if missing is not None:
            raise RequestError(f"There is no picture {missing} in collection {source!r}: nothing was copied.", 404)
        for start in range(0, len(ids), POINTS_AT_ONCE):
            await self.copy(source, target, ids[start : start + POINTS_AT_ONCE])

    async def copy(self, source: str, target: str, ids: Sequence[str]) -> int:
        """Copy some points, in one request; return how many."""
        points = left = await self._qdrant.points(source, ids)
        while left:
            others = await self._unite(target, left)
            left = [point for point in left if point.id in others]
        for point in points:
            async for paths in self._qdrant.other_paths(source, point.payload):
                await self._add(target, point.id, paths)
        return len(points)

    async def _unite(self, target: str, points: Sequence[Point]) -> set[str]:
        """Unite points with those of the target; return those that were written by another one meanwhile."""
        known = await self._qdrant.payloads(target, [point.id for point in points], list(FIELDS_READ_BACK))
        later = [point.id for point in points if was_read_later(known.get(point.id, {}), point.payload)]
        kept = {point.id: point for point in await self._qdrant.points(target, later)}
        merged = [
            Point(point.id, kept[point.id].vector, with_paths(kept[point.id].payload, point.payload))
            if point.id in kept
            else Point(point.id, point.vector, _merged(known.get(point.id, {}), point.payload))
            for point in points
        ]
        return await self._qdrant.replace(target, merged, known)

    async def _add(self, target: str, point_id: str, paths: Sequence[str]) -> None:
        """Add further paths to a point of the target, also where another one writes to it meanwhile."""
        fields = ["paths", MORE_PATHS, "full_path", REVISION]
        while (known := (await self._qdrant.payloads(target, [point_id], fields)).get(point_id)) is not None:
            if await self._qdrant.change(target, point_id, {"paths": [*listed(known), *paths]}, known):
                return


def _merged(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Unite what Darkroom wrote; what another program wrote is copied as it is."""
    if isinstance(new.get("paths"), list) and isinstance(new.get("filename"), str):
        return merge(known, new)
    return new
