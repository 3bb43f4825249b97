"""How messages become rows of the view. Runs inside one transaction, in the writer's thread."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from api.view import dead_letters, leaving, requests, tried_again
from api.view.files import SCHEMA as FILES
from api.view.files import Files
from core.errors import InvalidMessageError
from rules.positions import LastRead
from tables.job import Job
from tables.job_document import document
from tables.job_fold import apply, place
from topics.dead_letter import DEAD_LETTER
from topics.job_event import JOB_EVENT
from topics.job_event_codec import decode_keyed, files_of
from topics.job_status import FINISHED, JOB_STATUS, REMOVALS_SETTLED, JobStatus
from topics.record import HeaderList, Headers

log = structlog.get_logger()

# Raised with every change of the tables or of the fold: an older view is rebuilt from the topics.
SCHEMA_VERSION = 19
# Of a job that was forgotten, and of the disk: so that nobody waits for it.
FILES_AT_ONCE = 2000
PAGES_AT_ONCE = 1000
INCREMENTAL = 2  # of auto_vacuum

_SCHEMA = """
DROP TABLE IF EXISTS jobs;
DROP TABLE IF EXISTS offsets;
DROP TABLE IF EXISTS cluster;
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,       -- what its files name it by
    job_id TEXT NOT NULL UNIQUE,
    begun REAL NOT NULL,              -- seconds since 1970, by Kafka's timestamp of the first that was heard of it
    folded TEXT,                      -- tables.job.Job as JSON, folded here from job-event
    folded_offset INTEGER NOT NULL DEFAULT -1,
    published TEXT,                   -- JobStatus as JSON, last seen on job-status
    published_offset INTEGER NOT NULL DEFAULT -1,
    finished INTEGER NOT NULL DEFAULT 0,  -- from here on: as the newer of the two says
    ended REAL,                       -- seconds since 1970, by Kafka's timestamp of the message that told of it
    forgotten INTEGER NOT NULL DEFAULT 0,
    source TEXT,                      -- that it is a look at
    looked_at TEXT,                   -- JSON: where, if what is folded says that it has ended and seen all there
    settling INTEGER NOT NULL DEFAULT 0,  -- whether what it has found to have left is being found or removed still
    held INTEGER NOT NULL DEFAULT 0,  -- whether that waits for a yes or no
    kept INTEGER NOT NULL DEFAULT 0   -- whether files of one that is forgotten may be left
);
CREATE INDEX jobs_by_age ON jobs (begun);
CREATE INDEX jobs_unfinished ON jobs (job_id) WHERE NOT finished;
CREATE INDEX jobs_settling ON jobs (job_id) WHERE settling AND finished;
CREATE INDEX jobs_by_source ON jobs (source, begun) WHERE source IS NOT NULL;
CREATE INDEX jobs_held ON jobs (source, begun) WHERE held;
CREATE INDEX jobs_by_end ON jobs (ended) WHERE finished AND NOT forgotten;
CREATE INDEX jobs_kept ON jobs (job_id) WHERE kept;
CREATE TABLE offsets (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    last INTEGER NOT NULL,            -- the last message that is in the view
    at INTEGER NOT NULL,              -- its time as the log has it, in milliseconds
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


def ensure_it_shrinks(connection: sqlite3.Connection) -> None:
    """Let a view of an older version give back disk that is free. Outside a transaction; the view was just emptied."""
    if connection.execute("PRAGMA auto_vacuum").fetchone() != (INCREMENTAL,):
        connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        connection.execute("VACUUM")


def rebuild(connection: sqlite3.Connection, cluster_id: str) -> None:
    """Empty the view; it belongs to this Kafka cluster from now on."""
    for statement in (_SCHEMA + FILES + leaving.SCHEMA + requests.SCHEMA + dead_letters.SCHEMA).split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT INTO cluster VALUES (?)", (cluster_id,))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def last_reads(connection: sqlite3.Connection, cluster_id: str) -> dict[tuple[str, int], LastRead] | None:
    """Return what the view has read last, by topic and partition; None when it is of another cluster."""
    if connection.execute("SELECT id FROM cluster").fetchone() != (cluster_id,):
        return None
    rows = connection.execute("SELECT topic, partition, last, at FROM offsets")
    return {(topic, partition): LastRead(offset, at) for topic, partition, offset, at in rows}


def write(connection: sqlite3.Connection, messages: Iterable[Message]) -> set[str]:
    """Fold messages into the view, with their offsets; return the ids of the jobs that may have changed."""
    jobs: dict[str, Job] = {}
    files = Files(connection)
    heard: dict[str, float] = {}
    changed: set[str] = set()
    failed_on: set[str] = set()  # sources of looks
    last: dict[tuple[str, int], Message] = {}
    for message in messages:
        last[message.topic, message.partition] = message
        try:
            if message.topic == DEAD_LETTER:
                source = dead_letters.write(
                    connection,
                    partition=message.partition,
                    offset=message.offset,
                    at=message.at,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                )
                if source:
                    failed_on.add(source)
            elif message.topic == JOB_EVENT.name:
                job_id = _fold(connection, jobs, files, message)
                changed.add(job_id)
                heard[job_id] = message.at
            elif message.value is not None:
                changed.add(_write_published(connection, message))
            else:
                changed.add(_delete(connection, jobs, files, message))
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
    files.write()
    for job in jobs.values():
        (published_offset,) = connection.execute(
            "UPDATE jobs SET folded = ?, folded_offset = ?, looked_at = ? WHERE job_id = ? RETURNING published_offset",
            (job.model_dump_json(), job.offset, tried_again.places(job), job.job_id),
        ).fetchone()
        # On equal offsets what is published is served.
        if job.offset > published_offset:
            _note(connection, document(job), heard[job.job_id])
    tried_again.close_letters(connection, failed_on | _looked_at(connection, changed))
    connection.executemany(
        "INSERT INTO offsets VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last, at = excluded.at",
        [(*part, message.offset, round(message.at * 1000)) for part, message in last.items()],
    )
    return changed


def _fold(connection: sqlite3.Connection, jobs: dict[str, Job], files: Files, message: Message) -> str:
    event = decode_keyed(message.key, message.value)
    job_id = event.job_id
    datetime.fromtimestamp(event.at, UTC)  # raises for what is no time, which no document could show

    if job_id not in jobs:
        connection.execute(
            "INSERT INTO jobs (job_id, begun) VALUES (?, ?)"
            " ON CONFLICT DO UPDATE SET begun = min(begun, excluded.begun)",
            (job_id, message.at),
        )
        folded, forgotten = connection.execute(
            "SELECT folded, forgotten FROM jobs WHERE job_id = ?", (job_id,)
        ).fetchone()
        if forgotten:
            return job_id
        jobs[job_id] = Job.model_validate_json(folded) if folded else Job(job_id=job_id)
    job = jobs[job_id]
    offset = place(job, message.offset, message.at)
    files.put(job_id, apply(job, event, offset, files.load(job_id, files_of(event))))
    if not job.forgotten:
        requests.note(connection, job, event)
        leaving.note(connection, job_id, event)
    return job_id


def _write_published(connection: sqlite3.Connection, message: Message) -> str:
    status = JOB_STATUS.decode(message.value or b"")
    # On equal offsets the later document wins: it knows what the watchdog saw since.
    written = connection.execute(
        "INSERT INTO jobs (job_id, begun, published, published_offset) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET published = excluded.published, published_offset = excluded.published_offset"
        " WHERE excluded.published_offset >= published_offset RETURNING folded_offset",
        (status.job_id, message.at, status.model_dump_json(), status.offset),
    ).fetchone()
    if written is not None and status.offset >= written[0]:
        _note(connection, status, message.at)
    return status.job_id


def _note(connection: sqlite3.Connection, status: JobStatus, at: float) -> None:
    """Note what jobs are looked for by."""
    finished, forgotten = status.status in FINISHED, status.forgotten
    settling = status.removals is not None and status.removals.state not in REMOVALS_SETTLED
    # The condition of the statement sees what was known before.
    held = status.removals is not None and status.removals.state == "held" and not forgotten
    connection.execute(
        "UPDATE jobs SET finished = ?, ended = iif(?, coalesce(ended, ?), NULL),"
        " kept = max(kept, ? AND NOT forgotten), forgotten = max(forgotten, ?), source = coalesce(?, source),"
        " settling = ? AND NOT forgotten, held = ? AND NOT forgotten WHERE job_id = ?",
        (finished, finished, at, forgotten, forgotten, status.source, settling, held, status.job_id),
    )


def _looked_at(connection: sqlite3.Connection, job_ids: Iterable[str]) -> set[str]:
    """Return the sources of those of the jobs that are looks, and have ended."""
    rows = connection.execute(
        "SELECT source FROM json_each(?) JOIN jobs ON job_id = value WHERE looked_at IS NOT NULL",
        (json.dumps([*job_ids]),),
    )
    return {source for (source,) in rows}


def forget_files(connection: sqlite3.Connection) -> None:
    """Delete a few files of a job that was forgotten."""
    job = connection.execute("SELECT job_id FROM jobs WHERE kept LIMIT 1").fetchone()
    if job is not None:
        deleted = connection.execute(
            "DELETE FROM files WHERE (job, number) IN"
            " (SELECT job, files.number FROM jobs JOIN files ON job = jobs.number WHERE job_id = ? LIMIT ?)",
            (*job, FILES_AT_ONCE),
        ).rowcount
        if deleted < FILES_AT_ONCE:
            deleted += leaving.forget(connection, job[0], FILES_AT_ONCE - deleted)
        if deleted < FILES_AT_ONCE:
            requests.forget(connection, *job)
            connection.execute("UPDATE jobs SET kept = 0 WHERE job_id = ?", job)


def give_back_disk(connection: sqlite3.Connection) -> None:
    """Give back a part of the disk that is free. Outside a transaction."""
    # It has a step for each page, and `execute` makes one.
    connection.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")


def _delete(connection: sqlite3.Connection, jobs: dict[str, Job], files: Files, message: Message) -> str:
    job_id = (message.key or b"").decode("utf-8", "replace")
    jobs.pop(job_id, None)
    files.delete(job_id)
    leaving.forget(connection, job_id, -1)
    connection.execute("DELETE FROM jobs WHERE job_id = ?", (job_id,))
    requests.forget(connection, job_id)
    return job_id
