"""What was asked of a job, of what no status has: written as it comes, not with each change of the job."""

import json
import sqlite3
from dataclasses import dataclass

from tables.job import Job
from topics.job_event import Queued, Scanning, Seen
from topics.job_event_codec import JobEvent

MAX_ROOTS = 100

SCHEMA = """
DROP TABLE IF EXISTS requests;
CREATE TABLE requests (
    job_id TEXT PRIMARY KEY,
    sources TEXT,                     -- JSON; of the jobs that have more than a status shows
    exclude TEXT,                     -- JSON; what its walks leave out; NULL: nobody said
    roots TEXT                        -- JSON; what its files may be read from; NULL: none of them said
);
"""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What was asked; None where that is not known.

    `roots`: of its files, so that one that begins again is bound as before.
    """

    sources: list[str] | None = None
    exclude: list[str] | None = None
    roots: list[str] | None = None


def read(connection: sqlite3.Connection, job_id: str) -> JobRequest:
    """Return what is known; the sources only where they are more than the job's status shows."""
    row = connection.execute("SELECT sources, exclude, roots FROM requests WHERE job_id = ?", (job_id,)).fetchone()
    return JobRequest(*(None if value is None else json.loads(value) for value in row or ()))


def note(connection: sqlite3.Connection, job: Job, event: JobEvent) -> None:
    """Note what an event says that was folded into its job."""
    if not isinstance(event, Queued | Scanning | Seen):
        return
    before = read(connection, job.job_id)
    sources, exclude, roots = before.sources, before.exclude, before.roots
    if isinstance(event, Seen):
        if event.roots is not None and event.roots != roots:
            roots = sorted({*(roots or []), *event.roots})[:MAX_ROOTS]
    else:
        # What the submit said counts, where that is known.
        exclude = event.exclude if isinstance(event, Queued) else exclude or event.exclude
        if len(event.sources) == job.sources_total > len(job.sources):
            sources = event.sources
    now = JobRequest(sources, exclude, roots)
    if now != before:
        fields = (None if value is None else json.dumps(value) for value in (sources, exclude, roots))
        connection.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?, ?)", (job.job_id, *fields))


def forget(connection: sqlite3.Connection, job_id: str) -> None:
    """Forget what was asked of a job."""
    connection.execute("DELETE FROM requests WHERE job_id = ?", (job_id,))
