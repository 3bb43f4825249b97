"""prepare: decides what a file costs, and decodes the ones whose content is new. The only writer of known_images.

It takes hashed-file, and image-outcome (agents/prepare/claims.py): what became of a content.
It decides by the rows of the content, in rules/claims: new, known, unchanged, or to wait for another file's answer.
A file whose path held another content before comes by way of that one, and is passed on with what is known of it.
It sends (agents/prepare/effects.py) ml-request for a new content, db-write for a known one, outcomes on job-event, and
image-outcome where a content or a file cannot be used. One that is not what was hashed goes back to raw-path.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from agents.collections import KnownCollections
from agents.end_markers import EndMarkers
from agents.prepare.cases import Case
from agents.prepare.claims import ClaimKeeper
from agents.prepare.decoder import Decoder
from agents.prepare.departing import DepartureKeeper
from agents.prepare.effects import Decided, Executor
from agents.prepare.erasing import ErasureKeeper
from agents.prepare.sweeps import Sweeper
from agents.prepare.unchanged import Unchanged
from agents.stage import Services, StageApp
from core import failpoints, metrics
from core.errors import FatalError, PartitionRevokedError
from rules.claims.effects import Decode, Effects, Finish, PutWaiter, Send
from rules.claims.events import Arrived
from streams.item import Item
from streams.window import Permits, Window, writing_rows
from tables.departures import Departures
from tables.erasures import Erasures
from tables.known_images import ContentKey, KnownImages
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import IMAGE_OUTCOME
from topics.ml_request import ML_REQUEST
from topics.record import Headers

FILES_WINDOW = 256
OUTCOMES_WINDOW = 512

Work = Coroutine[Any, Any, None]


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("prepare", services, datadir)
    rows = stage.rows()
    images = KnownImages(rows)
    collections = KnownCollections(services.qdrant)
    unchanged = Unchanged(stage, images, collections)
    left, erased = Departures(rows), Erasures(rows)
    departures = DepartureKeeper(stage, left, erased, collections)
    erasures = ErasureKeeper(stage, images, erased, left)
    executor = Executor(stage, images, Decoder(stage), unchanged, departures=departures, erasures=erasures)
    sweeper = Sweeper(stage, images, executor)
    stage.app.task(sweeper.watch)
    keeper = ClaimKeeper(stage, images, executor, sweeper, departures=departures, erasures=erasures)
    preparer = _Preparer(stage, images, executor, collections, unchanged)
    stage.consume_files(
        HASHED_FILE,
        preparer.take,
        take_known=unchanged.take,
        end_marker=EndMarkers(stage, ML_REQUEST.name).take,
        window=FILES_WINDOW,
    )
    stage.consume_files(IMAGE_OUTCOME, keeper.take, window=OUTCOMES_WINDOW)
    return stage


class _Preparer:
    def __init__(
        self,
        stage: StageApp,
        images: KnownImages,
        executor: Executor,
        collections: KnownCollections,
        unchanged: Unchanged,
    ) -> None:
        self._stage = stage
        self._images = images
        self._executor = executor
        self._collections = collections
        self._unchanged = unchanged
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, items: list[Item[HashedFile]], window: Window) -> None:
        """Take files of hashed-file."""
        edited = [item for item in items if item.record.by_way_of is not None]
        others = [item for item in items if item.record.by_way_of is None]
        for some, take in ((edited, self._pass_on), (others, self._take)):
            if some:
                permits = Permits(len(some), some[0].of)
                await window.add(some[0].event, take(some, permits), permits=permits)

    async def _pass_on(self, items: list[Item[HashedFile]], permits: Permits) -> None:
        """Send files on to the partition of their content, with what is known of the one that their path held before.

        Nothing is waited for: what ML has not answered yet is not known.
        """
        with writing_rows(items[0].event):
            works = [self._alone(item, partial(self._pass_on_one, item)) for item in items]
        await self._stage.do_each(HASHED_FILE, items, works, permits)

    def _pass_on_one(self, item: Item[HashedFile]) -> Work:
        file = item.record
        assert file.by_way_of is not None  # noqa: S101 - only such are passed on
        known = self._images.content(ContentKey(file.by_way_of, file.model_id))
        former = None if known is None else known.as_former(file.by_way_of)
        passed_on = file.model_copy(update={"by_way_of": None, "former": former})
        return self._send_on(passed_on, item.headers)

    async def _send_on(self, file: HashedFile, headers: Headers) -> None:
        await self._stage.send_file(HASHED_FILE, file.sha256, file, headers)
        failpoints.reach("edit-passed-on")

    async def _take(self, items: list[Item[HashedFile]], permits: Permits) -> None:
        event, file = items[0].event, items[0].record  # what matters here is the same for all
        if file.walk_id is not None:
            await asyncio.gather(*(self._stage.report.seen(item.record) for item in items))
        since = time.monotonic() if items[0].headers.replay else 0.0
        # Outside the iteration: a collection that is slow to tell holds up its own files only. These are decided in
        # the order in which they came.
        turn = self._turns.setdefault(file.collection, asyncio.Lock())
        async with turn:
            target = await self._stage.persist(
                [file.job_id],
                lambda: self._collections.target(file.job_id, file.collection, file.model_id, since=since),
            )
            incarnation = None if target is None else target.incarnation
            with writing_rows(event):
                works = [self._alone(item, partial(self._decide, item, incarnation)) for item in items]
        await self._stage.do_each(HASHED_FILE, items, works, permits)

    def _alone(self, item: Item[HashedFile], decide: Callable[[], Work]) -> Work:
        """Decide on one file; what goes wrong with it concerns no other of its message."""
        try:
            return decide()
        except (PartitionRevokedError, FatalError):
            raise
        except Exception as error:
            return self._stage.reject_file(HASHED_FILE, item, error)

    def _decide(self, item: Item[HashedFile], incarnation: str | None) -> Work:
        """Write the rows that a file asks for, and return the work that is left as a coroutine.

        Nothing is awaited here, so that no other event of this content comes in between.
        """
        file = item.record
        arrived = Arrived(
            self._executor.file(item.number, file),
            item.headers.begun,
            has_collection=incarnation is not None,
            is_confirmed=self._is_confirmed(file, incarnation),
            rereads=file.reread is not None and file.task is None,
            first_unchanged=self._unchanged.first(file),
        )
        decided = self._executor.decide(Case(item.event, file, {item.number: item}), arrived)
        _count(decided.effects)
        return self._finish(file, decided)

    def _is_confirmed(self, file: HashedFile, incarnation: str | None) -> bool:
        """Tell whether Qdrant has the path, so that nothing is to be done."""
        # A task is about the whole point, not about this path of it. That a path has left may not have come here yet.
        if incarnation is None or file.task is not None or file.back:
            return False
        return self._images.is_confirmed(file, incarnation)

    async def _finish(self, file: HashedFile, decided: Decided) -> None:
        with structlog.contextvars.bound_contextvars(job_id=file.job_id, stage="prepare"):
            await self._executor.finish(decided)
            if any(isinstance(row, PutWaiter) for row in decided.effects.rows):
                failpoints.reach("prepare-waiting")


def _count(effects: Effects) -> None:
    """Count what a look at the cache came to."""
    for effect in (*effects.rows, *effects.work):
        match effect:
            case Decode():
                metrics.CACHE.labels("known_images", "miss").inc()
            case PutWaiter():
                metrics.CACHE.labels("known_images", "pending").inc()
            case Send() | Finish(outcome="unchanged"):
                metrics.CACHE.labels("known_images", "hit").inc()
            case _:
                pass
