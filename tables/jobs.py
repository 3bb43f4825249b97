"""`jobs`: one row a job and one row a file of it. Written by track alone.

j|job               Job, as of an event of its
f|job|file id       JobFile: what was last known of the file, and since which events
"""

from collections.abc import Awaitable, Iterator
from dataclasses import asdict
from itertools import islice

import orjson

from rules.outcomes import FileReport
from rules.paths import first_paths
from tables.job import Job
from tables.job_file import JobFile
from tables.rows import Rows


class Jobs:
    """The table. Methods that write return deliveries of changelog records, to be awaited before the ack."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def job(self, job_id: str) -> Job | None:
        """Return a job's row, or None."""
        row = self._rows.get(b"j|" + job_id.encode())
        return None if row is None else _job(row)

    def put_job(self, job: Job) -> Awaitable[object]:
        """Write a job's row."""
        return self._rows.put(b"j|" + job.job_id.encode(), job.model_dump_json().encode())

    def file(self, job_id: str, file_id: str) -> JobFile | None:
        """Return the row of a file, or None."""
        row = self._rows.get(_file_key(job_id, file_id))
        return None if row is None else _decode(row)

    def put_file(self, job_id: str, file: JobFile) -> Awaitable[object]:
        """Write the row of a file."""
        return self._rows.put(_file_key(job_id, file.report.file_id), _encode(file))

    def files(self, job_id: str) -> Iterator[JobFile]:
        """Yield the rows of all files of a job, which live on the event's partition."""
        for _, row in self._rows.starting_with(_file_key(job_id, "")):
            yield _decode(row)

    def delete_files(self, job_id: str, *, after: str, limit: int) -> tuple[list[Awaitable[object]], str | None]:
        """Delete the rows of the files behind an id; return the deliveries, and the last id (None: none was left)."""
        prefix = _file_key(job_id, "")
        rows = self._rows.starting_with(prefix, after=_file_key(job_id, after))
        keys = [key for key, _ in islice(rows, limit)]
        return [self._rows.delete(key) for key in keys], keys[-1][len(prefix) :].decode() if keys else None


def _job(row: bytes) -> Job:
    """Read a job's row. One of version 0.1.0 holds all its sources."""
    job = Job.model_validate_json(row)
    job.sources, job.sources_total = first_paths(job.sources), job.sources_total or len(job.sources)
    return job


def _file_key(job_id: str, file_id: str) -> bytes:
    return f"f|{job_id}|{file_id}".encode()


def _encode(file: JobFile) -> bytes:
    row = asdict(file.report) | {"outcomes": file.outcomes}
    return orjson.dumps(row | {"walks": file.walks} if file.walks else row)


def _decode(row: bytes) -> JobFile:
    """Read a row. One of version 0.1.0 says nothing of events: it is as old as what the job knows."""
    found = orjson.loads(row)
    outcomes, walks = found.pop("outcomes", None), found.pop("walks", ())
    report = FileReport(**found)
    if outcomes is None:
        return JobFile.of(report)
    return JobFile(
        report,
        tuple((offset, outcome, kind) for offset, outcome, kind in outcomes),
        tuple((offset, walk) for offset, walk in walks),
    )
