"""What the events of a job change of its files: the rows of these, and with them the job's counters."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

from rules.outcomes import FileReport
from tables.job import Job
from tables.job_file import JobFile, NewFiles, fold
from topics import job_event as events
from topics.job_event_codec import JobEvent, OutcomesAlike

OfFiles = events.Seen | events.Outcomes | OutcomesAlike


class Changed(NamedTuple):
    """Files that an event has changed, each with its row; and `new` ones, which had no row and have all ended alike."""

    files: list[JobFile]
    new: NewFiles | None = None


NOTHING = Changed([])


class _Told(NamedTuple):
    """What an event reports of files: of each one, and of new ones that have ended alike."""

    reports: list[FileReport]
    new: NewFiles | None = None
    replay: bool = False


def fold_files(job: Job, event: JobEvent, offset: int, rows: Mapping[str, JobFile | None]) -> Changed:
    """Fold what an event tells of files: return the rows that change, and count what the job does not count yet.

    `rows`: those of the files that the event is about, by their ids.
    """
    if not isinstance(event, OfFiles):
        return NOTHING
    told = _told(event, offset, rows)
    # Where all files are known, it does not matter who finds them again.
    walk_id = None if job.was_whole(offset) else event.walk_id
    job.collection = job.collection or event.collection
    was_closed = job.was_closed(offset)
    before: dict[str, JobFile | None] = {}
    after: dict[str, JobFile] = {}
    for report in told.reports:
        file_id = report.file_id
        if file_id not in before:
            before[file_id] = rows.get(file_id)
        known = after.get(file_id) or before[file_id]
        if was_closed and (known is None or known.at(offset) is None):
            continue
        after[file_id] = fold(known, report, offset, replay=told.replay, walk_id=walk_id)
    new = None if told.new is None or was_closed else replace(told.new, walk_id=walk_id)
    # Where the counters hold this event already, it is the rows that are behind.
    if offset > job.offset:
        _count_all(job, event, offset, told.reports, files=after.values(), new=new)
    return Changed([file for file_id, file in after.items() if file is not before[file_id]], new)


def _told(event: OfFiles, offset: int, rows: Mapping[str, JobFile | None]) -> _Told:
    match event:
        case events.Seen():
            return _Told([FileReport(file.file_id, file.path, path_b64=file.path_b64) for file in event.files])
        case OutcomesAlike():
            return _parted(event, offset, rows)
        case events.Outcomes():
            reports = [
                FileReport(file.file_id, file.path, file.outcome, file.reason, file.sha256, file.path_b64)
                for file in event.files
            ]
            return _Told(reports, replay=event.replay)


def _parted(event: OutcomesAlike, offset: int, rows: Mapping[str, JobFile | None]) -> _Told:
    """Return what an event reports of files that have a row, and, as columns, those that have none."""
    files = event.file_ids, event.paths, event.sha256s
    are_new = [rows.get(file_id) is None for file_id in event.file_ids]
    reports = [
        FileReport(file_id, path, event.outcome, None, sha256)
        for is_new, file_id, path, sha256 in zip(are_new, *files, strict=True)
        if not is_new
    ]
    if len(reports) == len(are_new):
        return _Told(reports)
    file_ids, paths, sha256s = (list(compress(column, are_new)) for column in files) if reports else files
    return _Told(reports, NewFiles(offset, event.outcome, event.walk_id, file_ids, paths, sha256s))


def _count_all(
    job: Job,
    event: OfFiles,
    offset: int,
    reports: Iterable[FileReport],
    *,
    files: Iterable[JobFile],
    new: NewFiles | None,
) -> None:
    """Count the files of an event that the job's counters do not include; note that the job has got on, if it has."""
    failures = {report.file_id: report for report in reports if report.outcome == "failed"}
    counted = [_count(job, file, offset, failures) for file in files]
    if new is not None:
        job.count_new(len(new.file_ids), new.outcome, new.walk_id)
    if new is not None or any(counted):
        job.note(event.at)
        job.started_at = job.started_at or event.at
        job.sample(event.at, job.processed)


def _count(job: Job, file: JobFile, offset: int, failures: Mapping[str, FileReport]) -> bool:
    """Bring the counters from the job's offset to this one; tell whether an outcome has changed, or a file come.

    `failures`: those that the event tells of. The row may know of a better outcome already, without a reason.
    """
    before, after = file.at(job.offset), file.at(offset)
    if before == after or after is None or not job.count_file(before, after):
        return False
    if after.outcome == "failed":
        failed = failures.get(file.report.file_id, file.report)
        job.log(": ".join(filter(None, (failed.path, "failed", failed.reason))))
    return True
