"""hash: says which files belong to a job, and names their contents.

raw-path → seen on job-event, then hashed-file. A file whose size and time of change are those of
its fingerprint is not read again. A sentinel becomes `sealed`, and a tombstone on every partition
of hashed-file.
"""

import asyncio
import time
from pathlib import Path

import faust
import structlog

import failpoints
import metrics
from agents.collections import Collections
from agents.delivery import Deliveries, Window
from agents.messages import header_list
from agents.roots import allowed_roots
from agents.stage import Parts, StageApp, explain, now
from errors import DrainingError, FatalError, FileChangedError, FileError
from imaging import hashing
from imaging.files import FileStamp, Roots, check_within
from tables.fingerprints import Fingerprint, Fingerprints
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import FailedFile
from topics.job_event import Sealed
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers
from topics.sentinel import Sentinel, read_sentinel

WINDOW = 256
# A file that is being written is read again until it keeps still: a copy over a network pauses between its parts.
STILL_SECONDS = 0.5
STILL_ATTEMPTS = 10


def build(parts: Parts, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("hash", parts, datadir)
    fingerprints = Fingerprints(stage.rows())
    hasher = _Hasher(stage, fingerprints, Collections(parts.qdrant, parts.ml, parts.settings))
    stage.consume(RAW_PATH.name, hasher.take, window=WINDOW)
    return stage


class _Hasher:
    def __init__(self, stage: StageApp, fingerprints: Fingerprints, collections: Collections) -> None:
        self._stage = stage
        self._parts = stage.parts
        self._fingerprints = fingerprints
        self._collections = collections

    async def take(self, event: faust.Event, window: Window) -> None:
        """Take a file or a sentinel of raw-path."""
        if event.value is None:
            sentinel = read_sentinel(event.message.headers)
            await window.add_in_order(event, lambda: self._seal(event, sentinel))
            return
        file = RAW_PATH.decode(event.value)
        path = file.path_bytes

        def remember(fresh: Fingerprint | None) -> Deliveries:
            return [] if fresh is None else [self._fingerprints.put(path, fresh)]

        await window.add(event, self._hash(event, file, self._fingerprints.get(path)), remember)

    async def _hash(self, event: faust.Event, file: RawPath, before: Fingerprint | None) -> Fingerprint | None:
        """Take a file up; `before`: what it held when it was last read. Returns its fingerprint where that is new."""
        headers = Headers.decode(event.message.headers)
        # What comes again may have other bytes under the same size and time of change.
        known = before if headers.attempt == 1 else None
        with structlog.contextvars.bound_contextvars(job_id=file.job_id, stage="hash"):
            seen = self._stage.report.seen(file)
            if self._parts.jobs.is_cancelled(file.job_id):
                await seen
                await self._stage.finish(file, "skipped", headers, reason="job cancelled")
                await self._let_go(file, before, headers, "its job was cancelled")
                return None
            try:
                model_id = await self._model_id(file)
                fingerprint = await self._fingerprint(file, known)
                _check_content(file, fingerprint)
                metrics.CACHE.labels("fingerprints", "hit" if fingerprint is known else "miss").inc()
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                await seen
                await self._stage.fail(event, file, error, headers)
                await self._let_go(file, before, headers, explain(error))
                return None
            await seen
            failpoints.reach("hash-seen")
            hashed = HashedFile(
                **file.model_dump(exclude={"size", "mtime_ns", "model_id"}),
                **fingerprint.model_dump(),
                model_id=model_id,
            )
            await (await self._stage.send(HASHED_FILE, hashed.sha256, hashed, hashed.headers(headers)))
            failpoints.reach("hash-sent")
            if before is not None and before.sha256 != fingerprint.sha256:
                await self._let_go(file, before, headers, "its content has changed")
            self._stage.handed_on(file, headers)
            return None if fingerprint is known else fingerprint

    async def _let_go(self, file: RawPath, before: Fingerprint | None, headers: Headers, reason: str) -> None:
        """Tell prepare of a file that begins again, and goes on no further with what it held before.

        It may own the claim on that: whoever waits for it takes over. A file that comes for the first time may be on
        its way to ML nevertheless, as when a kill has it taken up twice, and so has said nothing yet of its claim.
        """
        if before is None or headers.attempt == 1:
            return
        model_id = file.model_id
        if model_id is None:
            known = await self._stage.persist(
                [file.job_id], lambda: self._collections.known(file.job_id, file.collection)
            )
            model_id = None if known is None else known.model_id
        if model_id is None:
            return
        held = HashedFile(
            **file.model_dump(exclude={"size", "mtime_ns", "model_id"}), **before.model_dump(), model_id=model_id
        )
        await self._stage.conclude(FailedFile(**held.file_fields(), reason=reason), headers)

    async def _seal(self, event: faust.Event, sentinel: Sentinel) -> Deliveries:
        """Say that a walk ends on this partition, after all files before the sentinel were handed on."""
        partitions = self._parts.settings.kafka_partitions
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
        status = self._parts.jobs.status(file.job_id)
        if file.model_id and status and (status.model_id, status.collection) == (file.model_id, file.collection):
            return file.model_id
        return await self._stage.persist(
            [file.job_id], lambda: self._collections.ensure(file.job_id, file.collection, file.model_id)
        )

    async def _fingerprint(self, file: RawPath, known: Fingerprint | None) -> Fingerprint:
        """Return the known fingerprint if the file has not changed since, else read the file."""
        roots = allowed_roots(file.roots, self._parts.settings)
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
                sha256, stamp = await self._parts.cpu.run(
                    hashing.hash_file, file.path_bytes, roots, max_bytes=self._parts.settings.max_file_bytes
                )
            except FileChangedError:
                await asyncio.sleep(STILL_SECONDS)
            else:
                if await _is_still(file.path_bytes, stamp):
                    return Fingerprint(size=stamp.size, mtime_ns=stamp.mtime_ns, ctime_ns=stamp.ctime_ns, sha256=sha256)
        raise FileChangedError(f"{file.path} does not stop changing. Scan again when it is complete.")


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
