"""Removes files that were sent over HTTP, once nothing needs them any more: else `uploads` would only grow.

A file is needed while a point of any collection names it, while a job is not finished that it belongs to or that has
yet to read it, and while a dead letter is there that would read it again, or was replayed and may be on its way. One
that was not needed for as long as Kafka keeps messages is removed: until then a replay of `raw-path` brings back the
points of a collection that was deleted by mistake, and needs it.

What was moved into the archive stays, so that the move can be undone. See docs/decisions/0036-uploads.md.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import structlog

from api.uploads.receiving import UnderWay
from api.view.database import Database
from api.view.dead_letters import DeadLetterFilter
from api.view.view import JobView
from core.errors import CollectionMissingError, DarkroomError, FileError
from core.settings import Settings
from gateways.qdrant import Qdrant
from imaging.hashing import hash_file
from rules.identity import point_id
from rules.many_paths import MORE_PATHS, listed
from rules.paths import end_of, readable
from topics.job_status import FINISHED

FIRST_SECONDS = 60.0
EVERY_SECONDS = 24 * 3600.0
FILES_AT_ONCE = 100
ROWS_AT_ONCE = 1000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uploads (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL,
    unneeded_since REAL,    -- seconds since 1970; null: it is needed
    seen_at REAL NOT NULL
) WITHOUT ROWID;
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _File:
    path: bytes
    sha256: str
    unneeded_since: float | None

    @property
    def name(self) -> str:
        """JOB/INDEX/NAME: the folder above may have moved since, with a link in its place."""
        return end_of(readable(self.path))


class UploadCleaner:
    """The only one that removes files of finished uploads. `keep_seconds`: how long after they were needed last."""

    def __init__(
        self,
        folder: Path,
        database: Database,
        view: JobView,
        qdrant: Qdrant,
        under_way: UnderWay,
        *,
        keep_seconds: float,
    ) -> None:
        self._folder = folder
        self._database = database
        self._view = view
        self._qdrant = qdrant
        self._under_way = under_way
        self._keep_seconds = keep_seconds

    async def run(self) -> None:
        """Clean soon after the start, then once a day."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.clean()
            except (DarkroomError, OSError, sqlite3.Error) as error:
                log.warning("uploads-not-cleaned", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(EVERY_SECONDS)

    async def clean(self, now: float | None = None) -> int:
        """Look at all files once, and return how many were removed. `now`: seconds since 1970.

        Does nothing while the view is behind Kafka. Raises QdrantUnavailableError, KafkaUnavailableError with the rest
        left as it is.
        """
        if await self._view.problem():
            return 0
        await self._view.catch_up()  # a job may have come just now that has yet to read a file
        now = time.time() if now is None else now
        waiting = await self._paths_of_letters() | await self._paths_of_jobs()
        removed = 0
        for job in await asyncio.to_thread(_folders, self._folder):
            is_at_rest = await self._is_at_rest(job.name)
            files = _files(job)
            while chunk := await asyncio.to_thread(_next, files):
                known = await self._known(chunk, now)
                needed = await self._named(known) | waiting if is_at_rest else {file.name for file in known}
                removed += await self._decide(known, needed, now)
            await asyncio.to_thread(_remove_empty, job)
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM uploads WHERE seen_at < ?", (now,))
        )
        if removed:
            log.info("uploads-cleaned", files=removed)
        return removed

    async def _is_at_rest(self, job_id: str) -> bool:
        if job_id in self._under_way:
            return False
        status = await self._view.status(job_id)
        return status is None or status.status in FINISHED

    async def _paths_of_letters(self) -> set[str]:
        """Return the names of the uploads that a dead letter waits for, whatever job it is of."""
        found: set[str] = set()
        cursor: str | None = None
        while True:
            letters, cursor = await self._view.letters.find(DeadLetterFilter(), limit=ROWS_AT_ONCE, cursor=cursor)
            found |= {
                end_of(letter.path) for letter in letters if letter.state != "dropped" and _is_upload(letter.path)
            }
            if cursor is None:
                return found

    async def _paths_of_jobs(self) -> set[str]:
        """Return the names of the uploads that have no outcome yet, in whatever job: one may follow a forgotten one."""
        found: set[str] = set()
        async for job in self._view.unfinished():
            after = 0
            while page := await self._view.unfinished_files(job.job_id, after=after, limit=ROWS_AT_ONCE):
                found |= {end_of(file.path) for file in page if _is_upload(file.path)}
                after = page[-1].number
        return found

    async def _known(self, paths: Sequence[bytes], now: float) -> list[_File]:
        """Return these files with their hashes; one is read only where it is new, or another than it was."""
        known = []
        for path in paths:
            try:
                known.append(await self._known_file(path, now))
            except (OSError, FileError):
                continue  # it is gone, or cannot be read: at the next time
        return known

    async def _known_file(self, path: bytes, now: float) -> _File:
        status = await asyncio.to_thread(os.stat, path, follow_symlinks=False)
        stamp = (status.st_size, status.st_mtime_ns)
        row = await self._database.read(
            lambda connection: connection.execute(
                "SELECT size, mtime_ns, sha256, unneeded_since FROM uploads WHERE path = ?", (path,)
            ).fetchone()
        )
        if row and (row[0], row[1]) == stamp:
            file = _File(path, row[2], row[3])
        else:
            sha256, _ = await asyncio.to_thread(hash_file, path)
            file = _File(path, sha256, None)
        await self._database.write(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?)",
                (path, *stamp, file.sha256, file.unneeded_since, now),
            )
        )
        return file

    async def _named(self, files: Sequence[_File]) -> set[str]:
        """Return the names of the uploads that the points of these contents name, in all collections."""
        ids = sorted({point_id(file.sha256) for file in files})
        names = [file.name for file in files]
        named: set[str] = set()
        for collection in await self._qdrant.collections():
            try:
                payloads = await self._qdrant.payloads(collection.name, ids, ["paths", MORE_PATHS, "full_path"])
                named |= {*await self._qdrant.ends_of_others(collection.name, list(payloads.values()), names)}
            except CollectionMissingError:
                continue  # it was deleted just now
            for payload in payloads.values():
                named |= {end_of(str(path)) for path in (payload.get("full_path"), *listed(payload))}
        return named

    async def _decide(self, files: Sequence[_File], needed: set[str], now: float) -> int:
        removed = 0
        for file in files:
            since = None if file.name in needed else (file.unneeded_since or now)
            if since is not None and now - since >= self._keep_seconds:
                with suppress(FileNotFoundError):
                    await asyncio.to_thread(os.unlink, file.path)
                removed += 1
                log.info("upload-removed", path=readable(file.path))
            elif since != file.unneeded_since:
                await self._note(file.path, since)
        return removed

    async def _note(self, path: bytes, since: float | None) -> None:
        values = (since, path)
        await self._database.write(
            lambda connection: connection.execute("UPDATE uploads SET unneeded_since = ? WHERE path = ?", values)
        )


