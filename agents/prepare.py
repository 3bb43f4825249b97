"""prepare: decides what a file costs, and decodes the ones whose content is new.

hashed-file → ml-request for a new content, db-write for a known one, or `unchanged` at once.
image-outcome → the end of a claim. The only writer of known_images.
"""

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from itertools import islice
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from agents.claims import ClaimKeeper
from agents.collections import Collections
from agents.decoder import Decoder
from agents.end_markers import EndMarkers
from agents.rereading import Rereader
from agents.stage import Parts, StageApp
from agents.sweeps import Sweeper
from agents.unchanged import Unchanged
from agents.waiters import Waiters, lot
from core import failpoints, metrics
from core.errors import FatalError, FileError, PartitionRevokedError
from rules.claims import Claim, decide
from rules.identity import point_id
from streams.item import Item
from streams.window import Deliveries, Share, Window, writing_rows
from tables.known_images import KnownImages
from topics.db_write import DB_WRITE, DBWrite
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import IMAGE_OUTCOME
from topics.ml_request import ML_REQUEST
from topics.record import Headers

FILES_WINDOW = 128
OUTCOMES_WINDOW = 256
# Of many that wait for one content, and of which one begins again and takes over.
WAITERS_LOOKED_AT = 1000
CACHE_RESULTS = {"embed": "miss", "wait": "pending", "write": "hit", "unchanged": "hit"}

Work = Coroutine[Any, Any, None]


