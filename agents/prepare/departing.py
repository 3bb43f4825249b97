"""Takes messages about paths that leave: prepare's part in a sync. It counts them, and has store take them away."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from itertools import groupby

import structlog

from agents.collections import KnownCollections
from agents.prepare.comparing import Comparer
from agents.stage import StageApp, now
from core import failpoints
from rules.batching import halves
from rules.identity import point_id
from rules.paths import readable
from rules.tally import Leaver, leavers, tally
from rules.tally import Tallied as Counts
from streams.item import Item
from streams.messages import Event
from streams.rejecting import or_reject
from streams.tasks import delivered
from streams.window import Deliveries, Window, writing_rows
from tables.departures import Departures, Leaving
from tables.erasures import Erasures
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.departure import Compare, Departed, Left, LeftEnd, Tally
from topics.image_outcome import IMAGE_OUTCOME, OfDepartures, Stored
from topics.record import Headers
from topics.removal_event import LeavingFile, Tallied, WouldLeave

ROWS_AT_ONCE = 500
MAX_CHARACTERS = 100_000
"""Of paths in one event."""


class DepartureKeeper:
    """Takes messages one by one; `LeftEnd` goes on behind all that came before it."""

    def __init__(
        self, stage: StageApp, departures: Departures, erasures: Erasures, collections: KnownCollections
    ) -> None:
        self._stage = stage
        self._departures = departures
        self._erasures = erasures
        self._collections = collections
        self._comparer = Comparer(stage, departures)
        # Of what store is being told to have left.
        self._telling: dict[tuple[str, str, bytes], asyncio.Event] = {}

    async def take(self, item: Item[OfDepartures], window: Window) -> None:
        """Take one message, or one file of it. A replay says nothing of the folder as it is now."""
        record, event, permits = item.record, item.event, item.permits()
        if item.headers.replay:
            await window.add(event, delivered(()), permits=permits)
            return
        match record:
            case Departed():
                work = delivered([self._departures.put_leaving(record)])
            case Left():
                rows = self._departures.void(record, now())
                work = delivered(()) if rows is None else self._tell(record, [*rows, *self._prune(record)])
            case Tally(is_counted=True):
                work = self._drop(event, record)
            case Tally():
                work = self._count(event, record)
            case LeftEnd():
                await window.add_in_order(event, lambda: self._pass_on(event, record))
                return
            case Compare():
                work = self._comparer.take(event, record)
        taken = or_reject(work, lambda error: self._stage.reject_file(IMAGE_OUTCOME, item, error))
        await window.add(event, taken, permits=permits)

    def confirm(self, stored: Stored, content: Callable[[], Content | None]) -> tuple[bool, list[Awaitable[object]]]:
        """Tell whether a path that Qdrant has confirmed is one of its content; return what is to be awaited.

        It is not where the path left after it was handed on: then store is told so again. Where the path has come back
        since, store may carry out the removal behind this: so the path is written once more, behind the removal.
        """
        voided, sequence = self._departures.voided(stored), stored.sequence or 0
        if voided is None:
            # An older removal may still come, behind this.
            return True, [self._departures.note_back(stored, sequence - 1, now())] if sequence else []
        if sequence > voided:
            again = content()
            sent = [] if again is None else [self._write_again(stored, again)]
            return True, [self._departures.note_back(stored, voided, now()), *sent]
        left = Left(
            **stored.model_dump(include={"job_id", "collection", "path", "path_b64", "sha256"}),
            sequence=voided,
            reason="gone",
        )
        return False, [self._tell(left, ())]

    def _prune(self, left: Left) -> list[Awaitable[object]]:
        """Delete what was noted of paths of a content before all that Kafka still keeps: it guards against nothing."""
        kept = self._stage.services.settings.kafka_retention_hours * 3600
        return self._erasures.prune(left.sha256, left.collection, now() - kept)

    async def _write_again(self, stored: Stored, content: Content) -> None:
        while (telling := self._telling.get(_place(stored))) is not None:
            await telling.wait()
        fields = stored.file_fields()
        write = DBWrite(**fields, point_id=point_id(stored.sha256), outcome="cached", content=content)
        # Its file has its outcome.
        await self._stage.send_file(DB_WRITE, stored.sha256, write, write.headers(Headers(replay=True)))

    async def _tell(self, left: Left, rows: Iterable[Awaitable[object]]) -> None:
        """Have store take a path from its point, behind rows that say so; what comes back is written behind that."""
        told = self._telling[_place(left)] = asyncio.Event()
        try:
            await delivered(rows)
            failpoints.reach("left-kept")
            await self._send([left])
        finally:
            told.set()
            if self._telling.get(_place(left)) is told:
                del self._telling[_place(left)]

    async def _send(self, left: list[Left]) -> None:
        await self._stage.send_files(DB_WRITE, [(one.sha256.encode(), one, one.headers()) for one in left])

    async def _count(self, event: Event, asked: Tally) -> None:
        with structlog.contextvars.bound_contextvars(job_id=asked.job_id, stage="prepare"):
            collection = await self._stage.persist(
                [asked.job_id], lambda: self._collections.known(asked.job_id, asked.collection)
            )
            incarnation = None if collection is None else collection.incarnation
            with writing_rows(event):
                rows = self._departures.leaving(asked.job_id, asked.after_key, ROWS_AT_ONCE)
                found = [
                    self._leavers(list(of), {asked.job_id, *asked.asked_before}, incarnation)
                    for _, of in groupby(rows, _content)
                ]
            await self._name(asked.job_id, [file for _, files in found for file in files])
            total = Counts(asked.moved, asked.gone, asked.replaced, asked.excluded, asked.lost)
            for counts, _ in found:
                total = total.plus(counts)
            if len(rows) >= ROWS_AT_ONCE:
                await self._ask(event, asked.step_behind(rows[-1].key, **total._asdict()))
                return
            partition = event.message.partition
            await self._stage.emit(Tallied(job_id=asked.job_id, at=now(), partition=partition, **total._asdict()))
            if asked.after or rows:
                counted = Tally(job_id=asked.job_id, collection=asked.collection, is_counted=True)
                await self._ask(event, counted)

    async def _drop(self, event: Event, counted: Tally) -> None:
        """Forget what was counted, a few rows at a time."""
        with writing_rows(event):
            rows = self._departures.leaving(counted.job_id, b"", ROWS_AT_ONCE)
            dropped = self._departures.drop_leaving(rows)
        await delivered(dropped)
        if len(rows) >= ROWS_AT_ONCE:
            await self._ask(event, counted)

    def _leavers(
        self, rows: list[Leaving], looks: Set[str], incarnation: str | None
    ) -> tuple[Counts, list[LeavingFile]]:
        sha256 = rows[0].sha256
        paths = self._departures.paths(sha256, rows[0].collection)
        known = {one.path: one.job_id for one in paths if one.incarnation == incarnation}
        # A path that holds no picture, or was never stored, does not leave.
        leaving = [(one.path, one.reason) for one in rows if one.path in known]
        found = leavers(leaving, [(path, brought_by in looks) for path, brought_by in known.items()])
        return tally(found), [_named(sha256, one) for one in found]

    async def _name(self, job_id: str, files: Sequence[LeavingFile]) -> None:
        """Tell people which files are counted, in events that fit into a message."""
        if not files:
            return
        if len(files) > 1 and sum(len(one.path) + len(one.to or "") for one in files) > MAX_CHARACTERS:
            for half in halves(files):
                await self._name(job_id, half)
            return
        await self._stage.emit(WouldLeave(job_id=job_id, at=now(), files=list(files)))

    async def _ask(self, event: Event, following: Tally) -> None:
        partition = event.message.partition
        await (await self._stage.send(IMAGE_OUTCOME, following.job_id, following, Headers(), partition))

    async def _pass_on(self, event: Event, end: LeftEnd) -> Deliveries:
        headers = Headers(job_id=end.job_id)
        return [await self._stage.send(DB_WRITE, end.job_id, end, headers, event.message.partition)]


def _place(of: Left | Stored) -> tuple[str, str, bytes]:
    return of.sha256, of.collection, of.path_bytes


def _content(row: Leaving) -> tuple[str, str]:
    return row.sha256, row.collection


def _named(sha256: str, leaver: Leaver) -> LeavingFile:
    to = None if leaver.to is None else readable(leaver.to)
    return LeavingFile(path=readable(leaver.path), sha256=sha256, way=leaver.way, to=to, lost=leaver.is_lost)
