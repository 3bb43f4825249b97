"""store: upserts points in batches, and is the only one to say that a file is in the collection.

db-write → Qdrant; then, after Qdrant confirmed, the outcome on job-event, then image-outcome
`stored` (closes the claim and fills the cache, where the content is new), then the ack.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from agents.collections import KnownCollections
from agents.stage import Services, StageApp
from core import failpoints, tracing
from core.errors import CollectionMissingError, DrainingError, FatalError, FileError
from core.pace import Pace
from gateways.qdrant import Point
from rules import payload
from rules.batching import halves
from streams.item import Item
from streams.messages import Event
from streams.tasks import start
from streams.window import Permits, Window
from topics.db_write import DB_WRITE, DBWrite
from topics.image_outcome import Embedded, Stored
from topics.job_event import FileOutcome

MAX_BATCH_BYTES = 8 << 20
# Where messages come often, a batch waits so many times as long: its three requests cost as much for few points.
MUCH_TO_DO = 2.5


_Item = Item[DBWrite]


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("store", services, datadir)
    window = max(256, 3 * services.settings.qdrant_upsert_batch_size)
    storer = _Storer(stage)
    stage.consume_files(DB_WRITE, storer.take, end_marker=storer.end, window=window)
    return stage


class _Storer:
    def __init__(self, stage: StageApp) -> None:
        settings = stage.services.settings
        self._stage = stage
        self._qdrant = stage.services.qdrant
        self._collections = KnownCollections(stage.services.qdrant)
        self._pace = Pace()
        self._batcher = stage.batcher(
            self._store,
            size=lambda: settings.qdrant_upsert_batch_size,
            linger=lambda: settings.qdrant_batch_linger_seconds * (MUCH_TO_DO if self._pace.is_high else 1.0),
            # One at a time: the union of `paths` reads before it writes. It is told of while the next one is stored.
            in_flight=1,
            max_bytes=MAX_BATCH_BYTES,
        )

    async def take(self, items: list[_Item], window: Window) -> None:
        """Take points."""
        event, of = items[0].event, items[0].of
        permits = Permits(len(items), of)
        self._pace.note()
        stored = self._batcher.add_together(items, len(event.value) * len(items) // of)
        for one in stored:
            one.add_done_callback(lambda _: permits.release())
        await window.add(event, _wait(stored), permits=permits)

    async def end(self, event: Event, window: Window) -> None:
        """Take an end marker, which asks for no more waiting."""
        self._stage.flush()
        await window.add(event, _nothing())

    async def _store(self, items: list[_Item]) -> Awaitable[Any]:
        """Store a batch; await the result to know that all that follows from it is delivered."""
        by_collection: dict[str, list[_Item]] = {}
        for item in items:
            by_collection.setdefault(item.record.collection, []).append(item)
        # A collection that is slow holds up no other. One that cannot go on leaves none behind in work.
        ends = await asyncio.gather(
            *(self._store_in(collection, group) for collection, group in by_collection.items()), return_exceptions=True
        )
        follows = asyncio.gather(*(end for end in ends if isinstance(end, asyncio.Task)))
        errors = [end for end in ends if isinstance(end, BaseException)]
        if errors:
            await follows
        for error in sorted(errors, key=lambda error: isinstance(error, DrainingError)):
            raise error
        return follows

    async def _store_in(self, collection: str, items: list[_Item]) -> "asyncio.Task[None] | None":
        """Store points of one collection; return what tells of them, unless that has ended."""
        jobs = {item.record.job_id for item in items}
        with structlog.contextvars.bound_contextvars(job_ids=sorted(jobs), stage="store"):
            try:
                incarnation, unchanged = await self._stage.persist(jobs, lambda: self._upsert(collection, items))
            except CollectionMissingError:
                error = FileError(f"Collection {collection} was deleted while the job ran. Run the job again.")
                await asyncio.gather(*(self._fail(item, error) for item in items))
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                if len(items) == 1:
                    await self._fail(items[0], error)
                    return None
                for half in halves(items):
                    if (told := await self._store_in(collection, list(half))) is not None:
                        await told
            else:
                return start(self._confirm(items, incarnation, unchanged))
        return None

    async def _upsert(self, collection: str, items: list[_Item]) -> tuple[str, set[str]]:
        """Upsert, and return the incarnation of the collection as it was before: an older one is safe.

        Also the ids of files that were read again, and found to be stored as they are already.
        """
        since = time.monotonic() if any(item.headers.replay for item in items) else 0.0
        incarnation = await self._collections.incarnation(items[0].record.job_id, collection, since=since)
        if incarnation is None:
            raise CollectionMissingError(collection)
        unchanged: set[str] = set()
        # A point that somebody else has written since it was read, such as a worker that has lost the partition and
        # does not know it yet, is read again.
        left = items
        while left:
            others = await self._write(collection, left, unchanged)
            left = [item for item in left if item.record.point_id in others]
        return incarnation, unchanged

    async def _write(self, collection: str, items: list[_Item], unchanged: set[str]) -> set[str]:
        """Unite the points with what is stored of them. Return those that were written by another one meanwhile."""
        ids = list({item.record.point_id for item in items})
        read = await self._qdrant.payloads(collection, ids, list(payload.FIELDS_READ_BACK))
        known = await self._whole(collection, items, read)
        # With the paths of this batch only: Qdrant unites them with those that are stored, of which there may be many.
        payloads = {point_id: {**stored, "paths": []} for point_id, stored in read.items()}
        points: dict[str, Point] = {}
        for item in items:
            write, new = item.record, _payload(item)
            stored = payloads.get(write.point_id, {})
            later = points.get(write.point_id) or known.get(write.point_id)
            if later is not None and payload.was_read_later(stored, new):
                point = Point(later.id, later.vector, payload.with_paths(later.payload, new))
            else:
                point = Point(write.point_id, write.content.vector, payload.merge(stored, new))
            if (
                write.reread
                and write.outcome == "cached"
                and _is_same(known.get(point.id), point)
                and await self._qdrant.has_path(collection, read.get(point.id, {}), write.path)
            ):
                unchanged.add(write.file_id)
                continue
            points[point.id], payloads[point.id] = point, point.payload
        with tracing.called("upsert points", [item.headers.traceparent for item in items]):
            return await self._qdrant.replace(collection, list(points.values()), read)

    async def _whole(
        self, collection: str, items: list[_Item], payloads: dict[str, dict[str, Any]]
    ) -> dict[str, Point]:
        """Return the points that are compared with what is to be stored, or kept as they are, by their ids."""
        wanted = {
            item.record.point_id
            for item in items
            if item.record.reread
            or (
                (stored := payloads.get(item.record.point_id)) is not None
                and payload.was_read_later(stored, _payload(item))
            )
        }
        if not wanted:
            return {}
        points = await self._qdrant.points(collection, sorted(wanted))
        return {point.id: Point(point.id, point.vector, {**point.payload, "paths": []}) for point in points}

    async def _confirm(self, items: list[_Item], incarnation: str, unchanged: set[str]) -> None:
        alike: defaultdict[tuple[str, str, bool], list[_Item]] = defaultdict(list)
        for item in items:
            failpoints.reach("store-upserted")
            alike[item.record.job_id, item.record.collection, item.headers.replay].append(item)
        for told in [self._report(some, unchanged) for some in alike.values()]:
            await told
        for _ in items:
            failpoints.reach("store-reported")
        await self._stage.conclude_all((_stored(item.record, incarnation), item.headers) for item in items)
        for _ in items:
            failpoints.reach("store-concluded")
        for some in alike.values():
            self._stage.handed_on(some[0].record, some[0].headers, len(some))

    def _report(self, items: list[_Item], unchanged: set[str]) -> Awaitable[object]:
        """Report the outcomes of files of one job; await the result to know that it is delivered."""
        outcomes = [
            FileOutcome(
                file_id=write.file_id,
                path=write.path,
                path_b64=write.path_b64,
                outcome="unchanged" if write.file_id in unchanged else write.outcome,
                sha256=write.sha256,
            )
            for write in (item.record for item in items)
        ]
        return self._stage.report_outcomes(items[0].record, outcomes, items[0].headers)

    async def _fail(self, item: _Item, error: Exception) -> None:
        """End a file as failed. What ML answered for it is kept all the same, for other files of this content."""
        write = item.record
        if _is_new(write):
            kept = Embedded(**write.file_fields(), content=write.content)
            await self._stage.fail_and_conclude(item, error, kept)
        else:
            await self._stage.fail(item, error)


def _is_new(write: DBWrite) -> bool:
    """Tell whether ML embedded the content for this file: the others have theirs from the cache."""
    return write.outcome == "stored"


def _stored(write: DBWrite, incarnation: str) -> Stored:
    return Stored(**write.file_fields(), incarnation=incarnation, content=write.content if _is_new(write) else None)


def _is_same(known: Point | None, new: Point) -> bool:
    return (
        known is not None
        and payload.is_same(known.payload, new.payload)
        and payload.is_same_direction(known.vector, new.vector)
    )


def _payload(item: _Item) -> dict[str, Any]:
    write = item.record
    content = write.content
    return {
        **content.metadata.model_dump(exclude_none=True),
        "filename": write.filename,
        "full_path": write.path,
        "paths": [write.path],
        "file_hash": write.sha256,
        "caption": content.caption,
        "thumbnail_base64": content.thumbnail_base64,
        "read_at": content.read_at,
        "model_id": write.model_id,
        "job_id": write.job_id,
        "ingested_at": datetime.fromtimestamp(item.event.message.timestamp, UTC).isoformat(timespec="seconds"),
    }


async def _wait(stored: "list[asyncio.Future[None]]") -> None:
    for one in stored:
        await one


async def _nothing() -> None:
    """Do nothing: a tombstone asks for no more than its ack."""
