"""`jobs`: one row a job and one row a file of it. Written by track alone.

j|job               Job: all that does not follow from its files
f|job|file id       FileReport: what was last known of the file
"""

from collections.abc import Awaitable, Iterator
from dataclasses import asdict

import orjson

from rules.outcomes import FileReport
from tables.job import Job
from tables.rows import Rows


class Jobs:
    """The table. Methods that write return deliveries of changelog records, to be awaited before the ack."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def job(self, job_id: str) -> Job | None:
        """Return a job's row, or None."""
        row = self._rows.get(b"j|" + job_id.encode())
        return None if row is None else Job.model_validate_json(row)

    def put_job(self, job: Job) -> Awaitable[object]:
        """Write a job's row."""
        return self._rows.put(b"j|" + job.job_id.encode(), job.model_dump_json().encode())

    def file(self, job_id: str, file_id: str) -> FileReport | None:
        """Return the row of a file, or None."""
        row = self._rows.get(_file_key(job_id, file_id))
        return None if row is None else FileReport(**orjson.loads(row))

    def put_file(self, job_id: str, file: FileReport) -> Awaitable[object]:
        """Write the row of a file."""
        return self._rows.put(_file_key(job_id, file.file_id), orjson.dumps(asdict(file)))

    def files(self, job_id: str) -> Iterator[FileReport]:
        """Yield the rows of all files of a job, which live on the event's partition."""
        for _, row in self._rows.starting_with(_file_key(job_id, "")):
            yield FileReport(**orjson.loads(row))


def _file_key(job_id: str, file_id: str) -> bytes:
    return f"f|{job_id}|{file_id}".encode()
