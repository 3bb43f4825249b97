"""Sweeps of hash: what has left the folder of a source, found by its table and the disk, a step a message.

The end marker of a source's whole walk asks for it (`topics.sweep`). The first look marks the rows of what would leave,
and tells prepare, which counts. The second has removed what was marked, and is still so.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import structlog

from agents.absence import Absence
from agents.leaving_out import Chosen
from agents.roots import allowed_roots
from agents.stage import StageApp, now
from core import failpoints
from core.errors import FileError
from rules.departures import Departure, Seen, departing
from rules.leaving_out import Patterns
from rules.paths import normal, places_within, to_wire
from streams.messages import Event
from streams.window import Window, writing_rows
from tables.fingerprints import Fingerprint, Fingerprints, holds_one, read_row
from topics.departure import Compare, Departed, Left, LeftEnd
from topics.image_outcome import IMAGE_OUTCOME
from topics.job_event import Guarded, Swept
from topics.raw_path import RAW_PATH
from topics.record import Headers
from topics.sweep import Sweep

T = TypeVar("T")

ROWS_AT_ONCE = 1000
# Of a message. Other files are taken in between.
PIECES_AT_ONCE = 20

log = structlog.get_logger()


class InWork:
    """The paths that hash has in work: what is found of them on the disk may be old by the time it is acted on."""

    def __init__(self) -> None:
        self._pieces: dict[int, Sequence[bytes]] = {}
        # By identity: two may hold the same paths.
        self._watches: dict[int, set[bytes]] = {}

    def begin(self, paths: Sequence[bytes]) -> None:
        """Note paths that were taken, as one piece of work."""
        self._pieces[id(paths)] = paths
        for watch in self._watches.values():
            watch.update(paths)

    def end(self, paths: Sequence[bytes]) -> None:
        """Note that a piece of work has ended, by the very list that it has begun with."""
        del self._pieces[id(paths)]

    async def until_done(self, paths: Sequence[bytes], work: Coroutine[Any, Any, T]) -> T:
        """Do work on paths, which are in work until then. They have begun already."""
        try:
            return await work
        finally:
            self.end(paths)

    @contextmanager
    def watched(self) -> Iterator[set[bytes]]:
        """Give the paths that are in work at any time until the block ends."""
        watch = set(chain.from_iterable(self._pieces.values()))
        self._watches[id(watch)] = watch
        try:
            yield watch
        finally:
            del self._watches[id(watch)]


class _Found(NamedTuple):
    """A path of which something leaves, or that is held by fewer: its row, and what that is to become."""

    path: bytes
    row: bytes
    before: Fingerprint
    departure: Departure

    @property
    def is_gone(self) -> bool:
        return any(one.reason == "gone" for one in self.departure.leaves)


class _Looked(NamedTuple):
    """What comes behind the rows that were looked at."""

    following: Sweep
    is_last: bool


@dataclass(slots=True)
class _Look:
    """A look at the disk, or why there can be none, and the paths that were in work since it began.

    Older than these, a listing would show what was written since to be gone. `steps`: how many take part in it.
    """

    absence: Absence | str
    in_work: set[bytes]
    watch: ExitStack
    steps: int = 0


class Sweeper:
    """Takes the steps of sweeps."""

    def __init__(self, stage: StageApp, fingerprints: Fingerprints, in_work: InWork) -> None:
        self._stage = stage
        self._fingerprints = fingerprints
        self._in_work = in_work
        self._looks: dict[tuple[str, int | None], _Look] = {}

    async def take(self, event: Event, sweep: Sweep, window: Window) -> None:
        """Take one step."""
        await window.add(event, self._step(event, sweep))

    async def ask(self, sweep: Sweep, partition: int) -> None:
        """Ask for a step in a partition of `raw-path`, and wait until that is delivered."""
        key = sweep.job_id.encode()
        await (await self._stage.send_raw(RAW_PATH.name, key, None, sweep.headers(), partition))

    async def _step(self, event: Event, sweep: Sweep) -> None:
        with structlog.contextvars.bound_contextvars(job_id=sweep.job_id, stage="hash"):
            if not sweep.after and not await self._is_compared(event, sweep) and sweep.phase == "look":
                return
            with self._looking(sweep, event.message.partition) as look:
                for _ in range(PIECES_AT_ONCE):
                    looked = await self._piece(event, sweep, look)
                    if isinstance(looked, str):
                        log.warning("sweep-guarded", source=sweep.source, reason=looked)
                        await self._stage.emit(Guarded(job_id=sweep.job_id, at=now(), reason=looked))
                        return
                    sweep, is_last = looked
                    if is_last:
                        break
            failpoints.reach("sweep-step")
            if is_last:
                await self._end(event, sweep)
            else:
                await self.ask(sweep, event.message.partition)

    @contextmanager
    def _looking(self, sweep: Sweep, partition: int) -> Iterator[_Look]:
        """Give a look at the disk: one for all partitions that are looked at at once, as the folders are the same."""
        key = (sweep.job_id, None if sweep.phase == "look" else partition)
        if (look := self._looks.get(key)) is None:
            watch = ExitStack()
            in_work = watch.enter_context(self._in_work.watched())
            look = self._looks[key] = _Look(self._absence(sweep), in_work, watch)
        look.steps += 1
        try:
            yield look
        finally:
            look.steps -= 1
            if not look.steps:
                del self._looks[key]
                look.watch.close()

    async def _piece(self, event: Event, sweep: Sweep, look: _Look) -> "_Looked | str":
        """Look at the next rows, and mark or remove what leaves. A text says why nothing can be said of any."""
        if isinstance(look.absence, str):
            return look.absence
        with writing_rows(event):
            rows = self._fingerprints.within(_places(sweep), sweep.after_path, ROWS_AT_ONCE)
        known = rows if sweep.phase == "look" else [one for one in rows if read_row(one[1]).leaving == sweep.job_id]
        looked = await asyncio.to_thread(look.absence.look, [path for path, _ in known])
        if isinstance(looked, str):
            return looked
        found = [
            _Found(path, row, before, departure)
            for (path, row), seen in zip(known, looked, strict=True)
            # Of nearly all nothing leaves, which their rows tell without being read whole.
            if not (seen == "there" and holds_one(row))
            and (departure := _departure(before := read_row(row), seen, sweep)).held != before.held
        ]
        if sweep.phase == "look":
            await self._mark(event, sweep, found, look.in_work)
        else:
            await self._remove(event, sweep, found, look.in_work)
        departed = sum(len(one.departure.leaves) for one in found)
        following = sweep.behind(rows[-1][0] if rows else b"", departed, looked.count("unread"))
        return _Looked(following, is_last=len(rows) < ROWS_AT_ONCE)

    async def _is_compared(self, event: Event, sweep: Sweep) -> bool:
        """Tell whether all is held here that prepare knows of the folder. Else it is asked, and the look comes behind.

        That is so once a folder: version 0.1.0 did not note what is in collections. And where messages were lost.
        """
        files, collection, folder = self._fingerprints, sweep.collection, _folder(sweep)
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

    def _absence(self, sweep: Sweep) -> Absence | str:
        settings = self._stage.services.settings
        folder = _folder(sweep)
        try:
            roots = allowed_roots(sweep.roots, settings)
            chosen = Chosen(Patterns(sweep.exclude), Patterns(settings.scan_exclude), frozenset({folder}))
        except (FileError, ValueError) as error:
            return str(error)
        return Absence(folder, roots, chosen, sweep.mounts)

    async def _mark(self, event: Event, sweep: Sweep, found: list[_Found], in_work: set[bytes]) -> None:
        """Mark the rows of what would leave, and tell prepare."""
        files = self._fingerprints
        marked, rows = [], []
        with writing_rows(event):
            for one in found:
                if one.path not in in_work and files.is_as_it_was(one.path, one.row):
                    marked.append(one)
                    rows.append(files.put(one.path, one.before.model_copy(update={"leaving": sweep.job_id})))
        departed = [
            Departed(**_named(sweep, one.path), sha256=leaves.sha256, reason=leaves.reason)
            for one in marked
            for leaves in one.departure.leaves
        ]
        await asyncio.gather(*rows)
        await self._send(departed)

    async def _remove(self, event: Event, sweep: Sweep, found: list[_Found], in_work: set[bytes]) -> None:
        """Have removed what leaves still. What is handed on for a path from now on has a higher sequence."""
        files = self._fingerprints
        raised: list[tuple[_Found, Fingerprint]] = []
        with writing_rows(event):
            for one in found:
                is_allowed = sweep.gone or not one.is_gone
                if is_allowed and one.path not in in_work and files.is_as_it_was(one.path, one.row):
                    raised.append((one, one.before.model_copy(update={"sequence": one.before.sequence + 1})))
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
            rows = [
                files.put(one.path, after.model_copy(update={"held": one.departure.held, "leaving": None}))
                for one, after in raised
                if files.get(one.path) == after
            ]
        await asyncio.gather(*rows)

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


def _folder(sweep: Sweep) -> bytes:
    return normal(os.fsencode(sweep.folder))


def _places(sweep: Sweep) -> list[bytes]:
    """Return where it looks: at what was touched of the folder, or all of it."""
    folder = _folder(sweep)
    return places_within(folder, sweep.touched) if sweep.touched else [folder]


def _departure(before: Fingerprint, seen: Seen, sweep: Sweep) -> Departure:
    return departing(before.held, seen, before.sha256, collection=sweep.collection, source=sweep.source)


def _named(sweep: Sweep, path: bytes) -> dict[str, Any]:
    shown, path_b64 = to_wire(path)
    return {"job_id": sweep.job_id, "collection": sweep.collection, "path": shown, "path_b64": path_b64}
