"""The files of jobs that a batch of messages is about: each is read once, and written once, however often it comes."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count, repeat
from zlib import crc32

from rules.outcomes import FileReport
from tables.file_fold import Changed
from tables.job_file import JobFile, NewFiles

# An index over whole ids would take most of what a row costs: these are all different, and in no order.
SCHEMA = """
DROP TABLE IF EXISTS files;
CREATE TABLE files (
    job INTEGER NOT NULL,             -- jobs.number
    number INTEGER NOT NULL,          -- the order in which the files of a job were first heard of
    file_id TEXT NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,                    -- only where the path is not UTF-8
    outcome TEXT,
    reason TEXT,
    sha256 TEXT,
    walks TEXT,                       -- JSON: the walks that named it, while it matters
    id_hash INTEGER NOT NULL,         -- of the file id; several files may have the same
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX files_by_hash ON files (job, id_hash);
CREATE INDEX files_by_outcome ON files (job, outcome, number);
"""
_INSERT = (
    "INSERT INTO files (job, number, file_id, path, path_b64, outcome, reason, sha256, walks, id_hash)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE files SET path = ?, path_b64 = ?, outcome = ?, reason = ?, sha256 = ?, walks = ?"
    " WHERE job = ? AND number = ?"
)


@dataclass(slots=True)
class _Job:
    """Files of one job, by their ids. None in `known`: there is no such row."""

    number: int
    known: dict[str, JobFile | None] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    changed: dict[str, JobFile] = field(default_factory=dict)
    unused: "count[int] | None" = None  # numbers


class Files:
    """Rows of the table `files`, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._jobs: dict[str, _Job] = {}

    def load(self, job_id: str, file_ids: list[str]) -> Mapping[str, JobFile | None]:
        """Read the rows of these files that were not read yet; return what is known of those that were loaded."""
        if not file_ids:
            return {}
        job = self._job(job_id)
        known = job.known
        missing = [file_id for file_id in file_ids if file_id not in known]
        if missing:
            known.update(dict.fromkeys(missing))
            rows = self._connection.execute(
                "SELECT files.number, files.file_id, files.path, outcome, reason, sha256, path_b64, walks"
                " FROM json_each(?) AS wanted CROSS JOIN files INDEXED BY files_by_hash"
                " ON job = ? AND id_hash = wanted.value",
                (json.dumps([*{*map(_hash, missing)}]), job.number),
            )
            for number, *report, walks in rows:
                file_id = report[0]
                if file_id in known and known[file_id] is None:
                    job.numbers[file_id] = number
                    known[file_id] = JobFile.of(FileReport(*report), tuple(json.loads(walks or "[]")))
        return known

    def put(self, job_id: str, changed: Changed) -> None:
        """Note what is known of files now; the first mention of a file gives it its place among those of the job."""
        for file in changed.files:
            job = self._job(job_id)
            job.known[file.report.file_id] = job.changed[file.report.file_id] = file
        if changed.new is not None:
            self._insert_new(self._job(job_id), changed.new)

    def delete(self, job_id: str) -> None:
        """Delete the files of a job."""
        self._jobs.pop(job_id, None)
        self._connection.execute("DELETE FROM files WHERE job = (SELECT number FROM jobs WHERE job_id = ?)", (job_id,))

    def write(self) -> None:
        """Write what has changed."""
        for job in self._jobs.values():
            new = [file for file_id, file in job.changed.items() if file_id not in job.numbers]
            self._connection.executemany(
                _INSERT,
                (
                    (job.number, number, file.report.file_id, *_columns(file), _hash(file.report.file_id))
                    for file, number in zip(new, self._unused(job), strict=False)
                ),
            )
            self._connection.executemany(
                _UPDATE,
                (
                    (*_columns(file), job.number, job.numbers[file_id])
                    for file_id, file in job.changed.items()
                    if file_id in job.numbers
                ),
            )

    def _insert_new(self, job: _Job, new: NewFiles) -> None:
        # Read from the table where another message is about them.
        for file_id in new.file_ids:
            job.known.pop(file_id, None)
        self._connection.executemany(
            _INSERT,
            zip(
                repeat(job.number),
                self._unused(job),
                new.file_ids,
                new.paths,
                repeat(None),
                repeat(new.outcome),
                repeat(None),
                new.sha256s,
                repeat(_walks(walk for _, walk in new.walks)),
                map(_hash, new.file_ids),
                strict=False,
            ),
        )

    def _job(self, job_id: str) -> _Job:
        job = self._jobs.get(job_id)
        if job is None:
            (number,) = self._connection.execute("SELECT number FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
            job = self._jobs[job_id] = _Job(number)
        return job

    def _unused(self, job: _Job) -> "count[int]":
        if job.unused is None:
            (last,) = self._connection.execute("SELECT max(number) FROM files WHERE job = ?", (job.number,)).fetchone()
            job.unused = count((last or 0) + 1)
        return job.unused


def _columns(file: JobFile) -> tuple[str | None, ...]:
    report = file.report
    walks = _walks(walk for _, walk in file.walks)
    return report.path, report.path_b64, report.outcome, report.reason, report.sha256, walks


def _walks(walks: Iterable[str]) -> str | None:
    return json.dumps(found) if (found := [*walks]) else None


def _hash(file_id: str) -> int:
    return crc32(file_id.encode())
