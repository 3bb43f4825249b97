"""The files of one message that have not changed since hash last read them: they go on together, unread."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import structlog

from agents.hash.brought import Brought
from agents.hash.fingerprinting import Fingerprinter
from agents.hash.handing_on import hashed_file, told_of
from agents.hash.in_work import InWork
from agents.hash.models import Models
from agents.stage import StageApp
from core import failpoints, metrics
from core.errors import DrainingError, FatalError
from rules import hashing
from rules.departures import PLAIN
from rules.hashing import Arrived
from streams.messages import Event
from streams.window import Permits, Window
from tables.fingerprints import Fingerprint, Fingerprints, holds_one
from topics.bundle import Bundle, Own, alike_of
from topics.hashed_file import HASHED_FILE
from topics.raw_path import RawPath

# A file with these alone says no more of itself than where it is, and how it was found.
_PLAIN = {"path", "size", "mtime_ns"}


class UnchangedFiles:
    """Sends them on as one piece of work: none of them costs a task."""

    def __init__(
        self,
        stage: StageApp,
        fingerprints: Fingerprints,
        fingerprinter: Fingerprinter,
        models: Models,
        *,
        in_work: InWork,
        brought: Brought,
    ) -> None:
        self._stage = stage
        self._jobs = stage.services.jobs
        self._fingerprints = fingerprints
        self._fingerprinter = fingerprinter
        self._models = models
        self._in_work = in_work
        self._brought = brought

    async def take(self, event: Event, files: Bundle[RawPath], window: Window) -> Iterable[int]:
        """Send on the files of a bundle that have not changed; return the indexes of all others."""
        first = files.first
        if first is None:
            return files.indexes_without(())
        is_cancelled = self._jobs.is_cancelled(first.job_id)
        arrived: Arrived[Fingerprint] = Arrived(first.path, files.headers.attempt, is_cancelled, wanted=first.reread)
        if not hashing.go_together(arrived):
            return files.indexes_without(())
        plain = files.plain(_PLAIN)
        by = first.source or PLAIN
        known = self._fingerprints.of_unchanged([file for _, file in plain], first.job_id, first.collection, by)
        found = {index: row for (index, _), row in zip(plain, known, strict=True) if row is not None}
        unchanged = {index: row.fields for index, row in found.items()}
        if unchanged:
            paths = [files.files[index]["path"].encode() for index in unchanged]
            if first.source is not None and first.walk_id is not None:
                rows = zip(paths, found.values(), strict=True)
                self._brought.note(first.walk_id, [(path, one.row) for path, one in rows if holds_one(one.fields)])
            self._in_work.begin(paths)
            work = self._in_work.until_done(paths, self._pass_on(event, files, first, unchanged))
            # They take the room of one: nothing slow is done with them.
            await window.add(event, work, permits=Permits(1, len(files.files)))
        return files.indexes_without(unchanged)

    async def _pass_on(
        self, event: Event, files: Bundle[RawPath], first: RawPath, unchanged: Mapping[int, dict[str, Any]]
    ) -> None:
        """Send on files that have not changed. `unchanged`: their fingerprints by their indexes in the bundle."""
        with structlog.contextvars.bound_contextvars(job_id=first.job_id, stage="hash"):
            try:
                first = await self._models.with_model(first)
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                for index in unchanged:
                    await self._refuse(event, files, index, error)
                return
            metrics.CACHE.labels("fingerprints", "hit").inc(len(unchanged))
            paths = [files.files[index]["path"].encode() for index in unchanged]
            outside = dict(zip(unchanged, await self._fingerprinter.outside(first, paths), strict=True))
            inside = [index for index, error in outside.items() if error is None]
            await self._send(files, first, unchanged, inside)
            for index, is_outside in outside.items():
                if is_outside is not None:
                    await self._refuse(event, files, index, is_outside)

    async def _send(
        self,
        files: Bundle[RawPath],
        first: RawPath,
        unchanged: Mapping[int, dict[str, Any]],
        inside: Sequence[int],
    ) -> None:
        """Report as seen the files that lie where they may, where their outcome does not say so; then hand them on."""
        walk_id = hashing.seen_by_outcome(first.walk_id, is_counted=bool(first.counted))
        if walk_id is None:
            records = [files.entry(index).record for index in inside]
            await asyncio.gather(*(self._stage.report.seen(record) for record in records if record is not None))
            failpoints.reach("hash-seen")
        hashed = hashed_file(first, Fingerprint(**next(iter(unchanged.values()))), walk_id)
        own = [
            Own(
                unchanged[index]["sha256"].encode(),
                orjson.dumps(told_of(unchanged[index]) | {"path": files.files[index]["path"]}),
            )
            for index in inside
        ]
        await self._stage.send_alike(HASHED_FILE, alike_of(hashed, files.headers), own)
        failpoints.reach("hash-sent")
        self._stage.handed_on(first, files.headers, len(inside))

    async def _refuse(self, event: Event, files: Bundle[RawPath], index: int, error: Exception) -> None:
        entry = files.entry(index)
        assert entry.record is not None  # noqa: S101 - its path is known
        item = self._stage.item(event, entry.record, entry.headers, index, len(files.files))
        await self._stage.report.seen(item.record)
        await self._stage.fail(item, error)
