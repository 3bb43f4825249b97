"""How messages become rows of the view. Runs inside one transaction, in the writer's thread."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from api.view import letters
from errors import InvalidMessageError
from rules.outcomes import FileReport
from tables.job import Job, apply
from topics.dead_letter import DEAD_LETTER
from topics.job_event import JOB_EVENT, decode_keyed
from topics.job_status import FINISHED, JOB_STATUS
from topics.record import HeaderList, Headers

log = structlog.get_logger()

# Raised with every change of the tables or of the fold: an older view is rebuilt from the topics.
SCHEMA_VERSION = 6

_SCHEMA = """
DROP TABLE IF EXISTS jobs;
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS offsets;
DROP TABLE IF EXISTS cluster;
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY,
    begun REAL NOT NULL,              -- seconds since 1970, of the first that was heard of it
    folded TEXT,                      -- tables.job.Job as JSON, folded here from job-event
    folded_offset INTEGER NOT NULL DEFAULT -1,
    finished INTEGER NOT NULL DEFAULT 0,  -- whether `folded` is
    published TEXT,                   -- JobStatus as JSON, last seen on job-status
    published_offset INTEGER NOT NULL DEFAULT -1
);
CREATE INDEX jobs_by_age ON jobs (begun);
CREATE INDEX jobs_unfinished ON jobs (begun) WHERE NOT finished;
CREATE TABLE files (
    number INTEGER PRIMARY KEY,       -- the order in which files were first heard of
    job_id TEXT NOT NULL,
    file_id TEXT NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,                    -- only where the path is not UTF-8
    outcome TEXT,
    reason TEXT,
    sha256 TEXT,
    UNIQUE (job_id, file_id)
);
CREATE INDEX files_by_job ON files (job_id, number);
CREATE INDEX files_by_outcome ON files (job_id, outcome, number);
CREATE TABLE offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    next INTEGER NOT NULL,            -- the first message that is not in the view yet
    PRIMARY KEY (topic, partition)
);
CREATE TABLE cluster (id TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of one of the topics that the view reads."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    at: float  # seconds since 1970, of Kafka's own timestamp


def ensure_schema(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, or those of another version."""
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        rebuild(connection, cluster_id="")


def rebuild(connection: sqlite3.Connection, cluster_id: str) -> None:
    """Empty the view; it belongs to this Kafka cluster from now on."""
    for statement in (_SCHEMA + letters.SCHEMA).split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO cluster VALUES (?)", (cluster_id,))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def next_offsets(connection: sqlite3.Connection, cluster_id: str) -> dict[tuple[str, int], int] | None:
    """Return where to go on reading, by topic and partition; None when the view is of another cluster."""
    if connection.execute("SELECT id FROM cluster").fetchone() != (cluster_id,):
        return None
    rows = connection.execute("SELECT topic, partition, next FROM offsets")
    return {(topic, partition): offset for topic, partition, offset in rows}


def write(connection: sqlite3.Connection, messages: Iterable[Message]) -> set[str]:
    """Fold messages into the view, with their offsets; return the ids of the jobs that may have changed."""
    jobs: dict[str, Job] = {}
    changed: set[str] = set()
    ends: dict[tuple[str, int], int] = {}
    for message in messages:
        ends[message.topic, message.partition] = message.offset + 1
        try:
            if message.topic == DEAD_LETTER:
                letters.write(
                    connection,
                    partition=message.partition,
                    offset=message.offset,
                    at=message.at,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                )
            elif message.topic == JOB_EVENT.name:
                changed.add(_fold(connection, jobs, message))
            elif message.value is not None:
                changed.add(_write_published(connection, message))
            else:
                changed.add(_delete(connection, jobs, message))
        except (InvalidMessageError, ValueError, OverflowError, sqlite3.IntegrityError) as error:
            # Track dead-letters it. The view must not stop at it, whatever is wrong with it.
            log.warning(
                "view-message-skipped",
                topic=message.topic,
                partition=message.partition,
                offset=message.offset,
                job_id=Headers.decode(message.headers).job_id,
                reason=str(error),
            )
    for job in jobs.values():
        connection.execute(
            "UPDATE jobs SET folded = ?, folded_offset = ?, finished = ? WHERE job_id = ?",
            (job.model_dump_json(), job.offset, job.state in FINISHED, job.job_id),
        )
    connection.executemany(
        "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
        [(topic, partition, offset) for (topic, partition), offset in ends.items()],
    )
    return changed


def _fold(connection: sqlite3.Connection, jobs: dict[str, Job], message: Message) -> str:
    event = decode_keyed(message.key, message.value)
    job_id = event.job_id
    datetime.fromtimestamp(event.at, UTC)  # raises for what is no time, which no document could show

    def lookup(file_id: str) -> FileReport | None:
        row = connection.execute(
            "SELECT file_id, path, outcome, reason, sha256, path_b64 FROM files WHERE job_id = ? AND file_id = ?",
            (job_id, file_id),
        ).fetchone()
        return FileReport(*row) if row else None

    if job_id not in jobs:
        connection.execute(
            "INSERT INTO jobs (job_id, begun) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET begun = min(begun, excluded.begun)",
            (job_id, event.at),
        )
        (folded,) = connection.execute("SELECT folded FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        jobs[job_id] = Job.model_validate_json(folded) if folded else Job(job_id=job_id)
    files = apply(jobs[job_id], event, message.offset, lookup)
    connection.executemany(
        "INSERT INTO files (job_id, file_id, path, outcome, reason, sha256, path_b64) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job_id, file_id) DO UPDATE SET path = excluded.path, outcome = excluded.outcome,"
        " reason = excluded.reason, sha256 = excluded.sha256, path_b64 = excluded.path_b64",
        [(job_id, file.file_id, file.path, file.outcome, file.reason, file.sha256, file.path_b64) for file in files],
    )
    return job_id


def _write_published(connection: sqlite3.Connection, message: Message) -> str:
    status = JOB_STATUS.decode(message.value or b"")
    # On equal offsets the later document wins: it knows what the watchdog saw since.
    connection.execute(
        "INSERT INTO jobs (job_id, begun, published, published_offset) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET published = excluded.published, published_offset = excluded.published_offset"
        " WHERE excluded.published_offset >= published_offset",
        (status.job_id, message.at, status.model_dump_json(), status.offset),
    )
    return status.job_id


def _delete(connection: sqlite3.Connection, jobs: dict[str, Job], message: Message) -> str:
    job_id = (message.key or b"").decode("utf-8", "replace")
    jobs.pop(job_id, None)
    connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
    connection.execute("DELETE FROM files WHERE job_id = ?", (job_id,))
    return job_id
