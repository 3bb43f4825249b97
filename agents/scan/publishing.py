"""What a scan publishes as it walks: each photograph that it finds, and the outcome of what ends here."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Any

import orjson

from agents.leaving_out import Chosen, LeftOut, total
from agents.patience import Signs, answered
from agents.rereading import Published, file_of, files_of
from agents.roots import allowed_roots
from agents.scan.outcomes_watch import Outstanding
from agents.scan.sources.watched_source import WatchedWalk
from agents.scan.throttle import Throttle
from agents.scan.walking import Found, Refused, Walked, walk_within
from agents.stage import StageApp
from core import tracing
from core.errors import CollectionMissingError, FileError
from gateways.qdrant import ListedPoint
from gateways.qdrant.filters import Filters
from imaging.files import FileStamp, Roots
from rules.identity import file_ids
from rules.many_paths import MORE_PATHS
from rules.paths import places_within, to_wire
from streams.item import Item
from streams.overlapping import Overlapping
from topics.bundle import Own, alike_of
from topics.raw_path import RAW_PATH, RawPath
from topics.scan_request import ScanRequest

# Enough for full messages to all partitions.
ENTRIES_AT_ONCE = 2000
# A disk may be slow to list: the first photographs do not wait for the others.
LISTING_SECONDS = 0.05
POINTS_AT_ONCE = 100
# Pieces of a walk whose messages are on their way while the next one is listed.
AT_ONCE = 4

Wanted = Callable[[list[ListedPoint]], Awaitable[list[ListedPoint]]]


class PublishingWalk:
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
        self.is_whole = True
        self.why_not_whole: FileError | None = None
        """Why it was cut off: the disk does not answer."""
        self._signs = Signs()
        self.links: set[bytes] = set()
        self.per_partition = [0] * stage.services.settings.kafka_partitions

    async def walk(self, sources: Sequence[bytes], watched: WatchedWalk | None = None) -> None:
        """Publish what is below folders, or at what was touched there, and wait until it is delivered.

        `watched`: their watcher, which knows which files are written to just now.
        """
        roots = allowed_roots(self._request.roots, self._stage.services.settings)
        touched = self._request.touched
        for source in sources:
            for place in places_within(source, touched) if touched else (source,):
                entries = walk_within(place, source, roots, self._chosen, self.links, signs=self._signs)
                await self._walk(os.fsdecode(source), entries, watched)
                if self.why_not_whole is not None:
                    return
        if watched is not None and self.is_whole and not touched:
            watched.is_whole()

    async def _walk(self, source: str, entries: Iterator[Walked], watched: WatchedWalk | None) -> None:
        patience = self._stage.services.settings.file_timeout_seconds
        async with Overlapping(AT_ONCE) as taking:
            while room := await self._throttle.room():
                limit = min(room, ENTRIES_AT_ONCE)
                try:
                    found = await answered(source, patience, _next, entries, limit, signs=self._signs)
                except FileError as error:
                    self.why_not_whole = error
                    break
                if not found:
                    return
                left_out = [entry for entry in found if isinstance(entry, LeftOut)]
                self.left_out = total([self.left_out, *left_out])
                # The disk is listed on meanwhile.
                told = [entry for entry in found if not isinstance(entry, LeftOut)]
                await taking.add(self._take(told if watched is None else watched.without_changing(told)))
            self.is_whole = False  # it was cut off

    async def walk_collection(
        self,
        published: Published,
        *,
        at: str | None = None,
        filters: Filters | None = None,
        wanted: Wanted | None = None,
    ) -> bool:
        """Publish a file of each point of the collection, and wait until it is delivered; tell whether it went through.

        `at`: the generation to walk. `wanted`: tells the points of a page that are; None: all.
        """
        roots = allowed_roots(self._request.roots, self._stage.services.settings)
        qdrant, name = self._stage.services.qdrant, at or self._request.collection
        pages = qdrant.pages(name, limit=POINTS_AT_ONCE, filters=filters)
        while await self._throttle.room():
            try:
                page = await self._stage.persist([self._request.job_id], pages.next)
            except CollectionMissingError:
                return True  # it was deleted meanwhile, and has no further file
            if page is None:
                return True
            points = page if wanted is None else await wanted(page)
            payloads = [await self._with_a_file(name, point.payload, roots) for point in points]
            await self._take(await asyncio.to_thread(files_of, payloads, roots, published, self._request.task))
        return False

    async def _with_a_file(self, name: str, payload: dict[str, Any], roots: Roots) -> dict[str, Any]:
        """Return the payload of a point: with paths beside it, where only one of those can be read."""
        if MORE_PATHS not in payload or self._request.task == "caption":
            return payload

        async def look() -> dict[str, Any]:
            async for paths in self._stage.services.qdrant.all_paths(name, payload):
                beside = payload | {"paths": paths}
                if isinstance(await asyncio.to_thread(file_of, beside, roots), Found):
                    return beside
            return payload

        return await self._stage.persist([self._request.job_id], look)

    def _take(self, entries: list[Found | Refused]) -> Coroutine[Any, Any, None]:
        """Count what was found as outstanding. Await the result to publish it, and report what ends here."""
        self.sent += len(entries)
        found = [entry for entry in entries if isinstance(entry, Found)]
        request = self._request
        self._outstanding.add(file_ids(request.job_id, request.collection, (entry.path for entry in found)))
        return self._deliver(found, [entry for entry in entries if isinstance(entry, Refused)])

    async def _deliver(self, found: list[Found], refused: list[Refused]) -> None:
        await asyncio.gather(self._publish(found), *map(self._refuse, refused))

    def _file(self, path: bytes, reread: str | None, stamp: FileStamp | None = None, *, kept: bool = False) -> RawPath:
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
            task=self._request.task,
            kept=kept or None,
            size=stamp and stamp.size,
            mtime_ns=stamp and stamp.mtime_ns,
            walk_id=stamp and self._walk_id,
            source=self._request.source,
            counted=stamp and True,
        )

    async def _refuse(self, entry: Refused) -> None:
        item = self._item.about(self._file(entry.path, entry.reread))
        # What a look at a source cannot read it tries again by itself, the next time.
        if entry.outcome == "failed" and self._request.source is None:
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
            alike = alike_of(file, self._item.headers)
            for partition in await self._stage.send_alike(RAW_PATH, alike, [*own.values()]):
                self.per_partition[partition] += 1
        if others:
            await self._publish_records(others)

    async def _publish_records(self, found: list[Found]) -> None:
        files = [self._file(entry.path, entry.reread, entry.stamp, kept=entry.kept) for entry in found]
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


def _next(entries: Iterator[Walked], limit: int) -> list[Walked]:
    """Return the next entries, at most so many; at least one, if any is left. Blocks."""
    found: list[Walked] = []
    until = time.monotonic() + LISTING_SECONDS
    for entry in islice(entries, limit):
        found.append(entry)
        if time.monotonic() >= until:
            break
    return found
