"""hash: says which files belong to a job, and names their contents.

It takes raw-path. It decides in rules/hashing: a file whose size and time of change are those of its fingerprint is not
read again, unless it comes for another attempt; those of one message go on together.
It sends seen on job-event, then hashed-file; image-outcome, where a file that begins again lets go of what it held. A
sentinel becomes `sealed`, and a tombstone on every partition of hashed-file.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from agents.collections import WritableCollections
from agents.hash.fingerprinting import Fingerprinter
from agents.hash.forgetting import PathForgetter
from agents.hash.handing_on import as_kept, hashed_file, holder_of, told_of
from agents.hash.in_work import InWork
from agents.hash.sweeping import Sweeper
from agents.stage import Services, StageApp, now
from core import failpoints, metrics
from core.errors import DrainingError, FatalError
from rules import hashing
from rules.departures import PLAIN
from rules.hashing import Arrived, Effect, Effects, Fail, HandOn, LetGo, Look, Remember, Skip
from streams.item import Item
from streams.messages import Event, header_list
from streams.rejecting import explain
from streams.tasks import delivered
from streams.window import Deliveries, Permits, Window, writing_rows
from tables.fingerprints import Fingerprint, Fingerprints
from topics.bundle import Bundle, Own, alike_of
from topics.erasure import read_for_hash
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import FailedFile
from topics.job_event import Sealed
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers
from topics.sentinel import Sentinel, read_sentinel
from topics.sweep import BEHIND, Sweep, read_known, read_sweep

WINDOW = 256

# A file with these alone says no more of itself than where it is, and how it was found.
_PLAIN = {"path", "size", "mtime_ns"}


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("hash", services, datadir)
    fingerprints = Fingerprints(stage.rows())
    collections = WritableCollections(services.qdrant, services.ml, services.settings)
    hasher = _Hasher(stage, fingerprints, collections, Fingerprinter(services))
    stage.consume_files(RAW_PATH, hasher.take, take_known=hasher.take_unchanged, end_marker=hasher.end, window=WINDOW)
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
        self._collections = collections
        self._fingerprinter = fingerprinter
        self._in_work = InWork()
        self._sweeper = Sweeper(stage, fingerprints, self._in_work)
        self._forgetter = PathForgetter(stage, fingerprints, self._in_work)

    async def take_unchanged(self, event: Event, files: Bundle[RawPath], window: Window) -> Iterable[int]:
        """Send on together the files of a bundle that have not changed; return the indexes of all others."""
        first = files.first
        if first is None or not hashing.go_together(self._arrived(first, files.headers, None)):
            return files.indexes_without(())
        plain = files.plain(_PLAIN)
        by = first.source or PLAIN
        known = self._fingerprints.of_unchanged([file for _, file in plain], first.job_id, first.collection, by)
        unchanged = {index: before for (index, _), before in zip(plain, known, strict=True) if before is not None}
        if unchanged:
            paths = [files.files[index]["path"].encode() for index in unchanged]
            self._in_work.begin(paths)
            work = self._in_work.until_done(paths, self._pass_on(event, files, first, unchanged))
            # They take the room of one: nothing slow is done with them.
            await window.add(event, work, permits=Permits(1, len(files.files)))
        return files.indexes_without(unchanged)

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
        """Take an end marker, a step of a sweep, what prepare knows before the first, or what is forgotten."""
        if (forgotten := read_for_hash(event.message.headers)) is not None:
            await self._forgetter.take(event, forgotten, window)
            return
        sentinel = read_sentinel(event.message.headers)
        if (known := read_known(event.message.headers)) is not None:
            rows = [row for one in known for row in self._fingerprints.hold(*one)]
            await window.add(event, delivered(rows))
            return
        sweep = read_sweep(event.message.headers)
        if sweep is not None:
            await self._sweeper.take(event, sweep, window)
            return
        behind = read_sweep(event.message.headers, BEHIND)
        await window.add_in_order(event, lambda: self._seal(event, sentinel, behind))

    async def _pass_on(
        self, event: Event, files: Bundle[RawPath], first: RawPath, unchanged: Mapping[int, dict[str, Any]]
    ) -> None:
        """Send on files that have not changed. `unchanged`: their fingerprints by their indexes in the bundle."""
        with structlog.contextvars.bound_contextvars(job_id=first.job_id, stage="hash"):
            try:
                first = await self._with_model(first)
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                for index in unchanged:
                    await self._refuse(event, files, index, error)
                return
            metrics.CACHE.labels("fingerprints", "hit").inc(len(unchanged))
            paths = {index: files.files[index]["path"] for index in unchanged}
            outside = await self._fingerprinter.outside(first, [path.encode() for path in paths.values()])
            inside = [index for index, error in zip(unchanged, outside, strict=True) if error is None]
            walk_id = hashing.seen_by_outcome(first.walk_id, is_counted=bool(first.counted))
            if walk_id is None:
                records = [files.entry(index).record for index in inside]
                await asyncio.gather(*(self._stage.report.seen(record) for record in records if record is not None))
                failpoints.reach("hash-seen")
            hashed = hashed_file(first, Fingerprint(**next(iter(unchanged.values()))), walk_id)
            alike = alike_of(hashed, files.headers)
            own = [
                Own(
                    unchanged[index]["sha256"].encode(),
                    orjson.dumps(told_of(unchanged[index]) | {"path": paths[index]}),
                )
                for index in inside
            ]
            await self._stage.send_alike(HASHED_FILE, alike, own)
            failpoints.reach("hash-sent")
            self._stage.handed_on(first, files.headers, len(inside))
            for index, is_outside in zip(unchanged, outside, strict=True):
                if is_outside is not None:
                    await self._refuse(event, files, index, is_outside)

    async def _refuse(self, event: Event, files: Bundle[RawPath], index: int, error: Exception) -> None:
        entry = files.entry(index)
        assert entry.record is not None  # noqa: S101 - its path is known
        item = self._stage.item(event, entry.record, entry.headers, index, len(files.files))
        await self._stage.report.seen(item.record)
        await self._stage.fail(item, error)

    def _remember(self, item: Item[RawPath]) -> Callable[[Fingerprint | None], Deliveries]:
        file, by = item.record, holder_of(item.record)
        return lambda fresh: (
            []
            if fresh is None
            else self._fingerprints.hand_on(file.path_bytes, fresh, file.job_id, file.collection, by)
        )

    async def _hash(self, item: Item[RawPath], before: Fingerprint | None) -> Fingerprint | None:
        """Take a file up; `before`: what it held when it was last read. Return what is to be remembered of it."""
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
        """Return the file, with its model where that was found, and what follows from what it holds."""
        file = item.record
        arrived = self._arrived(file, item.headers, before)
        begins = hashing.arrived(arrived)
        if not isinstance(begins, Look):
            return file, begins
        known = before if begins.trusts_stamp else None
        try:
            file = await self._with_model(file)
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
                pass  # in the order of arrival

    async def _hold(self, item: Item[RawPath], content: Fingerprint) -> None:
        """Note what is handed on before that is done: after a kill the path may hold something else."""
        file, by = item.record, holder_of(item.record)
        if by is not None:
            with writing_rows(item.event):
                rows = self._fingerprints.hold_ahead(file.path_bytes, content, file.job_id, file.collection, by)
            await asyncio.gather(*rows)

    async def _let_go(self, file: RawPath, held: Fingerprint, reason: str, headers: Headers) -> None:
        if file.model_id is None:
            known = await self._stage.persist(
                [file.job_id], lambda: self._collections.known(file.job_id, file.collection)
            )
            if known is None or known.model_id is None:
                return
            file = file.model_copy(update={"model_id": known.model_id})
        outcome = FailedFile(**hashed_file(file, held).file_fields(), reason=reason)
        await self._stage.conclude(outcome, headers)

    async def _seal(self, event: Event, sentinel: Sentinel, behind: Sweep | None) -> Deliveries:
        """Say that a walk ends on this partition, after all files before the sentinel were handed on.

        `behind`: what is looked for then.
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

    async def _with_model(self, file: RawPath) -> RawPath:
        """Return a file with the model of its job.

        A job that the scan stage began has its collection. For another, such as one of a program that
        publishes here, the collection may still have to be made, or may be of another model: that is told here, as
        ML would be waited for in vain.
        """
        status = self._jobs.status(file.job_id)
        named = file.model_id, file.collection
        if file.model_id is not None and status is not None and (status.model_id, status.collection) == named:
            return file
        model_id = await self._stage.persist(
            [file.job_id], lambda: self._collections.ensure(file.job_id, file.collection, file.model_id)
        )
        return file if file.model_id == model_id else file.model_copy(update={"model_id": model_id})
