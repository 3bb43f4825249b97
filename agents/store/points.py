"""Upserts points of one collection and model into Qdrant, and tells of them: store's part in new contents and files."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime

import structlog

from agents.collections import KnownCollections
from agents.stage import StageApp
from agents.store.confirmed import Confirmed, former_of, histories
from core import failpoints, tracing
from core.errors import CollectionMissingError, DrainingError, FatalError
from rules import storing
from rules.payload import FIELDS_READ_BACK, Point
from rules.storing import Again, Asked, Fail
from streams.item import Item
from streams.tasks import start
from topics.db_write import DBWrite
from topics.image_outcome import Embedded
from topics.job_event import FileOutcome

_Item = Item[DBWrite]


class Points:
    """Stores them, many at once; Qdrant confirms before anything is told."""

    def __init__(self, stage: StageApp) -> None:
        self._stage = stage
        self._qdrant = stage.services.qdrant
        self._collections = KnownCollections(stage.services.qdrant)

    async def store(self, items: Sequence[_Item]) -> "asyncio.Task[None] | None":
        """Store points of one collection and model; return the task that tells of them, unless all was told already."""
        jobs = {item.record.job_id for item in items}
        with structlog.contextvars.bound_contextvars(job_ids=sorted(jobs), stage="store"):
            try:
                confirmed = await self._stage.persist(jobs, lambda: self.upsert(items))
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                await self._after_refusal(items, error)
            else:
                return start(self._tell(items, confirmed))
        return None

    async def _after_refusal(self, items: Sequence[_Item], error: Exception) -> None:
        """Fail the files of a batch that Qdrant refuses as a whole, or store its parts one after the other."""
        of = items[0].record
        match storing.after_error(items, of.collection, of.model_id, error):
            case Fail(failed, reason):
                await asyncio.gather(*(self._fail(item, reason) for item in failed))
            case Again(parts):
                for part in parts:
                    if (told := await self.store(part)) is not None:
                        await told

    async def upsert(self, items: Sequence[_Item]) -> Confirmed:
        """Upsert points; return what Qdrant has confirmed, with the incarnation that the collection had before.

        Where somebody made the collection anew meanwhile, the older incarnation makes its files be looked at again.
        """
        since = time.monotonic() if any(item.headers.replay for item in items) else 0.0
        of = items[0].record
        target = await self._collections.target(of.job_id, of.collection, of.model_id, since=since)
        if target is None or target.incarnation is None:
            raise CollectionMissingError(of.collection)
        ids = {item.record.point_id for item in items if item.record.task == "reembed"}
        confirmed = Confirmed(
            target.incarnation,
            former=await former_of(self._qdrant, target, sorted(ids)) if ids else {},
            edited=await histories(self._qdrant, target, [item.record for item in items]),
        )
        # A point that somebody else has written since it was read, such as a worker that has lost the partition and
        # does not know it yet, is read again.
        left = [*items]
        while left:
            others = await self._write(target.at, left, confirmed)
            left = [item for item in left if item.record.point_id in others]
        return confirmed

    async def _write(self, collection: str, items: Sequence[_Item], confirmed: Confirmed) -> set[str]:
        """Write points, united with what is stored of them; return the ids of those that someone else wrote meanwhile.

        Notes in `confirmed` which files change nothing.
        """
        asked = [confirmed.united(_asked(item)) for item in items]
        stored = await self._qdrant.payloads(collection, list({one.point.id for one in asked}), list(FIELDS_READ_BACK))
        wanted = storing.looked_at_whole(asked, stored)
        whole = {point.id: point for point in await self._qdrant.points(collection, sorted(wanted))} if wanted else {}
        listed = {
            one.file_id
            for one in asked
            if one.may_be_stored and await self._qdrant.has_path(collection, stored.get(one.point.id, {}), one.path)
        }
        decided = storing.decide(asked, stored, whole, listed)
        confirmed.unchanged.difference_update(one.file_id for one in asked)
        confirmed.unchanged.update(decided.unchanged)
        with tracing.called("upsert points", [item.headers.traceparent for item in items]):
            return await self._qdrant.replace(collection, decided.points, stored)

    async def _tell(self, items: Sequence[_Item], confirmed: Confirmed) -> None:
        """Report the outcomes of files, then say on image-outcome that their points are stored."""
        alike: defaultdict[tuple[str, str, bool], list[_Item]] = defaultdict(list)
        for item in items:
            failpoints.reach("store-upserted")
            alike[item.record.job_id, item.record.collection, item.headers.replay].append(item)
        for told in [self._report(some, confirmed.unchanged) for some in alike.values()]:
            await told
        for _ in items:
            failpoints.reach("store-reported")
        for outcomes in confirmed.outcomes(items):
            await self._stage.conclude_all(outcomes)
        for _ in items:
            failpoints.reach("store-concluded")
        for some in alike.values():
            self._stage.handed_on(some[0].record, some[0].headers, len(some))

    def _report(self, items: Sequence[_Item], unchanged: set[str]) -> Awaitable[object]:
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
