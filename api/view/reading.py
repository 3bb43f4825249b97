"""What is asked of the view, in the reader's thread."""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

from api.view import requests
from api.view.requests import JobRequest
from core.errors import wrong_cursor
from rules.outcomes import Outcome
from tables.job import Job
from tables.job_document import document
from topics.job_status import JobStatus

_DOCUMENT = "SELECT folded, folded_offset, published, published_offset FROM jobs"
_FILES = (
    "SELECT number, path, outcome, reason, sha256 FROM files"
    " WHERE job = (SELECT number FROM jobs WHERE job_id = ?) AND number > ? ORDER BY number LIMIT ?"
)
_FILES_BY_OUTCOME = _FILES.replace("ORDER BY", "AND outcome = ? ORDER BY")
_FILES_UNFINISHED = (
    "SELECT number, file_id, path, path_b64 FROM files INDEXED BY files_by_outcome"
    " WHERE job = (SELECT number FROM jobs WHERE job_id = ?) AND outcome IS NULL AND number > ? ORDER BY number LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class UnfinishedFile:
    """A file without an outcome; `path` and `path_b64` as in rules.paths."""

    number: int
    file_id: str
    path: str
    path_b64: str | None


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of a job; `number` counts files in the order in which the view heard of them."""

    number: int
    path: str
    outcome: Outcome | None
    reason: str | None
    sha256: str | None


def status(connection: sqlite3.Connection, job_id: str) -> JobStatus | None:
    """Return the newest document of a job; None where nothing is known of it."""
    row = connection.execute(f"{_DOCUMENT} WHERE job_id = ?", (job_id,)).fetchone()
    return _newest(*row) if row else None


def folded(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """Return a job as folded here from its events; None where none has come."""
    row = connection.execute("SELECT folded FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return Job.model_validate_json(row[0]) if row and row[0] else None


def recent(
    connection: sqlite3.Connection,
    matches: Callable[[JobStatus], bool],
    *,
    limit: int,
    cursor: str | None,
    source: str = "",
    is_open: bool = False,
) -> tuple[list[JobStatus], str | None]:
    """Return the newest documents of the jobs that match, the latest begun first, and the cursor of the next page.

    `source`: only looks at this one; `is_open`: only what is not finished. By these, few documents are read.
    The cursor is the last job's id: a job keeps its place. Raises RequestError(422) for one that is none.
    """
    where: dict[str, tuple[object, ...]] = {}
    if cursor:
        place = connection.execute("SELECT -begun, job_id FROM jobs WHERE job_id = ?", (cursor,)).fetchone()
        if place is None:
            raise wrong_cursor()
        where["(-begun, job_id) > (?, ?)"] = place
    if source:
        where["source = ?"] = (source,)
    if is_open:
        where["NOT finished"] = ()
    behind = f" WHERE {' AND '.join(where)}" if where else ""
    values = [value for some in where.values() for value in some]
    rows = connection.execute(f"{_DOCUMENT}{behind} ORDER BY begun DESC, job_id", values)
    found = list(islice(filter(matches, (_newest(*row) for row in rows)), limit + 1))
    return found[:limit], found[limit - 1].job_id if len(found) > limit else None


def newest_of_sources(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, JobStatus]:
    """Return the newest document of the job that looked last, of each of these sources that has one."""
    found = {}
    for name in names:
        row = connection.execute(
            f"{_DOCUMENT} WHERE source = ? ORDER BY begun DESC, job_id LIMIT 1", (name,)
        ).fetchone()
        if row:
            found[name] = _newest(*row)
    return found


def held_of_sources(connection: sqlite3.Connection, names: Iterable[str], *, limit: int) -> dict[str, list[JobStatus]]:
    """Return the newest documents of the looks at each of these sources whose removals wait, the latest first."""
    found = {}
    for name in names:
        rows = connection.execute(
            f"{_DOCUMENT} WHERE held AND source = ? ORDER BY begun DESC, job_id LIMIT ?", (name, limit)
        )
        found[name] = [_newest(*row) for row in rows]
    return found


def files(
    connection: sqlite3.Connection, job_id: str, *, outcome: Outcome | None, limit: int, cursor: str | None
) -> tuple[list[FileRow], str | None]:
    """Return a page of a job's files and the cursor of the next (None: this is the last).

    A file keeps its place while its outcome changes, and new ones come last, so that reading page by page
    misses none. Raises RequestError(422) for a cursor that is none.
    """
    if cursor and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise wrong_cursor()
    after = int(cursor or 0)
    if outcome is None:
        rows = connection.execute(_FILES, (job_id, after, limit + 1)).fetchall()
    else:
        rows = connection.execute(_FILES_BY_OUTCOME, (job_id, after, outcome, limit + 1)).fetchall()
    page = [FileRow(*row) for row in rows[:limit]]
    return page, str(page[-1].number) if len(rows) > limit else None


def unfinished(connection: sqlite3.Connection, *, after: str, limit: int) -> list[Job]:
    """Return jobs that are not finished, as folded here, in the order of their ids: those behind `after`."""
    rows = connection.execute(
        "SELECT folded FROM jobs WHERE NOT finished AND folded IS NOT NULL AND job_id > ? ORDER BY job_id LIMIT ?",
        (after, limit),
    )
    return [Job.model_validate_json(row[0]) for row in rows]


def settling(connection: sqlite3.Connection, *, limit: int) -> list[Job]:
    """Return syncs that are finished while what has left their source is being found or removed still."""
    rows = connection.execute(
        "SELECT folded FROM jobs WHERE settling AND finished AND folded IS NOT NULL ORDER BY job_id LIMIT ?", (limit,)
    )
    return [Job.model_validate_json(row[0]) for row in rows]


def ended(connection: sqlite3.Connection, *, before: float, limit: int) -> list[str]:
    """Return jobs that ended before this time (seconds since 1970) and are not forgotten, the oldest first."""
    rows = connection.execute(
        "SELECT job_id FROM jobs WHERE finished AND NOT forgotten AND ended < ? ORDER BY ended LIMIT ?",
        (before, limit),
    )
    return [row[0] for row in rows]


def request(connection: sqlite3.Connection, job_id: str) -> JobRequest:
    """Return what was asked of a job, with all its sources where they are known."""
    found, status_now = requests.read(connection, job_id), status(connection, job_id)
    if status_now is None:
        return found
    is_shown_whole = len(status_now.sources) >= status_now.sources_total
    return replace(found, sources=status_now.sources) if is_shown_whole else found


def unfinished_files(connection: sqlite3.Connection, job_id: str, *, after: int, limit: int) -> list[UnfinishedFile]:
    """Return files of a job without an outcome, the ones that follow number `after`."""
    rows = connection.execute(_FILES_UNFINISHED, (job_id, after, limit))
    return [UnfinishedFile(*row) for row in rows]


def _newest(folded: str | None, folded_offset: int, published: str | None, published_offset: int) -> JobStatus:
    # On equal offsets the published one wins: it has what the watchdog knows.
    if published and (not folded or published_offset >= folded_offset):
        return JobStatus.model_validate_json(published)
    return document(Job.model_validate_json(folded or ""))
