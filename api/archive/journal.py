"""What was archived: a SQLite file. A move is written down before it is made, and again when it is made."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import orjson

from api.archive.points import Holders
from api.view.database import Database
from rules.paths import ARCHIVE_FOLDER

Kind = Literal["job-duplicates", "exact-duplicates", "selection"]
State = Literal["moving", "archived", "refused", "restoring", "restored"]

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS archives (
    archive_id TEXT PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, collection TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS moves (
    archive_id TEXT NOT NULL, number INTEGER NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, root BLOB NOT NULL,
    relative BLOB NOT NULL, holders TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
    PRIMARY KEY (archive_id, number)
);
CREATE INDEX IF NOT EXISTS moves_by_state ON moves (state) WHERE state IN ('moving', 'restoring');
"""


@dataclass(frozen=True, slots=True)
class Archive:
    """One request to archive files. `at`: seconds since 1970."""

    archive_id: str
    at: float
    kind: Kind
    collection: str


@dataclass(frozen=True, slots=True)
class Move:
    """One file of an archive. `path`: as the points have it; it lies at `relative` below `root`."""

    archive_id: str
    number: int
    path: str
    sha256: str
    root: bytes
    relative: bytes
    holders: Holders = field(default_factory=dict)
    state: State = "moving"
    reason: str | None = None

    @property
    def target(self) -> bytes:
        """Where it lies in the archive, below the root."""
        return b"/".join((ARCHIVE_FOLDER, self.archive_id.encode(), self.relative))


class Journal:
    """All archives and their files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, archive: Archive) -> None:
        """Write down a new archive; again changes nothing."""
        row = (archive.archive_id, archive.at, archive.kind, archive.collection)
        await self._database.write(
            lambda connection: connection.execute("INSERT OR IGNORE INTO archives VALUES (?, ?, ?, ?)", row)
        )

    async def put(self, move: Move) -> Move:
        """Write down a move as it is now, and return it."""
        row = (
            move.archive_id, move.number, move.path, move.sha256, move.root, move.relative,
            orjson.dumps(move.holders).decode(), move.state, move.reason,
        )  # fmt: skip
        insert = "INSERT OR REPLACE INTO moves VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        await self._database.write(lambda connection: connection.execute(insert, row))
        return move

    async def archive(self, archive_id: str) -> Archive | None:
        """Return an archive by its id."""
        found = await self._rows("SELECT * FROM archives WHERE archive_id = ?", (archive_id,), Archive)
        return found[0] if found else None

    async def archives(self, limit: int) -> list[tuple[Archive, dict[State, int]]]:
        """Return the latest archives, with the count of their files in each state."""

        def read(connection: sqlite3.Connection) -> list[tuple[Archive, dict[State, int]]]:
            rows = connection.execute(
                "SELECT * FROM archives ORDER BY at DESC, rowid DESC LIMIT ?", (limit,)
            ).fetchall()
            count = "SELECT state, count(*) FROM moves WHERE archive_id = ? GROUP BY state"
            return [(Archive(*row), dict(connection.execute(count, row[:1]).fetchall())) for row in rows]

        return await self._database.read(read)

    async def moves(self, archive_id: str) -> list[Move]:
        """Return the files of an archive, in their order."""
        return await self._rows("SELECT * FROM moves WHERE archive_id = ? ORDER BY number", (archive_id,), _move)

    async def unfinished(self) -> list[Move]:
        """Return the moves that were begun and not finished."""
        return await self._rows("SELECT * FROM moves WHERE state IN ('moving', 'restoring')", (), _move)

    async def _rows(self, query: str, values: tuple[str, ...], shape: Callable[..., T]) -> list[T]:
        return await self._database.read(lambda connection: [shape(*row) for row in connection.execute(query, values)])


def _move(*row: Any) -> Move:
    archive_id, number, path, sha256, root, relative, holders, state, reason = row
    return Move(archive_id, number, path, sha256, root, relative, orjson.loads(holders), state, reason)


@asynccontextmanager
async def open_journal(path: Path) -> AsyncIterator[Journal]:
    """Open the file at `path` until the block ends."""
    database = Database(path)
    try:
        # Unlike the view, this can be read from nowhere again: a power cut may lose nothing either.
        await database.read(lambda connection: connection.execute("PRAGMA synchronous=FULL"))
        await database.read(lambda connection: connection.executescript(_SCHEMA))
        yield Journal(database)
    finally:
        await database.close()
