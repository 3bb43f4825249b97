"""store: upserts points in batches, and is the only one to say that a file is in the collection.

It takes db-write. It decides in rules/storing: how a point unites with what is stored of it, which files change
nothing, and what follows where Qdrant refuses.
It sends the points to Qdrant; then, after Qdrant confirmed, the outcome on job-event, then image-outcome `stored`
(closes the claim and fills the cache, where the content is new), then acks.
"""

import asyncio
from collections.abc import Awaitable
from itertools import chain, groupby
from pathlib import Path
from typing import Any, cast

from agents.stage import Services, StageApp, now
from agents.store.departures import LeavingPaths
from agents.store.erasing import ErasedPoints
from agents.store.points import Points
from core.errors import DrainingError
from core.pace import Pace
from streams.item import Item
from streams.messages import Event
from streams.tasks import delivered
from streams.window import Deliveries, Permits, Window
from topics.db_write import DB_WRITE, AnyDBWrite, DBWrite
from topics.departure import Left, LeftEnd, Tally
from topics.erasure import Erase
from topics.image_outcome import IMAGE_OUTCOME
from topics.record import Headers
from topics.removal_event import LeftAll

MAX_BATCH_BYTES = 8 << 20
# How many times as long a batch waits where messages come often: its three requests cost as much for few points.
MUCH_TO_DO = 2.5

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
        self._points = Points(stage)
        self._leaving = LeavingPaths(stage)
        self._erased = ErasedPoints(stage)
        self._pace = Pace()
        self._batcher = stage.batcher(
            self._store,
            size=lambda: settings.qdrant_upsert_batch_size,
            linger=lambda: settings.qdrant_batch_linger_seconds * (MUCH_TO_DO if self._pace.is_high else 1.0),
            # One at a time: to unite `paths`, a batch reads before it writes. What is stored is told of meanwhile.
            in_flight=1,
            max_bytes=MAX_BATCH_BYTES,
        )

    async def take(self, items: list[Item[AnyDBWrite]], window: Window) -> None:
        """Take points to store, and paths that leave them. A message about a whole sync is passed on behind these."""
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
        """Take an end marker: no batch waits any longer to fill."""
        self._stage.flush()
        await window.add(event, delivered([]))

    async def _pass_on(self, event: Event, about_all: Tally | LeftEnd | None) -> Deliveries:
        """Pass a sync's message on, now that all before it is stored and told of; None for one of a replay."""
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
        """Store and take away as the files of one collection came; return the tasks that still tell of stored points.

        What has left for good is added to `erased`.
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
                by_model: dict[str, list[Item[DBWrite]]] = {}
                for item in cast("list[Item[DBWrite]]", list(some)):
                    by_model.setdefault(item.record.model_id, []).append(item)
                begun = [await self._points.store(of_model) for of_model in by_model.values()]
                told += [task for task in begun if task is not None]
        return told


async def _wait(stored: "list[asyncio.Future[None]]") -> None:
    for one in stored:
        await one
