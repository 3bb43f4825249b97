"""What was found: a SQLite file, so that a report can be worked through over days and restarts."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from api.view.database import Database

KEPT_REPORTS = 20

_SCHEMA = """
CREATE TABLE IF NOT EXISTS reports (
    report_id TEXT PRIMARY KEY, at REAL NOT NULL, collection TEXT NOT NULL, threshold REAL NOT NULL,
    points INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS groups (
    report_id TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, images TEXT NOT NULL,
    PRIMARY KEY (report_id, number)
);
"""
_REPORTS = (
    "SELECT report_id, at, collection, threshold, points,"
    " (SELECT count(*) FROM groups WHERE groups.report_id = reports.report_id) FROM reports"
)


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is done; `at`: when, in seconds since 1970; `points`: how many were looked at."""

    report_id: str
    at: float
    collection: str
    threshold: float
    points: int


@dataclass(frozen=True, slots=True)
class Likeness:
    """A point, and how much it is like the one of its group that is nearest to it, -1 to 1."""

    point_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Group:
    """Points that look alike, or (exact) one point whose content has several copies."""

    kind: Literal["exact", "similar"]
    images: list[Likeness]


class Reports:
    """The latest reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, report: Report, groups: list[Group]) -> None:
        """Write down a report, and forget those that are too old."""

        def write(connection: sqlite3.Connection) -> None:
            row = (report.report_id, report.at, report.collection, report.threshold, report.points)
            connection.execute("INSERT INTO reports VALUES (?, ?, ?, ?, ?)", row)
            connection.executemany(
                "INSERT INTO groups VALUES (?, ?, ?, ?)",
                [
                    (report.report_id, number, group.kind, orjson.dumps(group.images).decode())
                    for number, group in enumerate(groups)
                ],
            )
            connection.execute(
                "DELETE FROM reports WHERE report_id NOT IN (SELECT report_id FROM reports ORDER BY at DESC LIMIT ?)",
                (KEPT_REPORTS,),
            )
            connection.execute("DELETE FROM groups WHERE report_id NOT IN (SELECT report_id FROM reports)")

        await self._database.write(write)

    async def report(self, report_id: str) -> tuple[Report, int] | None:
        """Return a report with the count of its groups; None where there is none."""

        def read(connection: sqlite3.Connection) -> tuple[Report, int] | None:
            row = connection.execute(
                f"{_REPORTS} WHERE report_id = ?",
                (report_id,),
            ).fetchone()
            return _report(row) if row else None

        return await self._database.read(read)

    async def of(self, collection: str) -> list[tuple[Report, int]]:
        """Return the reports of a collection, the newest first, each with the count of its groups."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                f"{_REPORTS} WHERE collection = ? ORDER BY at DESC", (collection,)
            ).fetchall()
        )
        return [_report(row) for row in rows]

    async def groups(self, report_id: str, *, start: int, limit: int) -> list[Group]:
        """Return groups of a report from number `start` on."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT kind, images FROM groups WHERE report_id = ? AND number >= ? ORDER BY number LIMIT ?",
                (report_id, start, limit),
            ).fetchall()
        )
        return [Group(kind, [Likeness(**one) for one in orjson.loads(images)]) for kind, images in rows]


def _report(row: tuple[Any, ...]) -> tuple[Report, int]:
    return Report(*row[:-1]), int(row[-1])


@asynccontextmanager
async def open_reports(path: Path) -> AsyncIterator[Reports]:
    """Open the file at `path` until the block ends."""
    database = Database(path)
    try:
        await database.read(lambda connection: connection.executescript(_SCHEMA))
        yield Reports(database)
    finally:
        await database.close()
