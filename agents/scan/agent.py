"""scan: walks the folders of a request and publishes their photographs, never too many at a time.

scan-request → raw-path, and a sentinel on each of its partitions at the end. A redelivered request is walked again
under a new walk id; equal paths have equal file ids, so nothing counts twice. A redelivered request about a source is
left out where its job has ended.
"""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import structlog

from agents.collections import WritableCollections
from agents.leaving_out import Chosen
from agents.patience import answered
from agents.rereading import Published
from agents.roots import allowed_roots
from agents.scan.outcomes_watch import OutcomesWatch
from agents.scan.planning import chosen_of, places_of
from agents.scan.publishing import PublishingWalk
from agents.scan.reembedding import Reembedding
from agents.scan.sources.looks import SourceLooks
from agents.scan.sources.purging import Purging
from agents.scan.sources.schedule import Schedule
from agents.scan.sources.watchers import Watchers
from agents.scan.throttle import Places, Throttle, check_goes_on
from agents.stage import Services, StageApp, now
from core import failpoints
from core.errors import DrainingError, FatalError, PartitionRevokedError, RequestError
from gateways.kafka.connection import client_options
from gateways.qdrant.filters import Filters
from rules.identity import new_id
from streams.item import Item
from streams.messages import Event
from streams.rejecting import explain
from streams.window import Window
from topics import job_event
from topics.job_event import JobFailed, Scanning
from topics.raw_path import RAW_PATH
from topics.record import Headers
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.sentinel import sentinel_headers
from topics.sources import Sources
from topics.sweep import Sweep

WALKS_AT_ONCE = 64
# Including those whose job is paused: these, and all that is behind them, are walked again when a worker starts anew.
REQUESTS_AT_ONCE = 256

log = structlog.get_logger()


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("scan", services, datadir)
    kafka = client_options(services.settings)
    outcomes = OutcomesWatch(kafka, services.settings.kafka_partitions, services.stop)
    stage.app.task(outcomes.run)
    sources = Sources(kafka, services.settings.kafka_partitions)
    stage.app.task(sources.run)
    watchers = Watchers(services.settings, services.stop)
    stage.app.task(Schedule(stage, sources, watchers).run)
    stage.app.task(Purging(stage).run)
    collections = WritableCollections(services.qdrant, services.ml, services.settings)
    scanner = _Scanner(stage, collections, outcomes, SourceLooks(stage, sources), watchers)
    stage.consume(SCAN_REQUEST.name, scanner.take, window=REQUESTS_AT_ONCE)
    return stage


class _Plan(NamedTuple):
    """What a request asks to be walked: what is left out, the folders and files, and the model of the job's files."""

    chosen: Chosen
    sources: list[bytes]
    model_id: str


