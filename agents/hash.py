"""hash: says which files belong to a job, and names their contents.

raw-path → seen on job-event, then hashed-file. A file whose size and time of change are those of
its fingerprint is not read again. A sentinel becomes `sealed`, and a tombstone on every partition
of hashed-file.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from agents.collections import WritableCollections
from agents.roots import allowed_roots
from agents.stage import Services, StageApp, now
from core import failpoints, metrics
from core.errors import DrainingError, FatalError, FileChangedError, FileError
from imaging import hashing
from imaging.files import FileStamp, Roots, check_within, outside_of_all
from streams.item import Item
from streams.messages import Event, header_list
from streams.rejecting import explain
from streams.window import Deliveries, Permits, Window
from tables.fingerprints import Fingerprint, Fingerprints
from topics.bundle import Bundle, Own, alike_of
from topics.files import FileOfJob
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import FailedFile
from topics.job_event import Sealed
from topics.raw_path import RAW_PATH, RawPath
from topics.sentinel import Sentinel, read_sentinel

WINDOW = 256
# A file that is being written is read again until it keeps still: a copy over a network pauses between its parts.
STILL_SECONDS = 0.5
STILL_ATTEMPTS = 10

# A file with these alone says no more of itself than where it is, and how it was found.
_PLAIN = {"path", "size", "mtime_ns"}
_PASSED_ON = set(FileOfJob.model_fields) - {"size", "mtime_ns", "model_id"}


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("hash", services, datadir)
    fingerprints = Fingerprints(stage.rows())
    hasher = _Hasher(stage, fingerprints, WritableCollections(services.qdrant, services.ml, services.settings))
    stage.consume_files(RAW_PATH, hasher.take, take_known=hasher.take_unchanged, end_marker=hasher.end, window=WINDOW)
    return stage


class _Hasher:
    def __init__(self, stage: StageApp, fingerprints: Fingerprints, collections: WritableCollections) -> None:
        self._stage = stage
        self._services = stage.services
        self._fingerprints = fingerprints
        self._collections = collections

    async def take_unchanged(self, event: Event, files: Bundle[RawPath], window: Window) -> Iterable[int]:
        """Send on together the files of a bundle that have not changed; return the indexes of all others."""
        first = files.first
        # What comes again may have other bytes under the same size and time of change.
        is_first_attempt = files.headers.attempt == 1 and first is not None and first.reread is None
        if first is None or not is_first_attempt or self._services.jobs.is_cancelled(first.job_id):
            return files.indexes_without(())
        plain = files.plain(_PLAIN)
        known = self._fingerprints.of_unchanged([file for _, file in plain])
        unchanged = {index: before for (index, _), before in zip(plain, known, strict=True) if before is not None}
        if unchanged:
            work = self._pass_on(event, files, unchanged)
            # They take the room of one: nothing slow is done with them.
            await window.add(event, work, permits=Permits(1, len(files.files)))
        return files.indexes_without(unchanged)

    async def take(self, items: list[Item[RawPath]], window: Window) -> None:
        """Take files of raw-path."""
        for item in items:
            before = self._fingerprints.get(item.record.path_bytes)
            work = self._stage.or_put_back(RAW_PATH, item, self._hash(item, before))
            await window.add(item.event, work, self._remember(item), item.permits())

    async def end(self, event: Event, window: Window) -> None:
        """Take the end marker of a walk."""
        sentinel = read_sentinel(event.message.headers)
        await window.add_in_order(event, lambda: self._seal(event, sentinel))

    async def _pass_on(self, event: Event, files: Bundle[RawPath], unchanged: Mapping[int, dict[str, Any]]) -> None:
        """Send on files that have not changed; those of a walk that is counted are seen when they have their outcome.

        `unchanged`: the fingerprints by the files' indexes in the bundle.
        """
        first = files.first
        assert first is not None  # noqa: S101 - or they were not known
        with structlog.contextvars.bound_contextvars(job_id=first.job_id, stage="hash"):
            try:
                model_id = await self._model_id(first)
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                for index in unchanged:
                    await self._refuse(event, files, index, error)
                return
            metrics.CACHE.labels("fingerprints", "hit").inc(len(unchanged))
            paths = {index: files.files[index]["path"] for index in unchanged}
            outside = await self._outside(first, [path.encode() for path in paths.values()])
            inside = [index for index, error in zip(unchanged, outside, strict=True) if error is None]
            # Where its end markers count them, none of them is missed: its outcome says that a file was seen, too.
            walk_id = first.walk_id if first.counted else None
            if walk_id is None:
                records = [files.entry(index).record for index in inside]
                await asyncio.gather(*(self._stage.report.seen(record) for record in records if record is not None))
                failpoints.reach("hash-seen")
            hashed = _hashed(first, Fingerprint(**next(iter(unchanged.values()))), model_id, walk_id)
            alike = alike_of(hashed, files.headers)
            own = [
                Own(unchanged[index]["sha256"].encode(), orjson.dumps({"path": paths[index]} | unchanged[index]))
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

    async def _outside(self, first: RawPath, paths: list[bytes]) -> list[FileError | None]:
        """Return for each file whether it lies outside the folders that all of them must lie in."""
        try:
            roots = allowed_roots(first.roots, self._services.settings)
        except FileError as error:
            return [error] * len(paths)
        return await asyncio.to_thread(outside_of_all, paths, roots)

    def _remember(self, item: Item[RawPath]) -> Callable[[Fingerprint | None], Deliveries]:
        path = item.record.path_bytes
        return lambda fresh: [] if fresh is None else [self._fingerprints.put(path, fresh)]

    async def _hash(self, item: Item[RawPath], before: Fingerprint | None) -> Fingerprint | None:
        """Take a file up; `before`: what it held when it was last read. Returns its fingerprint where that is new."""
        file, headers = item.record, item.headers
        # What comes again may have other bytes under the same size and time of change.
        known = before if headers.attempt == 1 else None
        with structlog.contextvars.bound_contextvars(job_id=file.job_id, stage="hash"):
            seen = self._stage.report.seen(file)
            if self._services.jobs.is_cancelled(file.job_id):
                await seen
                await self._stage.finish(file, "skipped", headers, reason="job cancelled")
                await self._let_go(item, before, "its job was cancelled")
                return None
            try:
                model_id = await self._model_id(file)
                fingerprint = await self._fingerprint(file, known)
                _check_content(file, fingerprint)
                metrics.CACHE.labels("fingerprints", "hit" if fingerprint is known else "miss").inc()
            except DrainingError:
                await seen  # put back, it comes behind the end marker of its walk
                raise
            except FatalError:
                raise
            except Exception as error:
                await seen
                await self._stage.fail(item, error)
                await self._let_go(item, before, explain(error))
                return None
            await seen
            failpoints.reach("hash-seen")
            hashed = _hashed(file, fingerprint, model_id)
            await self._stage.send_file(HASHED_FILE, hashed.sha256, hashed, hashed.headers(headers))
            failpoints.reach("hash-sent")
            if before is not None and before.sha256 != fingerprint.sha256:
                await self._let_go(item, before, "its content has changed")
            self._stage.handed_on(file, headers)
            return None if fingerprint is known else fingerprint

    async def _let_go(self, item: Item[RawPath], before: Fingerprint | None, reason: str) -> None:
        """Tell prepare of a file that begins again, and goes on no further with what it held before.

        It may own the claim on that: whoever waits for it takes over. A file that comes for the first time may be on
        its way to ML nevertheless, as when a kill has it taken up twice, and so has said nothing yet of its claim.
        """
        file = item.record
        if before is None or item.headers.attempt == 1:
            return
        model_id = file.model_id
        if model_id is None:
            known = await self._stage.persist(
                [file.job_id], lambda: self._collections.known(file.job_id, file.collection)
            )
            model_id = None if known is None else known.model_id
        if model_id is None:
            return
        held = _hashed(file, before, model_id)
        await self._stage.conclude(FailedFile(**held.file_fields(), reason=reason), item.headers)

    async def _seal(self, event: Event, sentinel: Sentinel) -> Deliveries:
        """Say that a walk ends on this partition, after all files before the sentinel were handed on."""
        partitions = self._services.settings.kafka_partitions
        sealed = await self._stage.publish(
            Sealed(
                job_id=sentinel.job_id,
                at=now(),
                walk_id=sentinel.walk_id,
                partition=event.message.partition,
                partitions=partitions,
                files=sentinel.files,
            )
        )
        failpoints.reach("hash-sealed")
        # The files before the sentinel are spread over all partitions of hashed-file.
        headers = header_list(event)
        tombstones = [
            await self._stage.send_raw(HASHED_FILE.name, sentinel.job_id.encode(), None, headers, partition)
            for partition in range(partitions)
        ]
        return [sealed, *tombstones]

    async def _model_id(self, file: RawPath) -> str:
        """Return the model of the file's job.

        A job that the scan stage began has its collection. For another, such as one of a program that
        publishes here, the collection may still have to be made, or may be of another model: that is told here, as
        ML would be waited for in vain.
        """
        known = self._known_model(file)
        if known is not None:
            return known
        return await self._stage.persist(
            [file.job_id], lambda: self._collections.ensure(file.job_id, file.collection, file.model_id)
        )

    def _known_model(self, file: RawPath) -> str | None:
        status = self._services.jobs.status(file.job_id)
        if status is None or (status.model_id, status.collection) != (file.model_id, file.collection):
            return None
        return file.model_id

    async def _fingerprint(self, file: RawPath, known: Fingerprint | None) -> Fingerprint:
        """Return the known fingerprint if the file has not changed since, else read the file."""
        roots = allowed_roots(file.roots, self._services.settings)
        if known is None:
            return await self._read(file, roots)
        if roots is not None:
            await asyncio.to_thread(check_within, file.path_bytes, roots)
        stamp = file.stamp
        if stamp is None:
            stamp = await asyncio.to_thread(hashing.stamp, file.path_bytes)
        return known if known.matches(stamp) else await self._read(file, roots)

    async def _read(self, file: RawPath, roots: Roots) -> Fingerprint:
        for _ in range(STILL_ATTEMPTS):
            try:
                sha256, stamp = await self._services.cpu.run_for_file(
                    file.size,
                    hashing.hash_file,
                    file.path_bytes,
                    roots,
                    max_bytes=self._services.settings.max_file_bytes,
                )
            except FileChangedError:
                await asyncio.sleep(STILL_SECONDS)
            else:
                if await _is_still(file.path_bytes, stamp):
                    return Fingerprint(size=stamp.size, mtime_ns=stamp.mtime_ns, ctime_ns=stamp.ctime_ns, sha256=sha256)
        raise FileChangedError(f"{file.path} does not stop changing. Scan again when it is complete.")


def _hashed(file: RawPath, fingerprint: Fingerprint, model_id: str, walk_id: str | None = None) -> HashedFile:
    fields = {name: getattr(file, name) for name in _PASSED_ON}
    return HashedFile.model_validate(fields | fingerprint.__dict__ | {"model_id": model_id, "walk_id": walk_id})


def _check_content(file: RawPath, fingerprint: Fingerprint) -> None:
    """Raise FileError where a file that is to be read again is not the one that is stored."""
    if file.reread not in {None, fingerprint.sha256}:
        raise FileError(f"{file.path} holds another picture than the one that is stored: ingest its folder.")


async def _is_still(path: bytes, stamp: FileStamp) -> bool:
    """Tell whether a file has kept still for a moment. One that was changed long ago has."""
    age = time.time() - stamp.mtime_ns / 1e9
    if age >= STILL_SECONDS:
        return True
    await asyncio.sleep(STILL_SECONDS - max(0.0, age))
    return await asyncio.to_thread(hashing.stamp, path) == stamp
