"""The files that leave by a sync, as prepare counts them: told again after a kill, each stands here once."""

import base64
import binascii
import json
import sqlite3
from dataclasses import dataclass
from typing import get_args

from core.errors import wrong_cursor
from rules.tally import Way
from topics.job_event_codec import JobEvent
from topics.removal_event import WouldLeave

# In the order in which they are shown.
SCHEMA = """
DROP TABLE IF EXISTS leaving;
CREATE TABLE leaving (
    job INTEGER NOT NULL,             -- jobs.number
    way TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    moved_to TEXT,
    lost INTEGER NOT NULL,
    PRIMARY KEY (job, way, path, sha256)
) WITHOUT ROWID;
"""
_JOB = "(SELECT number FROM jobs WHERE job_id = ?)"
_WAYS = ", ".join(f"'{way}'" for way in get_args(Way))


@dataclass(frozen=True, slots=True)
class LeavingRow:
    """A path that leaves, or waits for a yes."""

    way: Way
    path: str
    sha256: str
    moved_to: str | None
    lost: bool


def note(connection: sqlite3.Connection, job_id: str, event: JobEvent) -> None:
    """Note what an event says that was folded into its job. Of a path that is told twice the last word counts."""
    if not isinstance(event, WouldLeave):
        return
    connection.executemany(
        f"DELETE FROM leaving WHERE job = {_JOB} AND way IN ({_WAYS}) AND path = ? AND sha256 = ?",  # noqa: S608
        ((job_id, file.path, file.sha256) for file in event.files),
    )
    connection.executemany(
        f"INSERT OR REPLACE INTO leaving VALUES ({_JOB}, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
        ((job_id, file.way, file.path, file.sha256, file.to, file.lost) for file in event.files),
    )


def read(
    connection: sqlite3.Connection, job_id: str, *, way: Way | None, limit: int, cursor: str | None
) -> tuple[list[LeavingRow], str | None]:
    """Return a page of what leaves by a sync, by way and path, and the cursor of the next (None: this is the last).

    Raises RequestError(422) for a cursor that is none.
    """
    where, values = f"job = {_JOB}", [job_id]
    if way is not None:
        where, values = f"{where} AND way = ?", [*values, way]
    if cursor:
        where, values = f"{where} AND (way, path, sha256) > (?, ?, ?)", [*values, *_place(cursor)]
    rows = connection.execute(
        f"SELECT way, path, sha256, moved_to, lost FROM leaving WHERE {where}"  # noqa: S608 - constant
        " ORDER BY way, path, sha256 LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    page = [LeavingRow(way, path, sha256, to, bool(lost)) for way, path, sha256, to, lost in rows[:limit]]
    return page, _cursor(page[-1]) if len(rows) > limit else None


def forget(connection: sqlite3.Connection, job_id: str, limit: int) -> int:
    """Delete what was told of a job, so many rows at most; return how many these were."""
    rows = f"SELECT job, way, path, sha256 FROM leaving WHERE job = {_JOB} LIMIT ?"  # noqa: S608 - constant
    return connection.execute(
        f"DELETE FROM leaving WHERE (job, way, path, sha256) IN ({rows})",  # noqa: S608 - constant
        (job_id, limit),
    ).rowcount


def _cursor(row: LeavingRow) -> str:
    return base64.urlsafe_b64encode(json.dumps([row.way, row.path, row.sha256]).encode()).decode()


def _place(cursor: str) -> list[str]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, binascii.Error) as error:
        raise wrong_cursor() from error
    if not isinstance(place, list) or [type(part) for part in place] != [str, str, str]:
        raise wrong_cursor()
    return place