def build(parts: Parts, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("prepare", parts, datadir)
    images = KnownImages(stage.rows())
    decoder = Decoder(stage)
    waiters = Waiters(stage, images, decoder)
    sweeper = Sweeper(stage, images, waiters)
    stage.app.task(sweeper.watch)
    keeper = ClaimKeeper(images, waiters, sweeper)
    collections = Collections(parts.qdrant, parts.ml, parts.settings)
    unchanged = Unchanged(stage, images, collections)
    preparer = _Preparer(stage, images, decoder, collections, unchanged)
    stage.consume_files(
        HASHED_FILE,
        preparer.take,
        take_known=unchanged.take,
        end_marker=EndMarkers(stage, ML_REQUEST.name).take,
        window=FILES_WINDOW,
    )
    stage.consume_each(IMAGE_OUTCOME, keeper.take, window=OUTCOMES_WINDOW)
    return stage


class _Preparer:
    def __init__(
        self,
        stage: StageApp,
        images: KnownImages,
        decoder: Decoder,
        collections: Collections,
        unchanged: Unchanged,
    ) -> None:
        self._stage = stage
        self._images = images
        self._decoder = decoder
        self._rereader = Rereader(stage, images, decoder)
        self._collections = collections
        self._unchanged = unchanged
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def take(self, items: list[Item[HashedFile]], window: Window) -> None:
        """Take files of hashed-file."""
        share = Share(len(items), items[0].of)
        await window.add(items[0].event, self._take(items, share), share=share)

    async def _take(self, items: list[Item[HashedFile]], share: Share) -> None:
        event, file = items[0].event, items[0].record  # what matters here is the same for all
        if file.walk_id is not None:
            await asyncio.gather(*(self._stage.report.seen(item.record) for item in items))
        since = time.monotonic() if items[0].headers.replay else 0.0
        # Outside the iteration: a collection that is slow to tell holds up its own files only. These are decided in
        # the order in which they came.
        turn = self._turns.setdefault(file.collection, asyncio.Lock())
        async with turn:
            incarnation = await self._stage.persist(
                [file.job_id], lambda: self._collections.incarnation(file.job_id, file.collection, since=since)
            )
            with writing_rows(event):
                works = [self._decide_alone(item, incarnation) for item in items]

        async def do(work: Work) -> None:
            await work
            share.leave()

        await asyncio.gather(*(do(work) for work in works))

    def _decide_alone(self, item: Item[HashedFile], incarnation: str | None) -> Work:
        """Decide on one file; what goes wrong with it concerns no other of its message."""
        try:
            return self._decide(item, incarnation)
        except (PartitionRevokedError, FatalError):
            raise
        except Exception as error:
            return self._stage.reject_file(HASHED_FILE, item, error)

    def _decide(self, item: Item[HashedFile], incarnation: str | None) -> Work:
        """Write the rows that a file asks for, and return the work that is left as a coroutine.

        Nothing is awaited here, so that no other event of this content comes in between.
        """
        file, headers = item.record, item.headers
        claim = self._images.claim(file)
        if claim is not None and claim.owner is not None and self._images.content(file) is not None:
            # The claim is of a worker that had lost the partition and did not know it yet: ML has answered.
            claim.answer()
        owns = claim is not None and claim.owner == file.file_id
        if incarnation is None:
            error = FileError(
                f"Collection {file.collection} does not exist (any more). Create it, and run the job again."
            )
            fail = self._stage.fail_file if owns else self._stage.fail
            return self._bound(file, [], fail(item, error))
        if not owns and self._stage.parts.jobs.is_cancelled(file.job_id):
            skip = self._stage.finish(file, "skipped", headers, reason="job cancelled", sha256=file.sha256)
            return self._bound(file, [], skip)
        if claim is not None and (first := self._unchanged.first(file)) is not None:
            claim.remember_first(lot(file), first)
        decision = decide(claim, file.file_id, lot(file), is_confirmed=self._images.is_confirmed(file, incarnation))
        if file.reread and decision.action in {"write", "unchanged"} and self._images.content(file) is not None:
            return self._bound(file, self._note_first(file, claim), self._rereader.reread(item))
        metrics.CACHE.labels("known_images", CACHE_RESULTS[decision.action]).inc()
        match decision.action:
            case "embed":
                rows = []
                if claim is None and self._images.content(file) is not None:
                    rows = [self._images.drop_content(file)]  # it was forgotten
                return self._own(item, claim or Claim(owner=None), rows)
            case "wait":
                assert claim is not None  # noqa: S101 - only a claim makes a file wait
                if numbers := self._takes_over(item, claim):
                    claim.forget_first(claim.lot_of_owner or "", claim.owner or "")
                    return self._own(item, claim, self._images.drop_waiters(file, numbers))
                claim.remember_first(lot(file), file.file_id)
                rows = [
                    self._images.put_waiter(file, item.number, headers),
                    self._images.put_claim(file, claim),
                ]
                return self._bound(file, rows, None, "prepare-waiting")
            case "unchanged":
                return self._bound(file, [], self._unchanged.finish(file, headers))
            case "write":
                content = self._images.content(file)
                if claim is None or content is None:
                    # The claim says that ML has answered, but the answer is gone: ask again.
                    return self._own(item, Claim(owner=None), [])
                write = DBWrite(
                    **file.file_fields(), point_id=point_id(file.sha256), outcome=decision.outcome, content=content
                )
                return self._bound(file, self._note_first(file, claim), self._write(file, write, headers))

    def _own(self, item: Item[HashedFile], claim: Claim, rows: list[Awaitable[object]]) -> Work:
        """Make a file the owner of the claim on its content, and decode it."""
        file, begun = item.record, item.headers.begun
        if claim.owner != file.file_id:
            claim.own(file.file_id, lot(file), begun)
        claim.begin_again(begun)
        claim.remember_first(lot(file), file.file_id)
        rows.append(self._images.put_claim(file, claim))
        return self._bound(file, rows, self._decoder.decode(item))

    def _takes_over(self, item: Item[HashedFile], claim: Claim) -> list[int]:
        """Return under which numbers a file waits that takes over from an owner that is lost; else nothing."""
        file = item.record
        jobs = self._stage.parts.jobs
        job_id = (claim.lot_of_owner or "").partition("/")[0]
        has_ended = jobs.status(job_id) is None or jobs.is_cancelled(job_id)
        if not claim.is_left_by_owner(item.headers.begun, owners_job_has_ended=has_ended):
            return []
        waiting = islice(self._images.waiters(file), WAITERS_LOOKED_AT)
        numbers = [
            number
            for number in waiting
            if (waiter := self._images.waiter(file, number)) and waiter.file_id == file.file_id
        ]
        # Alone, its own number says that it does not begin again: its message does.
        return numbers if any(number != item.number for number in numbers) else []

    async def _write(self, file: HashedFile, write: DBWrite, headers: Headers) -> None:
        await self._stage.send_file(DB_WRITE, file.sha256, write, file.headers(headers))
        self._stage.handed_on(file, headers)

    def _note_first(self, file: HashedFile, claim: Claim | None) -> list[Awaitable[object]]:
        if claim is None or not claim.remember_first(lot(file), file.file_id):
            return []
        return [self._images.put_claim(file, claim)]

    async def _bound(
        self, file: HashedFile, rows: Deliveries, work: Work | None, point: failpoints.Point | None = None
    ) -> None:
        """Do the work, and wait for the rows; these come first, as work that is begun must be awaited."""
        with structlog.contextvars.bound_contextvars(job_id=file.job_id, stage="prepare"):
            if work is not None:
                await work
            await asyncio.gather(*rows)
            if point is not None:
                failpoints.reach(point)
