"""scan: walks the folders of a request and publishes their photographs, never too many at a time.

scan-request → raw-path, and a sentinel on each of its partitions at the end. A redelivered request
is walked again under a new walk id; equal paths have equal file ids, so nothing counts twice.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import structlog

from agents.collections import WritableCollections
from agents.leaving_out import Chosen, LeftOut, total
from agents.outcomes_watch import OutcomesWatch, Outstanding
from agents.rereading import Published, file_of, files_of
from agents.roots import allowed_roots
from agents.stage import Services, StageApp, now
from agents.throttle import Places, Throttle, check_goes_on
from agents.walking import Found, Refused, Walked, walk
from core import failpoints, tracing
from core.errors import CollectionMissingError, DrainingError, FatalError, FileError, RequestError
from core.settings import Settings
from gateways.kafka.connection import client_options
from imaging.files import FileStamp, Roots
from rules import paths as paths_of
from rules.identity import file_ids, new_id
from rules.leaving_out import Patterns
from rules.many_paths import MORE_PATHS
from rules.paths import normal, to_wire
from streams.item import Item
from streams.messages import Event
from streams.rejecting import explain
from streams.window import Window
from topics import job_event
from topics.bundle import Own, alike_of
from topics.job_event import JobFailed, Scanning
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.sentinel import sentinel_headers

WALKS_AT_ONCE = 64
# With those whose job is paused: these are walked again, and all that is behind them, when a worker starts anew.
REQUESTS_AT_ONCE = 256
# Enough for full messages to all partitions.
ENTRIES_AT_ONCE = 2000
# A disk may be slow to list: the first photographs do not wait for the others.
LISTING_SECONDS = 0.05
POINTS_AT_ONCE = 100

log = structlog.get_logger()


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("scan", services, datadir)
    kafka = client_options(services.settings)
    outcomes = OutcomesWatch(kafka, services.settings.kafka_partitions, services.stop)
    stage.app.task(outcomes.run)
    scanner = _Scanner(stage, WritableCollections(services.qdrant, services.ml, services.settings), outcomes)
    stage.consume(SCAN_REQUEST.name, scanner.take, window=REQUESTS_AT_ONCE)
    return stage


class _Scanner:
    def __init__(self, stage: StageApp, collections: WritableCollections, outcomes: OutcomesWatch) -> None:
        self._stage = stage
        self._services = stage.services
        self._collections = collections
        # Of a walk that was not made: it says nothing about the files of an earlier one.
        self._uncounted: list[int | None] = [None] * self._services.settings.kafka_partitions
        self._outcomes = outcomes
        self._places = Places(WALKS_AT_ONCE)

    async def take(self, event: Event, window: Window) -> None:
        """Take a request."""
        request = SCAN_REQUEST.decode(event.value or b"")
        item = self._stage.item(event, request, Headers.decode(event.message.headers))
        await window.add(event, self._in_its_turn(item))

    async def _in_its_turn(self, item: Item[ScanRequest]) -> None:
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
        event, request = item.event, item.record
        with structlog.contextvars.bound_contextvars(job_id=request.job_id, stage="scan"):
            job_id = request.job_id
            walk_id = new_id()
            if self._services.jobs.is_cancelled(job_id):
                await self._seal(job_id, walk_id, self._uncounted)
                return
            try:
                allowed_roots(request.roots, self._services.settings)  # or it walks nothing
                chosen = _chosen(request, self._services.settings)
                sources = await asyncio.to_thread(outermost, request.sources)
                model_id = await self._stage.persist(
                    [job_id], lambda: self._collections.ensure(job_id, request.collection, request.model_id)
                )
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                log.warning("scan-failed", reason=str(error))
                await self._stage.reject(event, error)
                await self._stage.emit(
                    JobFailed(job_id=job_id, at=now(), collection=request.collection, reason=explain(error))
                )
                # An earlier walk of this request may have published files: the job ends after these.
                await self._seal(job_id, walk_id, self._uncounted)
                return
            await self._stage.emit(
                Scanning(
                    job_id=job_id,
                    at=now(),
                    collection=request.collection,
                    sources=request.folders,
                    caption=request.caption,
                    model_id=model_id,
                    reread=request.reread,
                    walk_id=walk_id,
                    exclude=request.exclude,
                    counted=True,
                )
            )
            log.info("scan-begun", walk_id=walk_id, sources=request.sources)
            async with self._outcomes.walk(job_id) as outstanding:
                throttle = Throttle(self._stage, event, job_id, outstanding, self._places)
                walked = _Walk(
                    self._stage, item, outstanding, chosen, throttle=throttle, walk_id=walk_id, model_id=model_id
                )
                if request.reread:
                    await walked.walk_collection()
                for source in sources:
                    await walked.walk(source)
            failpoints.reach("scan-walked")
            if walked.left_out.files:
                await self._stage.emit(
                    job_event.LeftOut(job_id=job_id, at=now(), walk_id=walk_id, **asdict(walked.left_out))
                )
            await self._seal(job_id, walk_id, walked.per_partition)
            log.info("scan-done", walk_id=walk_id, files=walked.sent)

    async def _seal(self, job_id: str, walk_id: str, per_partition: Sequence[int | None]) -> None:
        deliveries = [
            await self._stage.send_raw(
                RAW_PATH.name, job_id.encode(), None, sentinel_headers(job_id, walk_id, files), partition
            )
            for partition, files in enumerate(per_partition)
        ]
        await asyncio.gather(*deliveries)


class _Walk:
    """One walk over the folders of a request."""

    def __init__(
        self,
        stage: StageApp,
        item: Item[ScanRequest],
        outstanding: Outstanding,
        chosen: Chosen,
        *,
        throttle: Throttle,
        walk_id: str,
        model_id: str,
    ) -> None:
        self._stage = stage
        self._item = item
        self._request = item.record
        self._walk_id = walk_id
        self._model_id = model_id
        self._outstanding = outstanding
        self._chosen = chosen
        self.left_out = LeftOut(0, 0)
        self._throttle = throttle
        self.sent = 0
        self.per_partition = [0] * stage.services.settings.kafka_partitions

    async def walk(self, source: bytes) -> None:
        """Publish what is below one folder, and wait until it is delivered."""
        entries = walk(source, allowed_roots(self._request.roots, self._stage.services.settings), self._chosen)
        while room := await self._throttle.room():
            found = await asyncio.to_thread(_next, entries, min(room, ENTRIES_AT_ONCE))
            if not found:
                return
            left_out = [entry for entry in found if isinstance(entry, LeftOut)]
            self.left_out = total([self.left_out, *left_out])
            await self._take([entry for entry in found if not isinstance(entry, LeftOut)])

    async def walk_collection(self) -> None:
        """Publish a file of each point of the collection, and wait until it is delivered."""
        roots = allowed_roots(self._request.roots, self._stage.services.settings)
        qdrant, name = self._stage.services.qdrant, self._request.collection
        pages = qdrant.pages(name, limit=POINTS_AT_ONCE)
        with closing(Published()) as published:
            while await self._throttle.room():
                try:
                    page = await self._stage.persist([self._request.job_id], pages.next)
                except CollectionMissingError:
                    return  # it was deleted meanwhile, and has no further file
                if page is None:
                    return
                payloads = [await self._with_a_file(record.payload, roots) for record in page]
                await self._take(await asyncio.to_thread(files_of, payloads, roots, published))

    async def _with_a_file(self, payload: dict[str, Any], roots: Roots) -> dict[str, Any]:
        """Return the payload of a point: with paths beside it, where only one of those can be read."""
        if MORE_PATHS not in payload:
            return payload

        async def look() -> dict[str, Any]:
            async for paths in self._stage.services.qdrant.all_paths(self._request.collection, payload):
                beside = payload | {"paths": paths}
                if isinstance(await asyncio.to_thread(file_of, beside, roots), Found):
                    return beside
            return payload

        return await self._stage.persist([self._request.job_id], look)

    async def _take(self, entries: list[Found | Refused]) -> None:
        """Publish what was found, and end what ends here; wait until all of it is delivered."""
        self.sent += len(entries)
        refused = [self._refuse(entry) for entry in entries if isinstance(entry, Refused)]
        await asyncio.gather(self._publish([entry for entry in entries if isinstance(entry, Found)]), *refused)

    def _file(self, path: bytes, reread: str | None, stamp: FileStamp | None = None) -> RawPath:
        shown, path_b64 = to_wire(path)
        return RawPath(
            job_id=self._request.job_id,
            collection=self._request.collection,
            path=shown,
            path_b64=path_b64,
            caption=self._request.caption,
            model_id=self._model_id,
            roots=self._request.roots,
            reread=reread,
            size=stamp and stamp.size,
            mtime_ns=stamp and stamp.mtime_ns,
            walk_id=stamp and self._walk_id,
        )

    async def _refuse(self, entry: Refused) -> None:
        item = self._item.about(self._file(entry.path, entry.reread))
        if entry.outcome == "failed":
            await self._stage.fail(item, FileError(entry.reason))
        else:
            await self._stage.finish(item.record, entry.outcome, item.headers, reason=entry.reason)

    async def _publish(self, found: list[Found]) -> None:
        """Publish what was found. A file that says no more of itself than where it is costs no record."""
        own = {} if tracing.is_on() else {entry.path: own for entry in found if (own := _own(entry)) is not None}
        others = [entry for entry in found if entry.path not in own]
        if own:
            first = next(entry for entry in found if entry.path in own)
            file = self._file(first.path, None, first.stamp)
            self._outstanding.add(file_ids(file.job_id, file.collection, own))
            alike = alike_of(file, self._item.headers)
            for partition in await self._stage.send_alike(RAW_PATH, alike, [*own.values()]):
                self.per_partition[partition] += 1
        if others:
            await self._publish_records(others)

    async def _publish_records(self, found: list[Found]) -> None:
        files = [self._file(entry.path, entry.reread, entry.stamp) for entry in found]
        self._outstanding.add(file.file_id for file in files)
        with ExitStack() as spans:
            outgoing = []
            for file in files:
                named = {"job_id": file.job_id, "file_id": file.file_id, "path": file.path}
                cause = self._item.headers.traceparent
                traceparent = spans.enter_context(tracing.published(RAW_PATH.name, named, cause=cause))
                headers = file.headers(replace(self._item.headers, traceparent=traceparent))
                outgoing.append((file.path_bytes, file, headers))
            partitions = await self._stage.send_files(RAW_PATH, outgoing)
        for entry, partition in zip(found, partitions, strict=True):
            self.per_partition[partition] += entry.counts


def _own(entry: Found) -> Own | None:
    """Return what a file has of its own, None where that is more than a path that is text, and the stamp."""
    if entry.reread is not None or not entry.counts:
        return None
    try:
        path = entry.path.decode()
    except UnicodeDecodeError:
        return None
    fields = {"path": path, "size": entry.stamp.size, "mtime_ns": entry.stamp.mtime_ns}
    return Own(entry.path, orjson.dumps(fields))


def _chosen(request: ScanRequest, settings: Settings) -> Chosen:
    """Return what a walk leaves out. Raises RequestError for a pattern that is none."""
    try:
        patterns = Patterns(request.exclude)
    except ValueError as error:
        raise RequestError(f"What is to be left out has no pattern: {error}. Send it as .gitignore has it.") from error
    return Chosen(patterns, Patterns(settings.scan_exclude), frozenset(normal(os.fsencode(s)) for s in request.sources))


def _next(entries: Iterator[Walked], limit: int) -> list[Walked]:
    """Return the next entries, at most so many; at least one, if any is left. Blocks."""
    found: list[Walked] = []
    until = time.monotonic() + LISTING_SECONDS
    for entry in islice(entries, limit):
        found.append(entry)
        if time.monotonic() >= until:
            break
    return found


def outermost(sources: list[str]) -> list[bytes]:
    """Return the sources without those that lie inside another: each file is walked once.

    Raises RequestError for one that is missing or is not an absolute path. Blocks on the file system.
    """
    paths: set[bytes] = set()
    for source in sources:
        if not source.startswith("/"):
            raise RequestError(f"{source} is not an absolute path. Send the whole path from / on.")
        path = normal(os.fsencode(source))
        if not os.path.exists(path):  # noqa: PTH110 - bytes
            raise RequestError(f"{source} does not exist on the machine of the scan stage.")
        paths.add(path)
    return paths_of.outermost(paths)
