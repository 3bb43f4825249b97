"""hash: says which files belong to a job, and names their contents.

It takes raw-path. It decides in rules/hashing: a file whose size and time of change are those of its fingerprint is not
read again, unless it comes for another attempt; those of one message go on together.
It sends seen on job-event, then hashed-file; image-outcome, where a file that begins again lets go of what it held. A
sentinel becomes `sealed`, and a tombstone on every partition of hashed-file.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from agents.collections import WritableCollections
from agents.hash.brought import Brought
from agents.hash.fingerprinting import Fingerprinter
from agents.hash.forgetting import PathForgetter
from agents.hash.handing_on import as_kept, hashed_file, holder_of
from agents.hash.in_work import InWork
from agents.hash.models import Models
from agents.hash.sweeping import Sweeper
from agents.hash.unchanged import UnchangedFiles
from agents.stage import Services, StageApp, now
from core import failpoints, metrics
from core.errors import DrainingError, FatalError
from rules import hashing
from rules.hashing import Arrived, Effect, Effects, Fail, HandOn, LetGo, Look, Remember, Skip
from streams.item import Item
from streams.messages import Event, header_list
from streams.rejecting import explain
from streams.tasks import delivered
from streams.window import Deliveries, Window, writing_rows
from tables.fingerprints import Fingerprint, Fingerprints
from topics.erasure import read_for_hash
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import FailedFile
from topics.job_event import Sealed
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers
from topics.sentinel import Sentinel, read_sentinel
from topics.sweep import BEHIND, Sweep, read_known, read_sweep

WINDOW = 256


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("hash", services, datadir)
    fingerprints = Fingerprints(stage.rows())
    collections = WritableCollections(services.qdrant, services.ml, services.settings)
    hasher = _Hasher(stage, fingerprints, collections, Fingerprinter(services))
    stage.consume_files(RAW_PATH, hasher.take, take_known=hasher.unchanged.take, end_marker=hasher.end, window=WINDOW)
    return stage


class _Hasher:
    def __init__(
        self,
        stage: StageApp,
        fingerprints: Fingerprints,
        collections: WritableCollections,
        fingerprinter: Fingerprinter,
    ) -> None:
        self._stage = stage
        self._jobs = stage.services.jobs
        self._partitions = stage.services.settings.kafka_partitions
        self._fingerprints = fingerprints
        self._fingerprinter = fingerprinter
        self._in_work = InWork()
        self._models = Models(stage, collections)
        brought = Brought()
        self.unchanged = UnchangedFiles(
            stage, fingerprints, fingerprinter, self._models, in_work=self._in_work, brought=brought
        )
        self._sweeper = Sweeper(stage, fingerprints, self._in_work, brought)
        self._forgetter = PathForgetter(stage, fingerprints, self._in_work)

    async def take(self, items: list[Item[RawPath]], window: Window) -> None:
        """Take files of raw-path."""
        for item in items:
            path = item.record.path_bytes
            before = self._fingerprints.get(path)
            paths = [path]
            self._in_work.begin(paths)
            work = self._stage.or_put_back(RAW_PATH, item, self._hash(item, before))
            work = self._in_work.until_done(paths, work)
            await window.add(item.event, work, self._remember(item), item.permits())

    async def end(self, event: Event, window: Window) -> None:
        """Take a message without a value: what to forget, a step of a sweep or what it has to know, an end marker."""
        headers = event.message.headers
        if (forgotten := read_for_hash(headers)) is not None:
            await self._forgetter.take(event, forgotten, window)
            return
        sentinel = read_sentinel(headers)
        if (known := read_known(headers)) is not None:
            rows = [row for one in known for row in self._fingerprints.hold(*one)]
            await window.add(event, delivered(rows))
        elif (sweep := read_sweep(headers)) is not None:
            await self._sweeper.take(event, sweep, window)
        else:
            behind = read_sweep(headers, BEHIND)
            await window.add_in_order(event, lambda: self._seal(event, sentinel, behind))

    def _remember(self, item: Item[RawPath]) -> Callable[[Fingerprint | None], Deliveries]:
        file, by = item.record, holder_of(item.record)
        return lambda fresh: (
            []
            if fresh is None
            else self._fingerprints.hand_on(file.path_bytes, fresh, file.job_id, file.collection, by)
        )

    async def _hash(self, item: Item[RawPath], before: Fingerprint | None) -> Fingerprint | None:
        """Do all of a file's work; return what its row is to say, if anything.

        `before`: what the file held when it was last read.
        """
        with structlog.contextvars.bound_contextvars(job_id=item.record.job_id, stage="hash"):
            seen = self._stage.report.seen(item.record)
            try:
                file, effects = await self._decide(item, before)
            except DrainingError:
                await seen  # put back, it comes behind the end marker of its walk
                raise
            await seen
            for effect in effects:
                await self._do(effect, item, file, before)
            return next((effect.content for effect in effects if isinstance(effect, Remember)), None)

    async def _decide(self, item: Item[RawPath], before: Fingerprint | None) -> tuple[RawPath, Effects[Fingerprint]]:
        """Return the file, with its job's model where that was found, and the effects of what it holds."""
        file = item.record
        arrived = self._arrived(file, item.headers, before)
        begins = hashing.arrived(arrived)
        if not isinstance(begins, Look):
            return file, begins
        known = before if begins.trusts_stamp else None
        try:
            file = await self._models.with_model(file)
            if file.kept:
                return as_kept(file)
            content = await self._fingerprinter.fingerprint(file, known)
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            if file.task is not None and hashing.does_without(error):
                return as_kept(file)
            return file, hashing.failed(arrived, error, explain(error))
        if file.task is not None and file.reread != content.sha256:
            return as_kept(file)
        metrics.CACHE.labels("fingerprints", "hit" if content is known else "miss").inc()
        return file, hashing.found(arrived, content)

    def _arrived(self, file: RawPath, headers: Headers, before: Fingerprint | None) -> Arrived[Fingerprint]:
        return Arrived(file.path, headers.attempt, self._jobs.is_cancelled(file.job_id), before, file.reread)

    async def _do(
        self, effect: Effect[Fingerprint], item: Item[RawPath], file: RawPath, before: Fingerprint | None
    ) -> None:
        headers = item.headers
        match effect:
            case Skip(reason):
                await self._stage.finish(file, "skipped", headers, reason=reason)
            case Fail(error):
                await self._stage.fail(item, error)
            case HandOn(content):
                await self._hold(item, content)
                failpoints.reach("hash-seen")
                hashed = hashed_file(file, content, before=before)
                await self._stage.send_file(HASHED_FILE, hashed.lies_by, hashed, hashed.headers(headers))
                failpoints.reach("hash-sent")
                self._stage.handed_on(file, headers)
            case LetGo(held, reason):
                await self._let_go(file, held, reason, headers)
            case Remember():
                pass  # the window writes it, in the order of arrival

    async def _hold(self, item: Item[RawPath], content: Fingerprint) -> None:
        """Write what the path holds before that is sent on: after a kill, the path may hold something else."""
        file, by = item.record, holder_of(item.record)
        if by is not None:
            with writing_rows(item.event):
                rows = self._fingerprints.hold_ahead(file.path_bytes, content, file.job_id, file.collection, by)
            await asyncio.gather(*rows)

    async def _let_go(self, file: RawPath, held: Fingerprint, reason: str, headers: Headers) -> None:
        of_model = await self._models.with_known_model(file)
        if of_model is not None:
            outcome = FailedFile(**hashed_file(of_model, held).file_fields(), reason=reason)
            await self._stage.conclude(outcome, headers)

    async def _seal(self, event: Event, sentinel: Sentinel, behind: Sweep | None) -> Deliveries:
        """Say that a walk has ended on this partition: all files before its sentinel were handed on.

        `behind`: the sweep that begins behind the walk.
        """
        sealed = await self._stage.publish(
            Sealed(
                job_id=sentinel.job_id,
                at=now(),
                walk_id=sentinel.walk_id,
                partition=event.message.partition,
                partitions=self._partitions,
                files=sentinel.files,
            )
        )
        failpoints.reach("hash-sealed")
        # The files before the sentinel are spread over all partitions of hashed-file.
        headers = [(name, value) for name, value in header_list(event) if name != BEHIND]
        tombstones = [
            await self._stage.send_raw(HASHED_FILE.name, sentinel.job_id.encode(), None, headers, partition)
            for partition in range(self._partitions)
        ]
        if behind is not None:
            await sealed
            await self._sweeper.ask(behind, event.message.partition)
        return [sealed, *tombstones]