def _is_upload(path: str) -> bool:
    """Tell whether a path may be of an upload: its last folder is a number."""
    return path.rpartition("/")[0].rpartition("/")[2].isdecimal()


def _folders(uploads: Path) -> list[Path]:
    """Return the folders of uploads that have arrived: neither those that arrive now nor the archive."""
    if not uploads.is_dir():
        return []
    return sorted(path for path in uploads.iterdir() if not path.name.startswith(".") and path.is_dir())


def _files(job: Path) -> Iterator[bytes]:
    for folder, _, names in os.walk(os.fsencode(job)):
        yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118 - bytes


def _next(files: Iterator[bytes]) -> list[bytes]:
    return list(islice(files, FILES_AT_ONCE))


def _remove_empty(job: Path) -> None:
    for folder in (*job.iterdir(), job):
        with suppress(OSError):  # it is no folder, or not empty
            folder.rmdir()


@asynccontextmanager
async def open_upload_cleaner(
    settings: Settings, path: Path, view: JobView, qdrant: Qdrant, under_way: UnderWay
) -> AsyncIterator[UploadCleaner]:
    """Clean until the block ends; what is known of the files is kept at `path`."""
    database = Database(path)
    await database.read(lambda connection: connection.executescript(_SCHEMA))
    cleaner = UploadCleaner(
        settings.uploads_folder.resolve(),
        database,
        view,
        qdrant,
        under_way,
        keep_seconds=settings.kafka_retention_hours * 3600.0,
    )
    cleaning = asyncio.create_task(cleaner.run())
    try:
        yield cleaner
    finally:
        cleaning.cancel()
        with suppress(asyncio.CancelledError):
            await cleaning
        await database.close()
