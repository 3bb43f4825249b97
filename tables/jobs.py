"""`jobs`: one row a job and one row a file of it. Written by track alone.

j|job               Job, as of an event of its
f|job|file id       JobFile: what was last known of the file, and since which events

The rows of many files go to the changelog as one record, which `streams.rows` packs and recovery unpacks.
"""

from collections.abc import Awaitable, Iterable, Iterator, Sequence
from itertools import islice

import orjson

from rules.outcomes import FileReport
from rules.paths import first_paths
from streams.rows import Rows
from tables.job import Job
from tables.job_file import JobFile, NewFiles

# Of rows in one changelog record, whose keys are much shorter.
RECORD_BYTES = 256 << 10
# After all ids of files.
BEHIND_ALL = "~"


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

    def files_of(self, job_id: str, file_ids: Sequence[str]) -> dict[str, JobFile | None]:
        """Return the row of each file, or None, by file id."""
        rows = self._rows.get_many([_file_key(job_id, file_id) for file_id in file_ids])
        return {file_id: None if row is None else _decode(row) for file_id, row in zip(file_ids, rows, strict=True)}

    def put_files(self, job_id: str, files: Iterable[JobFile]) -> list[Awaitable[object]]:
        """Write the rows of many files: few changelog records hold them all."""
        return self._put_rows(job_id, ((file.report.file_id, _encode(file)) for file in files))

    def put_new(self, job_id: str, new: NewFiles) -> list[Awaitable[object]]:
        """Write the rows of files that have none, as `put_files` writes each."""
        outcome = new.outcome
        events = [orjson.Fragment(orjson.dumps(one)) for one in (new.outcomes, new.walks)]
        columns = zip(new.file_ids, new.paths, new.sha256s, strict=True)
        rows = (
            (file_id, orjson.dumps((file_id, path, outcome, None, sha256, None, *events)))
            for file_id, path, sha256 in columns
        )
        return self._put_rows(job_id, rows)

    def _put_rows(self, job_id: str, files: Iterable[tuple[str, bytes]]) -> list[Awaitable[object]]:
        prefix = _file_key(job_id, "")
        deliveries: list[Awaitable[object]] = []
        rows: dict[bytes, bytes] = {}
        size = 0
        for file_id, row in files:
            if rows and size + len(row) > RECORD_BYTES:
                deliveries.append(self._rows.put_packed(prefix, rows))
                rows, size = {}, 0
            rows[_file_key(job_id, file_id)] = row
            size += len(row)
        return [*deliveries, self._rows.put_packed(prefix, rows)] if rows else deliveries

    def files(self, job_id: str) -> Iterator[JobFile]:
        """Yield the rows of all files of a job, which live on the event's partition."""
        for _, row in self._rows.starting_with(_file_key(job_id, "")):
            yield _decode(row)

    def delete_files(self, job_id: str, *, after: str, limit: int) -> tuple[list[Awaitable[object]], str | None]:
        """Delete the rows of the files behind an id; return the deliveries, and the last id (None: none was left)."""
        prefix = _file_key(job_id, "")
        rows = [*islice(self._rows.starting_with(prefix, after=_file_key(job_id, after)), limit)]
        if not rows:
            deliveries, is_more = self._rows.delete_packed(prefix, limit)
            return deliveries, BEHIND_ALL if is_more else None
        # Rows of older versions have a changelog record each.
        deliveries = [self._rows.delete(key) for key, row in rows if row.startswith(b"{")]
        self._rows.delete_unlogged(key for key, row in rows if not row.startswith(b"{"))
        return deliveries, rows[-1][0][len(prefix) :].decode()


def _job(row: bytes) -> Job:
    """Read a job's row. One of version 0.1.0 holds all its sources."""
    job = Job.model_validate_json(row)
    job.sources, job.sources_total = first_paths(job.sources), job.sources_total or len(job.sources)
    return job


def _file_key(job_id: str, file_id: str) -> bytes:
    return f"f|{job_id}|{file_id}".encode()


def _encode(file: JobFile) -> bytes:
    of = file.report
    report = (of.file_id, of.path, of.outcome, of.reason, of.sha256, of.path_b64)
    return orjson.dumps((*report, file.outcomes, file.walks))


def _decode(row: bytes) -> JobFile:
    """Read a row. One of version 0.1.0 says nothing of events: it is as old as what the job knows."""
    found = orjson.loads(row)
    if isinstance(found, list):
        *fields, outcomes, walks = found
        return JobFile(FileReport(*fields), tuple(map(tuple, outcomes)), tuple(map(tuple, walks)))
    outcomes, walks = found.pop("outcomes", None), found.pop("walks", ())
    report = FileReport(**found)
    if outcomes is None:
        return JobFile.of(report)
    return JobFile(report, tuple(map(tuple, outcomes)), tuple(map(tuple, walks)))
