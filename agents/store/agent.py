"""store: upserts points in batches, and is the only one to say that a file is in the collection.

It takes db-write. It decides in rules/storing: how a point unites with what is stored of it, which files change
nothing, and what follows where Qdrant refuses.
It sends the points to Qdrant; then, after Qdrant confirmed, the outcome on job-event, then image-outcome `stored`
(closes the claim and fills the cache, where the content is new), then acks.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any, cast

import structlog

from agents.collections import KnownCollections
from agents.stage import Services, StageApp, now
from agents.store.confirmed import Confirmed, former_of, histories
from agents.store.departures import LeavingPaths
from agents.store.erasing import ErasedPoints
from core import failpoints, tracing
from core.errors import CollectionMissingError, DrainingError, FatalError
from core.pace import Pace
from rules import storing
from rules.payload import FIELDS_READ_BACK, Point
from rules.storing import Again, Asked, Fail
from streams.item import Item
from streams.messages import Event
from streams.tasks import start
from streams.window import Deliveries, Permits, Window
from topics.db_write import DB_WRITE, AnyDBWrite, DBWrite
from topics.departure import Left, LeftEnd, Tally
from topics.erasure import Erase
from topics.image_outcome import IMAGE_OUTCOME, Embedded
from topics.job_event import FileOutcome
from topics.record import Headers
from topics.removal_event import LeftAll

MAX_BATCH_BYTES = 8 << 20
# Where messages come often, a batch waits so many times as long: its three requests cost as much for few points.
MUCH_TO_DO = 2.5


_Item = Item[DBWrite]
_Either = Item[DBWrite] | Item[Left] | Item[Erase]


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
        self._leaving = LeavingPaths(stage)
        self._erased = ErasedPoints(stage)
        self._pace = Pace()
        self._batcher = stage.batcher(
            self._store,
            size=lambda: settings.qdrant_upsert_batch_size,
            linger=lambda: settings.qdrant_batch_linger_seconds * (MUCH_TO_DO if self._pace.is_high else 1.0),
            # One at a time: the union of `paths` reads before it writes. It is told of while the next one is stored.
            in_flight=1,
            max_bytes=MAX_BATCH_BYTES,
        )

    async def take(self, items: list[Item[AnyDBWrite]], window: Window) -> None:
        """Take points, and paths that leave them; what is about all of them is passed on behind them."""
        event, of = items[0].event, items[0].of
        if isinstance(about_all := items[0].record, Tally | LeftEnd):
            self._stage.flush()
            replayed = items[0].headers.replay
            await window.add_in_order(event, lambda: self._pass_on(event, None if replayed else about_all))
            return
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

    async def _pass_on(self, event: Event, about_all: Tally | LeftEnd | None) -> Deliveries:
        """Go on with a sync, now that all before is stored and told of."""
        match about_all:
            case None:
                return []
            case Tally():
                job_id, partition = about_all.job_id, event.message.partition
                return [await self._stage.send(IMAGE_OUTCOME, job_id, about_all, Headers(job_id=job_id), partition)]
            case LeftEnd():
                done = LeftAll(
                    job_id=about_all.job_id,
                    at=now(),
                    round=about_all.round,
                    sent_from=about_all.sent_from,
                    partition=event.message.partition,
                )
                return [await self._stage.publish(done)]

    async def _store(self, items: list[Item[AnyDBWrite]]) -> Awaitable[Any]:
        """Store a batch; await the result to know that all that follows from it is delivered."""
        by_collection: dict[str, list[_Either]] = {}
        for item in cast("list[_Either]", items):
            # What a replay says has left says nothing of the folder as it is now.
            if not (item.headers.replay and isinstance(item.record, Left | Erase)):
                by_collection.setdefault(item.record.collection, []).append(item)
        erased: list[tuple[Item[Erase], bool]] = []
        # A collection that is slow holds up no other. One that cannot go on leaves none behind in work.
        ends = await asyncio.gather(
            *(self._in_order(some, erased) for some in by_collection.values()), return_exceptions=True
        )
        # Behind all of the batch: who holds a content is told by the points that there are.
        await self._erased.tell(erased)
        follows = asyncio.gather(*chain.from_iterable(end for end in ends if isinstance(end, list)))
        errors = [end for end in ends if isinstance(end, BaseException)]
        if errors:
            await follows
        for error in sorted(errors, key=lambda error: isinstance(error, DrainingError)):
            raise error
        return follows

    async def _in_order(
        self, items: list[_Either], erased: list[tuple[Item[Erase], bool]]
    ) -> "list[asyncio.Task[None]]":
        """Store what comes, and take away what leaves, in their order; return what tells of it where that goes on.

        `erased`: gets what has left for good.
        """
        told: list[asyncio.Task[None]] = []
        for kind, some in groupby(items, lambda item: type(item.record)):
            await asyncio.gather(*told)
            told.clear()
            if kind is Left:
                await self._leaving.take(cast("list[Item[Left]]", list(some)))
            elif kind is Erase:
                erased += await self._erased.take(cast("list[Item[Erase]]", list(some)))
            else:
                by_model: dict[str, list[_Item]] = {}
                for item in cast("list[_Item]", list(some)):
                    by_model.setdefault(item.record.model_id, []).append(item)
                begun = [await self._store_in(of_model) for of_model in by_model.values()]
                told += [task for task in begun if task is not None]
        return told

    async def _store_in(self, items: list[_Item]) -> "asyncio.Task[None] | None":
        """Store points of one collection and model; return what tells of them, unless that has ended."""
        jobs = {item.record.job_id for item in items}
        with structlog.contextvars.bound_contextvars(job_ids=sorted(jobs), stage="store"):
            try:
                stored = await self._stage.persist(jobs, lambda: self._upsert(items))
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                await self._go_on(items, error)
            else:
                return start(self._confirm(items, stored))
        return None

    async def _go_on(self, items: list[_Item], error: Exception) -> None:
        """Do what follows where Qdrant refuses a batch as a whole."""
        of = items[0].record
        match storing.after_error(items, of.collection, of.model_id, error):
            case Fail(failed, reason):
                await asyncio.gather(*(self._fail(item, reason) for item in failed))
            case Again(parts):
                for part in parts:
                    if (told := await self._store_in([*part])) is not None:
                        await told

    async def _upsert(self, items: list[_Item]) -> Confirmed:
        """Upsert, and return the incarnation of the collection as it was before: an older one is safe."""
        since = time.monotonic() if any(item.headers.replay for item in items) else 0.0
        of = items[0].record
        target = await self._collections.target(of.job_id, of.collection, of.model_id, since=since)
        if target is None or target.incarnation is None:
            raise CollectionMissingError(of.collection)
        ids = {item.record.point_id for item in items if item.record.task == "reembed"}
        stored = Confirmed(
            target.incarnation,
            former=await former_of(self._qdrant, target, sorted(ids)) if ids else {},
            edited=await histories(self._qdrant, target, [item.record for item in items]),
        )
        # A point that somebody else has written since it was read, such as a worker that has lost the partition and
        # does not know it yet, is read again.
        left = items
        while left:
            others = await self._write(target.at, left, stored)
            left = [item for item in left if item.record.point_id in others]
        return stored

    async def _write(self, collection: str, items: list[_Item], told: Confirmed) -> set[str]:
        """Unite the points with what is stored of them. Return those that were written by another one meanwhile."""
        asked = [told.united(_asked(item)) for item in items]
        stored = await self._qdrant.payloads(collection, list({one.point.id for one in asked}), list(FIELDS_READ_BACK))
        wanted = storing.looked_at_whole(asked, stored)
        whole = {point.id: point for point in await self._qdrant.points(collection, sorted(wanted))} if wanted else {}
        listed = {
            one.file_id
            for one in asked
            if one.may_be_stored and await self._qdrant.has_path(collection, stored.get(one.point.id, {}), one.path)
        }
        decided = storing.decide(asked, stored, whole, listed)
        told.unchanged.difference_update(one.file_id for one in asked)
        told.unchanged.update(decided.unchanged)
        with tracing.called("upsert points", [item.headers.traceparent for item in items]):
            return await self._qdrant.replace(collection, decided.points, stored)

    async def _confirm(self, items: list[_Item], stored: Confirmed) -> None:
        alike: defaultdict[tuple[str, str, bool], list[_Item]] = defaultdict(list)
        for item in items:
            failpoints.reach("store-upserted")
            alike[item.record.job_id, item.record.collection, item.headers.replay].append(item)
        for told in [self._report(some, stored.unchanged) for some in alike.values()]:
            await told
        for _ in items:
            failpoints.reach("store-reported")
        for outcomes in stored.outcomes(items):
            await self._stage.conclude_all(outcomes)
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
        if storing.is_new(write.outcome):
            kept = Embedded(**write.file_fields(), content=write.content)
            await self._stage.fail_and_conclude(item, error, kept)
        else:
            await self._stage.fail(item, error)


def _asked(item: _Item) -> Asked:
    write, content = item.record, item.record.content
    payload = {
        **content.metadata.model_dump(exclude_none=True),
        "filename": write.filename,
        "full_path": write.path,
        # What is kept of a file says nothing of where it lies.
        "paths": [] if write.kept else [write.path],
        "file_hash": write.sha256,
        "caption": content.caption,
        "thumbnail_base64": content.thumbnail_base64,
        "read_at": content.read_at,
        "from_thumbnail": content.from_thumbnail,
        "model_id": write.model_id,
        "job_id": write.job_id,
        "ingested_at": datetime.fromtimestamp(item.event.message.timestamp, UTC).isoformat(timespec="seconds"),
    }
    point = Point(write.point_id, content.vector, payload)
    return Asked(write.file_id, write.path, point, write.outcome, is_reread=bool(write.reread) and write.task is None)


async def _wait(stored: "list[asyncio.Future[None]]") -> None:
    for one in stored:
        await one


async def _nothing() -> None:
    """Do nothing: a tombstone asks for no more than its ack."""