class _Scanner:
    def __init__(
        self,
        stage: StageApp,
        collections: WritableCollections,
        outcomes: OutcomesWatch,
        looks: SourceLooks,
        watchers: Watchers,
    ) -> None:
        self._looks = looks
        self._watchers = watchers
        self._stage = stage
        self._services = stage.services
        self._collections = collections
        # What the end markers of a walk that was not made count: nothing, as files of an earlier walk may be there.
        self._uncounted: list[int | None] = [None] * self._services.settings.kafka_partitions
        self._outcomes = outcomes
        self._places = Places(WALKS_AT_ONCE)

    async def take(self, event: Event, window: Window) -> None:
        """Take a request."""
        request = SCAN_REQUEST.decode(event.value or b"")
        item = self._stage.item(event, request, Headers.decode(event.message.headers))
        await window.add(event, self._in_its_turn(item))

    async def _in_its_turn(self, item: Item[ScanRequest]) -> None:
        """Scan when there is a place for one more walk."""
        event = item.event
        while not self._places.take(event):
            check_goes_on(self._stage, event)
            await self._services.jobs.changed(seconds=1.0)
        try:
            await self._scan(item)
        finally:
            self._places.leave(event)

    async def _scan(self, item: Item[ScanRequest]) -> None:
        """Walk a request to its end and seal it. A request that cannot be walked fails its job."""
        request = item.record
        job_id, walk_id = request.job_id, new_id()
        with structlog.contextvars.bound_contextvars(job_id=job_id, stage="scan"):
            if self._services.jobs.has_ended(job_id) and not item.headers.replay:
                # A kill repeats it: what is new now would come by a look that is over, and a move would be none.
                log.info("look-has-ended")
                return
            if self._services.jobs.is_cancelled(job_id):
                await self._seal(job_id, walk_id, self._uncounted)
                return
            try:
                plan = await self._plan(request)
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                if request.source is None:  # a source is looked at again: the job says why, until the next look is well
                    await self._stage.reject(item.event, error)
                await self._fail(request, error)
                # An earlier walk of this request may have published files: the job ends after these.
                await self._seal(job_id, walk_id, self._uncounted)
                return
            await self._walk(item, walk_id, plan)

    async def _plan(self, request: ScanRequest) -> _Plan:
        """Return what is walked, with the collection there to take it. Raises what makes a walk impossible."""
        settings = self._services.settings
        await self._looks.check(request)
        allowed_roots(request.roots, settings)  # or it walks nothing
        chosen = chosen_of(request, settings)
        sources = await answered(", ".join(request.sources), settings.file_timeout_seconds, places_of, request)
        return _Plan(chosen, sources, await self._model_id(request))

    async def _walk(self, item: Item[ScanRequest], walk_id: str, plan: _Plan) -> None:
        """Publish what a walk finds, say how it ended, and seal it."""
        request = item.record
        await self._stage.emit(
            Scanning(
                job_id=request.job_id,
                at=now(),
                collection=request.collection,
                sources=request.folders,
                caption=request.caption,
                model_id=plan.model_id,
                reread=request.reread,
                task=request.task,
                walk_id=walk_id,
                exclude=request.exclude,
                source=request.source,
                counted=True,
            )
        )
        log.info("scan-begun", walk_id=walk_id, sources=request.sources)
        mounts = await self._looks.mounts(request)
        walked = await self._publish(item, walk_id, plan)
        if walked.why_not_whole is not None:
            await self._fail(request, walked.why_not_whole)
        failpoints.reach("scan-walked")
        if walked.left_out.files:
            await self._stage.emit(
                job_event.LeftOut(job_id=request.job_id, at=now(), walk_id=walk_id, **asdict(walked.left_out))
            )
        sweep = None
        if mounts is not None and walked.is_whole:
            asked_at = item.event.message.timestamp
            sweep = await self._looks.sweep_behind(request, walk_id, mounts, walked.links, asked_at=asked_at)
        await self._seal(request.job_id, walk_id, walked.per_partition, sweep)
        log.info("scan-done", walk_id=walk_id, files=walked.sent)

    async def _publish(self, item: Item[ScanRequest], walk_id: str, plan: _Plan) -> PublishingWalk:
        """Publish the files of a walk, of folders or of a collection; return the walk as it ended."""
        request = item.record
        async with self._outcomes.walk(request.job_id) as outstanding:
            throttle = Throttle(self._stage, item.event, request.job_id, outstanding, self._places)
            walked = PublishingWalk(
                self._stage,
                item,
                outstanding,
                plan.chosen,
                throttle=throttle,
                walk_id=walk_id,
                model_id=plan.model_id,
            )
            if request.task == "reembed":
                # A replay would give the collection a model that it may have left since.
                if not item.headers.replay:
                    await self._reembed(item, walked, throttle)
            elif not plan.sources:
                filters: Filters | None = {"caption": None} if request.task == "caption" else None
                with closing(Published()) as published:
                    await walked.walk_collection(published, filters=filters)
            await walked.walk(plan.sources, self._watchers.walk(request))
        return walked

    async def _model_id(self, request: ScanRequest) -> str:
        """Return the model of a job's files, with the collection there to take them."""
        if request.task == "reembed":
            if request.model_id is None:
                raise RequestError("A collection is embedded anew with a model, which the request does not name.")
            return request.model_id
        return await self._stage.persist(
            [request.job_id],
            lambda: self._collections.ensure(request.job_id, request.collection, request.model_id),
        )

    async def _reembed(self, item: Item[ScanRequest], walked: PublishingWalk, throttle: Throttle) -> None:
        """Embed a collection anew; where that cannot be done, the job fails."""
        request = item.record
        try:
            await Reembedding(self._stage, request, walked, throttle).run()
        except (DrainingError, FatalError, PartitionRevokedError):
            raise
        except Exception as error:
            await self._fail(request, error)

    async def _fail(self, request: ScanRequest, error: Exception) -> None:
        """Have a job fail; what it has published already goes on."""
        log.warning("scan-failed", reason=str(error))
        await self._stage.emit(
            JobFailed(job_id=request.job_id, at=now(), collection=request.collection, reason=explain(error))
        )

    async def _seal(
        self, job_id: str, walk_id: str, per_partition: Sequence[int | None], sweep: Sweep | None = None
    ) -> None:
        behind = [] if sweep is None else [sweep.header_of_end()]
        deliveries = [
            await self._stage.send_raw(
                RAW_PATH.name, job_id.encode(), None, [*sentinel_headers(job_id, walk_id, files), *behind], partition
            )
            for partition, files in enumerate(per_partition)
        ]
        await asyncio.gather(*deliveries)
