"""The files of jobs that a batch of messages is about: each is read once, and written once, however often it comes."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable

from rules.outcomes import FileReport
from tables.job_file import JobFile


class Files:
    """Rows of the table `files`, within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # By job and file id; None: there is no such row.
        self._known: defaultdict[str, dict[str, JobFile | None]] = defaultdict(dict)
        self._changed: defaultdict[str, dict[str, JobFile]] = defaultdict(dict)

    def load(self, job_id: str, file_ids: Iterable[str]) -> None:
        """Read the rows of these files that were not read yet."""
        known = self._known[job_id]
        missing = [file_id for file_id in file_ids if file_id not in known]
        if not missing:
            return
        known.update(dict.fromkeys(missing))
        rows = self._connection.execute(
            "SELECT file_id, path, outcome, reason, sha256, path_b64, walks FROM files"
            " WHERE job_id = ? AND file_id IN (SELECT value FROM json_each(?))",
            (job_id, json.dumps(missing)),
        )
        for *report, walks in rows:
            known[report[0]] = JobFile.of(FileReport(*report), tuple(json.loads(walks or "[]")))

    def get(self, job_id: str, file_id: str) -> JobFile | None:
        """Return a file that was loaded, as it is by now, or None."""
        return self._known[job_id][file_id]

    def put(self, job_id: str, files: Iterable[JobFile]) -> None:
        """Note what is known of files now; the first mention of a file gives it its place among those of the job."""
        for file in files:
            self._known[job_id][file.report.file_id] = self._changed[job_id][file.report.file_id] = file

    def delete(self, job_id: str) -> None:
        """Delete the files of a job."""
        self._known.pop(job_id, None)
        self._changed.pop(job_id, None)
        self._connection.execute("DELETE FROM files WHERE job_id = ?", (job_id,))

    def write(self) -> None:
        """Write what has changed."""
        self._connection.executemany(
            "INSERT INTO files (job_id, file_id, path, outcome, reason, sha256, path_b64, walks)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (job_id, file_id) DO UPDATE SET path = excluded.path, outcome = excluded.outcome,"
            " reason = excluded.reason, sha256 = excluded.sha256, path_b64 = excluded.path_b64, walks = excluded.walks",
            (_row(job_id, file) for job_id, files in self._changed.items() for file in files.values()),
        )


def _row(job_id: str, file: JobFile) -> tuple[str | None, ...]:
    report = file.report
    walks = json.dumps([walk for _, walk in file.walks]) if file.walks else None
    return (
        job_id, report.file_id, report.path, report.outcome, report.reason, report.sha256, report.path_b64, walks,
    )  # fmt: skip
