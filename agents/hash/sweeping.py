"""Sweeps of hash: what has left the folder of a source, found by its table and the disk, a step a message.

The end marker of a source's whole walk asks for it (`topics.sweep`). The first look marks the rows of what would leave,
and tells prepare, which counts. The second has removed what was marked, and is still so.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import structlog

from agents.hash.absence import Absence
from agents.hash.brought import Brought
from agents.hash.in_work import InWork
from agents.hash.looks import Look, Looks
from agents.patience import answered
from agents.stage import StageApp, now
from core import failpoints
from core.errors import FileError
from rules.departures import ASKED_ABOUT, Departure, Guard, Seen, departing
from rules.paths import places_within, to_wire
from streams.messages import Event
from streams.rejecting import or_reject
from streams.window import Window, writing_rows
from tables.fingerprints import Fingerprint, Fingerprints, holds_one, read_row
from topics.departure import Compare, Departed, Left, LeftEnd
from topics.image_outcome import IMAGE_OUTCOME
from topics.raw_path import RAW_PATH
from topics.record import Headers
from topics.removal_event import Guarded, Swept
from topics.sweep import Sweep

ROWS_AT_ONCE = 1000
LOOKS_AGAIN = 5
IN_WORK_SECONDS = 30.0
"""So often, and so long each time, a path is waited for that is in work while it is looked at."""
# Of a message. Other files are taken in between.
PIECES_AT_ONCE = 20

log = structlog.get_logger()


class _Found(NamedTuple):
    """A path of which something leaves, or that is held by fewer: its row, and what that is to become."""

    path: bytes
    row: bytes
    before: Fingerprint
    departure: Departure

    @property
    def is_asked_about(self) -> bool:
        return any(one.reason in ASKED_ABOUT for one in self.departure.leaves)


class _Looked(NamedTuple):
    """What comes behind the rows that were looked at, and which were passed over, as they were in work or changed."""

    following: Sweep
    is_last: bool
    passed: list[bytes]


class Sweeper:
    """Takes the steps of sweeps."""

    def __init__(self, stage: StageApp, fingerprints: Fingerprints, in_work: InWork, brought: Brought) -> None:
        self._stage = stage
        self._fingerprints = fingerprints
        self._in_work = in_work
        self._brought = brought
        self._looks = Looks(stage.services.settings, in_work)

    async def take(self, event: Event, sweep: Sweep, window: Window) -> None:
        """Take one step."""
        await window.add(event, or_reject(self._step(event, sweep), lambda error: self._stage.reject(event, error)))

    async def ask(self, sweep: Sweep, partition: int) -> None:
        """Ask for a step in a partition of `raw-path`, and wait until that is delivered."""
        key = sweep.job_id.encode()
        await (await self._stage.send_raw(RAW_PATH.name, key, None, sweep.headers(), partition))

    async def _step(self, event: Event, sweep: Sweep) -> None:
        with structlog.contextvars.bound_contextvars(job_id=sweep.job_id, stage="hash"):
            if not sweep.after and not await self._is_compared(event, sweep) and sweep.phase == "look":
                return
            looked = await self._pieces(event, sweep)
            for _ in range(LOOKS_AGAIN):
                if isinstance(looked, Guard) or not looked.passed:
                    break
                # A watcher tells of a path once: what is passed over would be seen by the next look at the whole only.
                await self._in_work.without(looked.passed, IN_WORK_SECONDS)
                looked = await self._again(event, looked)
            if isinstance(looked, Guard):
                log.warning("sweep-guarded", source=sweep.source, reason=looked.reason)
                await self._stage.emit(Guarded(job_id=sweep.job_id, at=now(), **looked._asdict()))
                return
            failpoints.reach("sweep-step")
            if looked.is_last:
                await self._end(event, looked.following)
            else:
                await self.ask(looked.following, event.message.partition)

    async def _pieces(self, event: Event, sweep: Sweep) -> _Looked | Guard:
        """Look at the next rows; a guard says why nothing can be said of any."""
        looked = _Looked(sweep, is_last=False, passed=[])
        with self._looks.of(sweep, event.message.partition) as look:
            for _ in range(PIECES_AT_ONCE):
                with writing_rows(event):
                    rows = self._fingerprints.within(_places(sweep), looked.following.after_key, ROWS_AT_ONCE)
                piece = await self._piece(event, looked.following, rows, look)
                if isinstance(piece, Guard):
                    return piece
                looked = piece._replace(passed=[*looked.passed, *piece.passed])
                if looked.is_last:
                    break
        return looked

    async def _again(self, event: Event, before: _Looked) -> _Looked | Guard:
        """Look again at what was passed over, by a listing of its own."""
        with self._looks.anew(before.following) as look:
            with writing_rows(event):
                rows = [(path, row) for path in before.passed if (row := self._fingerprints.row(path)) is not None]
            piece = await self._piece(event, before.following, rows, look)
        return piece if isinstance(piece, Guard) else before._replace(passed=piece.passed)

    async def _piece(self, event: Event, sweep: Sweep, rows: list[tuple[bytes, bytes]], look: Look) -> _Looked | Guard:
        """Look at rows, and mark or remove what leaves. A guard says why nothing can be said of any."""
        if isinstance(look.absence, Guard):
            return look.absence
        known = self._to_look_at(sweep, rows)
        looked = await self._look(sweep, [path for path, _ in known], look.absence)
        if isinstance(looked, Guard):
            return looked
        found = [
            _Found(path, row, before, departure)
            for (path, row), seen in zip(known, looked, strict=True)
            # Of nearly all nothing leaves, which their rows tell without being read whole.
            if not (seen == "there" and holds_one(orjson.loads(row)))
            and (departure := _departure(before := read_row(row), seen, sweep)).held != before.held
        ]
        act = self._mark if sweep.phase == "look" else self._remove
        passed = await act(event, sweep, found, look.in_work)
        departed = sum(len(one.departure.leaves) for one in found)
        following = sweep.behind(rows[-1][0] if rows else b"", departed, looked.count("unread"))
        return _Looked(following, len(rows) < ROWS_AT_ONCE, passed)

    async def _look(self, sweep: Sweep, paths: list[bytes], absence: Absence) -> list[Seen] | Guard:
        """Return what became of paths, or why nothing can be said of any. Of none the disk is not asked."""
        if not paths:
            await asyncio.sleep(0)  # others have their turn
            return []
        patience = self._stage.services.settings.file_timeout_seconds
        try:
            return await answered(sweep.folder, patience, absence.look, paths, signs=absence.signs)
        except FileError as error:
            return Guard("unreadable", str(error))

    def _to_look_at(self, sweep: Sweep, rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return the rows of which the disk is asked."""
        if sweep.phase == "remove":
            return [one for one in rows if sweep.job_id in read_row(one[1]).leaving_in]
        # What the walk has found behind a link that leads to another disk now is not there: it is unread.
        return rows if sweep.away else self._brought.others(sweep.walk_id, rows)

    async def _is_compared(self, event: Event, sweep: Sweep) -> bool:
        """Tell whether all is held here that prepare knows of the folder. Else it is asked, and the look comes behind.

        That is so once a folder: version 0.1.0 did not note what is in collections. And where messages were lost.
        """
        files, collection, folder = self._fingerprints, sweep.collection, sweep.root
        with writing_rows(event):
            is_lost = sweep.anew and not sweep.compared
            rows = files.forget_compared(collection, folder) if is_lost else []
            if files.is_compared(collection, folder):
                return True
            if sweep.compared:
                rows = [files.note_compared(collection, folder)]
        await asyncio.gather(*rows)
        if sweep.phase == "look" and not sweep.compared:
            asked = Compare(job_id=sweep.job_id, sweep=sweep, partition=event.message.partition)
            await (await self._stage.send(IMAGE_OUTCOME, sweep.job_id, asked, Headers(job_id=sweep.job_id), 0))
        return sweep.compared

    async def _mark(self, event: Event, sweep: Sweep, found: list[_Found], in_work: set[bytes]) -> list[bytes]:
        """Mark the rows of what would leave, and tell prepare; return what was passed over."""
        files = self._fingerprints
        with writing_rows(event):
            marked = self._as_found(found, in_work)
            rows = [files.put(one.path, one.before.marked(sweep.job_id)) for one in marked]
        departed = [
            Departed(**_named(sweep, one.path), sha256=leaves.sha256, reason=leaves.reason)
            for one in marked
            for leaves in one.departure.leaves
        ]
        await asyncio.gather(*rows)
        await self._send(departed)
        return _without(found, marked)

    async def _remove(self, event: Event, sweep: Sweep, found: list[_Found], in_work: set[bytes]) -> list[bytes]:
        """Have removed what leaves still; return what was passed over.

        What is handed on for a path from now on has a higher sequence. Such a path is back, and is held as before: a
        file that goes on unchanged writes no row that would tell.
        """
        files = self._fingerprints
        found = [one for one in found if sweep.gone or not one.is_asked_about]
        with writing_rows(event):
            raised = [
                (one, one.before.model_copy(update={"sequence": one.before.sequence + 1}))
                for one in self._as_found(found, in_work)
            ]
            rows = [files.put(one.path, after) for one, after in raised]
        await asyncio.gather(*rows)
        await self._send(
            [
                Left(
                    **_named(sweep, one.path),
                    sha256=leaves.sha256,
                    sequence=one.before.sequence,
                    reason=leaves.reason,
                )
                for one, _ in raised
                for leaves in one.departure.leaves
            ]
        )
        failpoints.reach("sweep-sent")
        with writing_rows(event):
            left = [
                (one, after.without(sweep.job_id, one.departure.held))
                for one, after in raised
                if one.path not in in_work and files.get(one.path) == after
            ]
            rows = [files.put(one.path, after) for one, after in left]
        await asyncio.gather(*rows)
        return _without(found, [one for one, _ in left])

    def _as_found(self, found: Iterable[_Found], in_work: set[bytes]) -> list[_Found]:
        """Return what is not in work, and whose rows are as they were when they were looked at."""
        return [one for one in found if one.path not in in_work and self._fingerprints.is_as_it_was(one.path, one.row)]

    async def _send(self, records: Sequence[Departed | Left]) -> None:
        await self._stage.send_files(IMAGE_OUTCOME, [(one.sha256.encode(), one, one.headers()) for one in records])

    async def _end(self, event: Event, sweep: Sweep) -> None:
        partitions, partition = self._stage.services.settings.kafka_partitions, event.message.partition
        if sweep.phase == "look":
            await self._stage.emit(
                Swept(
                    job_id=sweep.job_id,
                    at=now(),
                    partition=partition,
                    partitions=partitions,
                    departed=sweep.departed,
                    unread=sweep.unread,
                )
            )
            return
        end = LeftEnd(job_id=sweep.job_id, round=sweep.round, sent_from=partition)
        headers = Headers(job_id=sweep.job_id)
        deliveries = [
            await self._stage.send(IMAGE_OUTCOME, sweep.job_id, end, headers, number) for number in range(partitions)
        ]
        await asyncio.gather(*deliveries)


def _without(found: Iterable[_Found], done: Iterable[_Found]) -> list[bytes]:
    paths = {one.path for one in done}
    return [one.path for one in found if one.path not in paths]


def _places(sweep: Sweep) -> list[bytes]:
    """Return where it looks: at what was touched of the folder, or all of it."""
    return places_within(sweep.root, sweep.touched) if sweep.touched else [sweep.root]


def _departure(before: Fingerprint, seen: Seen, sweep: Sweep) -> Departure:
    return departing(before.held, seen, before.sha256, collection=sweep.collection, source=sweep.source)


def _named(sweep: Sweep, path: bytes) -> dict[str, Any]:
    shown, path_b64 = to_wire(path)
    return {"job_id": sweep.job_id, "collection": sweep.collection, "path": shown, "path_b64": path_b64}
