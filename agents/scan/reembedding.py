"""How a collection gets vectors of another model: the jobs of `darkroom reembed`. See docs/decisions/0069-reembed.md.

The new vectors go into the next generation of the collection, through all stages, while the former serves. The walk of
the job is a walk over what the next generation lacks, again and again until it lacks nothing, and no unfinished job
brings pictures of the former model. Then it switches, makes a last pass over what came in between, and takes the former
away. All of it may be done twice: a request that comes again goes on where the generations are.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import structlog

from agents.rereading import Published
from agents.scan.publishing import POINTS_AT_ONCE, PublishingWalk
from agents.scan.throttle import Throttle
from agents.stage import StageApp, now
from core import failpoints
from core.errors import MLUnavailableError, RequestError
from gateways.qdrant import BoundCollection, ListedPoint, Point
from gateways.qdrant.filters import ALL_GONE, Filters
from rules import reembedding as rules
from rules.many_paths import MORE_PATHS, listed
from topics.job_event import JobFailed, Step
from topics.scan_request import ScanRequest

# Longer than any process takes to notice a switch.
NOTICED_SECONDS = 3.0

T = TypeVar("T")

log = structlog.get_logger()


class Reembedding:
    """One walk of such a job."""

    def __init__(self, stage: StageApp, request: ScanRequest, walked: PublishingWalk, throttle: Throttle) -> None:
        self._stage = stage
        self._qdrant = stage.services.qdrant
        self._request = request
        self._name = request.collection
        self._model_id = str(request.model_id)
        self._walked = walked
        self._throttle = throttle
        self._step = ""
        self._told_at = 0.0

    async def run(self) -> None:
        """Do it, as far as it is not done. Raises RequestError, CollectionMissingError."""
        serving = await self._serving()
        with closing(Published()) as published, closing(Published()) as tried:
            if serving.model_id != self._model_id:
                switched = await self._fill_and_switch(serving, published, tried)
                if not switched:
                    return
            await self._follow_up(published, tried)
        serving = await self._serving()
        points = await self._persist(lambda: self._qdrant.count(self._name))
        of_model = await self._persist(lambda: self._qdrant.count(self._name, {"model_id": self._model_id}))
        await self._tell(rules.ended(self._name, self._model_id, points, of_model))

    async def _fill_and_switch(self, serving: BoundCollection, published: Published, tried: Published) -> bool:
        """Fill the next generation, and have it serve when it is whole; tell whether it does."""
        filling = await self._begin()
        await self._tell(rules.begun(serving.points, serving.model_id, self._model_id))
        while await self._pass(serving, filling, published, tried) or await self._others():
            pass
        if not await self._throttle.goes_on():
            return False
        missing = await self._missing(serving, filling)
        if missing and not self._request.accept_failed:
            reason = rules.stays(self._name, serving.model_id, self._model_id, len(missing))
            await self._stage.emit(
                JobFailed(job_id=self._request.job_id, at=now(), collection=self._name, reason=reason)
            )
            return False
        await self._copy(serving, filling, [*missing, *await self._missing(serving, filling, ALL_GONE)])
        failpoints.reach("reembed-filled")
        await self._persist(lambda: self._qdrant.switch(self._name, filling))
        log.info("reembed-switched", collection=self._name, model_id=self._model_id, without=len(missing))
        failpoints.reach("reembed-switched")
        return True

    async def _follow_up(self, published: Published, tried: Published) -> None:
        """Bring over what came into the former generation until everybody had noticed the switch, and take it away."""
        leaving = await self._persist(lambda: self._qdrant.leaving(self._name))
        if leaving is None:
            return
        await asyncio.sleep(NOTICED_SECONDS)
        serving = await self._serving()
        # Also where the job is cancelled now: what others bring is to stay, if without a vector.
        while await self._pass(leaving, serving, published, tried) or await self._others(is_switched=True):
            pass
        for filters in (None, ALL_GONE):
            await self._copy(leaving, serving, await self._missing(leaving, serving, filters))
        await self._persist(lambda: self._qdrant.drop_leaving(self._name))

    async def _begin(self) -> BoundCollection:
        ml, settings = self._stage.services.ml, self._stage.services.settings

        async def begin() -> BoundCollection:
            offered = await ml.capabilities(self._model_id)
            if offered.model_id != self._model_id:
                raise MLUnavailableError(f"ML serves model {offered.model_id}, not {self._model_id}.")
            return await self._qdrant.begin_filling(
                self._name,
                model_id=self._model_id,
                dimension=offered.embedding_dim,
                distance=settings.qdrant_distance_metric,
            )

        return await self._persist(begin)

    async def _serving(self) -> BoundCollection:
        info = await self._persist(lambda: self._qdrant.existing_collection(self._name))
        if not isinstance(info, BoundCollection):
            raise RequestError(f"Collection {self._name!r} was made by another program: nothing is known of its files.")
        return info

    async def _pass(
        self, source: BoundCollection, target: BoundCollection, published: Published, tried: Published
    ) -> bool:
        """Publish what one generation lacks of another, and wait for the outcomes; tell whether there was anything."""
        sent = self._walked.sent

        async def wanted(page: list[ListedPoint]) -> list[ListedPoint]:
            lacking = await self._lacking(source, target, page)
            return [point for point in lacking if await self._is_new(source, point, tried)]

        await self._walked.walk_collection(published, at=source.at, wanted=wanted)
        return await self._throttle.all_done() and self._walked.sent > sent

    async def _is_new(self, source: BoundCollection, point: ListedPoint, tried: Published) -> bool:
        paths = await self._persist(lambda: self._qdrant.count_paths(source.at, point.payload))
        return await asyncio.to_thread(tried.add, rules.version(point.id, point.payload, paths))

    async def _lacking(
        self, source: BoundCollection, target: BoundCollection, page: list[ListedPoint]
    ) -> list[ListedPoint]:
        """Return the points of a page that are not in another generation, or not with all their paths."""
        ids = [point.id for point in page]
        known = await self._persist(lambda: self._qdrant.payloads(target.at, ids, ["paths", MORE_PATHS]))
        lacking = []
        for point in page:
            lacks = True if point.id not in known else rules.lacks_paths(known[point.id], point.payload)
            if lacks is None:
                lacks = await self._persist(partial(self._has_fewer, source, target, point, known[point.id]))
            if lacks:
                lacking.append(point)
        return lacking

    async def _has_fewer(
        self, source: BoundCollection, target: BoundCollection, point: ListedPoint, known: dict[str, object]
    ) -> bool:
        wanted = await self._qdrant.count_paths(source.at, point.payload)
        return await self._qdrant.count_paths(target.at, known) < wanted

    async def _missing(
        self, source: BoundCollection, target: BoundCollection, filters: Filters | None = None
    ) -> list[str]:
        """Return the ids of the points that another generation does not have; those that are gone if asked for."""
        missing: list[str] = []
        pages = self._qdrant.pages(source.at, limit=POINTS_AT_ONCE, filters=filters)
        while page := await self._persist(pages.next):
            ids = [point.id for point in page]
            known = await self._persist(partial(self._qdrant.payloads, target.at, ids, ["paths"]))
            missing += [one for one in ids if one not in known]
        return missing

    async def _copy(self, source: BoundCollection, target: BoundCollection, ids: list[str]) -> None:
        """Bring points over that could not be embedded: with a vector that is near to nothing, and all else."""
        for start in range(0, len(ids), POINTS_AT_ONCE):
            await self._persist(partial(self._copy_some, source, target, ids[start : start + POINTS_AT_ONCE]))

    async def _copy_some(self, source: BoundCollection, target: BoundCollection, ids: list[str]) -> None:
        for point in await self._qdrant.points(source.at, ids):
            paths = [path async for some in self._qdrant.all_paths(source.at, point.payload) for path in some]
            payload = {name: value for name, value in point.payload.items() if name != MORE_PATHS}
            if listed(payload):
                payload |= {"paths": paths}
            await self._qdrant.replace(target.at, [Point(point.id, [0.0] * target.dimension, payload)], {})

    async def _others(self, *, is_switched: bool = False) -> bool:
        """Wait while jobs bring pictures of another model; tell whether there were any."""
        jobs = self._stage.services.jobs
        waited = False
        while others := rules.feeds(jobs.of_collection(self._name), self._request.job_id, self._model_id):
            if not await self._throttle.goes_on() and not is_switched:
                return False
            await self._tell(rules.waits(others))
            await jobs.changed(seconds=1.0)
            waited = True
        return waited

    async def _persist(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._stage.persist([self._request.job_id], attempt)

    async def _tell(self, step: str) -> None:
        """Say how far the job is; the same again once in a while, as a sign of life."""
        pause = self._stage.services.settings.stalled_after_seconds / 3
        if step == self._step and time.monotonic() - self._told_at < pause:
            return
        self._step, self._told_at = step, time.monotonic()
        await self._stage.emit(Step(job_id=self._request.job_id, at=now(), text=step))
