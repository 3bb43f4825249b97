"""One job, as the fold of its events: the same code serves `track` and the API's read view.

What a file ends as is folded free of order (rules.outcomes). What belongs to the job itself is either a set that only
grows (seals, commands), a counter, or a gauge for people, and an event at or before the job's offset is not applied to
those a second time. Times come from the events, never from a clock, so that a replayed fold gives the same document.
A job that was forgotten does not change any more.

An event either changes the account (tables.account), or only what people see (tables.progress).
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from typing import NamedTuple

from rules.kinds import left_out_line
from rules.outcomes import FileReport
from rules.watchdog import missing_in_words
from rules.wording import plural
from tables.job import Job
from tables.job_file import JobFile, NewFiles, fold
from tables.removals import Removals
from topics import job_event as events
from topics.job_event_codec import JobEvent, OutcomesAlike
from topics.job_status import FINISHED, REMOVALS_SETTLED
from topics.limits import clipped
from topics.removal_event import Guarded, LeftAll, Overtaken, Sweeping, Swept, Tallied, ToRemovals

REASON_CHARACTERS = 2000
# Added to offsets of a log that took the place of another: rows may be ahead of what the job includes.
OTHER_LOG = 1 << 32


def place(job: Job, offset: int, at: float) -> int:
    """Return where an event stands among those of its job. That is its offset, as long as `job-event` is the same log.

    A log that lost its end, or was made anew, gives old offsets to new events. Such an event has an offset that the job
    includes already, and is younger than all events that the job includes. It is put behind them, and later ones behind
    it: with offsets up to 900 included, a younger event at 700 stands at 900 + 2³², the one at 701 one further.
    `at`: Kafka's time of the message, seconds since 1970.
    """
    placed = offset + job.moved_by
    if placed <= job.offset and job.newest_at is not None and at > job.newest_at:
        job.moved_by = job.offset + OTHER_LOG - offset
        placed = offset + job.moved_by
    if placed > job.offset:
        job.newest_at = max(at, job.newest_at or at)
    return placed


class Changed(NamedTuple):
    """What an event has changed: `files`, each with its row, and files that had no row and have ended alike."""

    files: list[JobFile]
    new: NewFiles | None = None


_NOTHING = Changed([])


def apply(job: Job, event: JobEvent, offset: int, known: Mapping[str, JobFile | None]) -> Changed:
    """Fold one event into the job; return what has changed of its files.

    `offset`: as `place` returns it. `known`: the rows of the files that the event is about, by their ids.
    """
    if job.forgotten:
        return _NOTHING
    changed = _apply_files(job, event, offset, known)
    if offset > job.offset:
        job.offset = offset
        if not isinstance(event, events.Stalled):
            # Any other event is a sign of life.
            job.active_offset, job.stalled = offset, None
        _keep_account(job, event)
        job.note_turns(offset)
        _show(job, event)
    return changed


def _apply_files(job: Job, event: JobEvent, offset: int, rows: Mapping[str, JobFile | None]) -> Changed:
    replay, new = False, None
    match event:
        case events.Seen():
            reports = [FileReport(file.file_id, file.path, path_b64=file.path_b64) for file in event.files]
        case OutcomesAlike():
            new, reports = _parted(event, offset, rows)
        case events.Outcomes():
            reports = [
                FileReport(file.file_id, file.path, file.outcome, file.reason, file.sha256, file.path_b64)
                for file in event.files
            ]
            replay = event.replay
        case _:
            return _NOTHING
    # Where all files are known, it does not matter who finds them again.
    walk_id = None if job.was_whole(offset) else event.walk_id
    job.collection = job.collection or event.collection
    was_closed = job.was_closed(offset)
    before: dict[str, JobFile | None] = {}
    after: dict[str, JobFile] = {}
    for report in reports:
        file_id = report.file_id
        if file_id not in before:
            before[file_id] = rows.get(file_id)
        known = after.get(file_id) or before[file_id]
        if was_closed and (known is None or known.at(offset) is None):
            continue
        after[file_id] = fold(known, report, offset, replay=replay, walk_id=walk_id)
    if new is not None:
        new = None if was_closed else replace(new, walk_id=walk_id)
    # Where the counters hold this event already, it is the rows that are behind.
    if offset > job.offset:
        failures = {report.file_id: report for report in reports if report.outcome == "failed"}
        counted = [_count(job, file, offset, failures) for file in after.values()]
        if new is not None:
            job.count_new(len(new.file_ids), new.outcome, walk_id)
        if new is not None or any(counted):
            job.note(event.at)
            job.started_at = job.started_at or event.at
            job.sample(event.at, job.processed)
    return Changed([file for file_id, file in after.items() if file is not before[file_id]], new)


def _parted(
    event: OutcomesAlike, offset: int, rows: Mapping[str, JobFile | None]
) -> tuple[NewFiles | None, list[FileReport]]:
    """Return the files of an event that have no row, and what it reports of the others."""
    files = event.file_ids, event.paths, event.sha256s
    are_new = [rows.get(file_id) is None for file_id in event.file_ids]
    reports = [
        FileReport(file_id, path, event.outcome, None, sha256)
        for is_new, file_id, path, sha256 in zip(are_new, *files, strict=True)
        if not is_new
    ]
    if len(reports) == len(are_new):
        return None, reports
    file_ids, paths, sha256s = (list(compress(column, are_new)) for column in files) if reports else files
    return NewFiles(offset, event.outcome, event.walk_id, file_ids, paths, sha256s), reports


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


def _keep_account(job: Job, event: JobEvent) -> None:
    match event:
        case events.Queued():
            _queue(job, event)
        case events.Scanning():
            _begin_walk(job, event)
        case events.Sealed():
            _seal(job, event)
        case events.Command():
            _command(job, event)
        case events.JobFailed():
            _fail(job, event)
        case events.Forget():
            _forget(job)
        case Sweeping():
            job.removals = job.removals or Removals(
                sweep=event.sweep, pictures=event.pictures, lost_lately=event.lost_lately
            )
        case Guarded() | Swept() | Tallied() | LeftAll() | Overtaken():
            _take_removals(job, event)
        case _:
            pass


def _take_removals(job: Job, event: ToRemovals) -> None:
    if job.removals is None:
        return
    before = job.removals.state
    job.removals.take(event)
    if job.removals.state != before and job.removals.state in REMOVALS_SETTLED:
        job.log(f"What has left: {job.removals.state}.")


def _show(job: Job, event: JobEvent) -> None:
    match event:
        case events.LeftOut():
            job.left_out = event
            job.log(left_out_line(event.files, event.folders, more=event.more))
        case events.Moved():
            # Stages tell these counts later than the outcomes: behind the end they would change a job that is over.
            if job.state not in FINISHED:
                job.moved[event.stage] += event.files
            job.waiting.pop(event.stage, None)
        case events.Step():
            job.step = event.text
            job.log(event.text)
        case events.MLSent():
            job.ml_images_sent += event.images
        case events.Waiting():
            _wait(job, event)
        case events.Stalled() | events.Restarted() | events.WalkedAgain() | events.AskedAgain():
            _hear_watchdog(job, event)
        case _:
            pass


def _queue(job: Job, event: events.Queued) -> None:
    job.collection = event.collection
    job.name_sources(event.sources)
    job.caption = event.caption
    job.reread, job.task, job.accept_failed = event.reread, event.task, event.accept_failed
    job.model_id = event.model_id
    job.source = event.source
    if job.queued_at is None:
        job.queued_at = event.at
        job.log(event.message or f"Queued for collection {event.collection}.")


def _begin_walk(job: Job, event: events.Scanning) -> None:
    job.collection = job.collection or event.collection
    if not job.sources:
        job.name_sources(event.sources)
    job.caption = job.caption or event.caption
    job.reread, job.task = job.reread or event.reread, job.task or event.task
    job.model_id = job.model_id or event.model_id
    job.source = job.source or event.source
    job.begin_walk(event)
    job.started_at = job.started_at or event.at
    job.left_out = None
    job.log("Scan begun.")


def _seal(job: Job, event: events.Sealed) -> None:
    if not job.seal(event):
        return
    job.note(event.at)
    if job.whole:
        job.log(f"All files are known: {job.seen}.")
    elif job.sealed:
        job.log(f"The walk has ended; {missing_in_words(job.missing)}.")


def _fail(job: Job, event: events.JobFailed) -> None:
    if job.fail(clipped(event.reason, REASON_CHARACTERS)):
        job.collection = job.collection or event.collection
        job.note(event.at)
        job.log(event.reason)


def _command(job: Job, event: events.Command) -> None:
    if event.type in {"confirm", "keep"}:
        if job.removals is not None and job.removals.decide(event.type):
            job.log(f"Asked to {event.type} what is gone.")
        return
    if not job.obey(event):
        return
    if event.type == "cancel":
        job.note(event.at)
    job.log(f"Asked to {event.type}.")


def _forget(job: Job) -> None:
    """Its last status stays."""
    if job.forget():
        job.samples = []
        job.log("Its files were forgotten.")


def _wait(job: Job, event: events.Waiting) -> None:
    if event.target is None:
        job.waiting.pop(event.stage, None)
        return
    if job.waiting.get(event.stage) != event.target:
        job.log(f"Stage {event.stage} waits for {event.target}.")
    job.waiting[event.stage] = event.target


def _hear_watchdog(job: Job, event: events.Stalled | events.Restarted | events.WalkedAgain | events.AskedAgain) -> None:
    match event:
        case events.Stalled():
            if event.reason is not None and job.stalled is None:
                job.log(f"Stalled: {event.reason}.")
            job.stalled = event.reason and clipped(event.reason, REASON_CHARACTERS)
        case events.Restarted():
            job.restarts = max(job.restarts, event.attempt)
            again = plural(event.files, "file without an outcome begins", "files without an outcome begin")
            job.log(f"{again} again.")
        case events.WalkedAgain():
            job.walks_again += 1
            job.log("Not all files were seen: the folders are walked again.")
        case events.AskedAgain():
            if job.removals is not None:
                job.removals.asked_again = max(job.removals.asked_again, event.attempt)
                job.log("What is to be found or removed stands still: it is asked for again.")
