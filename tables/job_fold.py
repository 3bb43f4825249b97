"""One job, as the fold of its events: the same code serves `track` and the API's read view.

What a file ends as is folded free of order (rules.outcomes). What belongs to the job itself is either a set that only
grows (seals, commands), a counter, or a gauge for people (stages, rate), and an event at or before the job's offset is
not applied to those a second time. Times come from the events, never from a clock, so that a replayed fold gives the
same document. A job that was forgotten does not change any more.
"""

from collections.abc import Callable

from rules.kinds import left_out_line
from rules.outcomes import FileReport
from rules.paths import first_paths
from rules.watchdog import missing_in_words
from tables.job import Job
from tables.job_file import MAX_WALKS, JobFile, fold
from topics import job_event as events
from topics.job_status import FINISHED
from topics.limits import clipped

# The newest lines, and of all together so many characters: every document has them.
LOG_LINES = 100
LOG_LINE_CHARACTERS = 1000
LOG_CHARACTERS = 3000
REASON_CHARACTERS = 2000
RATE_SAMPLES = 20
RATE_SAMPLE_SECONDS = 0.5
# Added to offsets of a log that took the place of another: rows may be ahead of what the job includes.
OTHER_LOG = 1 << 32


def place(job: Job, offset: int, at: float) -> int:
    """Return where an event stands among those of a job: its offset, unless `job-event` is another log by now.

    `at`: Kafka's time of the message, seconds since 1970. A log that has lost its end gives its offsets again. An event
    that is younger than all that the job includes, with the offset of one of these, is of such a log: it stands behind
    them, and so does all that follows.
    """
    placed = offset + job.moved_by
    if placed <= job.offset and job.newest_at is not None and at > job.newest_at:
        job.moved_by = job.offset + OTHER_LOG - offset
        placed = offset + job.moved_by
    if placed > job.offset:
        job.newest_at = max(at, job.newest_at or at)
    return placed


def apply(job: Job, event: events.AnyJobEvent, offset: int, lookup: Callable[[str], JobFile | None]) -> list[JobFile]:
    """Fold one event into the job; return the files whose rows have changed.

    `offset`: as `place` returns it. `lookup` gives the row of a file of this job by its id, or None.
    """
    if job.forgotten:
        return []
    changed = _apply_files(job, event, offset, lookup)
    if offset > job.offset:
        job.offset = offset
        if not isinstance(event, events.Stalled):
            # Any other event is a sign of life.
            job.active_offset, job.stalled = offset, None
        _apply_to_job(job, event)
    return changed


def _apply_files(
    job: Job, event: events.AnyJobEvent, offset: int, lookup: Callable[[str], JobFile | None]
) -> list[JobFile]:
    replay, walk_id = False, None
    match event:
        case events.Seen():
            reports = [FileReport(file.file_id, file.path, path_b64=file.path_b64) for file in event.files]
            # Where all files are known, it does not matter who finds them again.
            walk_id = None if job.whole else event.walk_id
        case events.Outcomes():
            reports = [
                FileReport(file.file_id, file.path, file.outcome, file.reason, file.sha256, file.path_b64)
                for file in event.files
            ]
            replay = event.replay
            walk_id = None if job.whole else event.walk_id
        case _:
            return []
    job.collection = job.collection or event.collection
    before: dict[str, JobFile | None] = {}
    after: dict[str, JobFile] = {}
    for report in reports:
        file_id = report.file_id
        if file_id not in before:
            before[file_id] = lookup(file_id)
        known = after.get(file_id) or before[file_id]
        after[file_id] = fold(known, report, offset, replay=replay, walk_id=walk_id)
    # Where the counters hold this event already, it is the rows that are behind.
    counted = [_count(job, file, offset) for file in after.values()] if offset > job.offset else []
    if any(counted):
        _note_progress(job, event.at)
        job.started_at = job.started_at or event.at
        _sample_rate(job, event.at)
    return [file for file_id, file in after.items() if file is not before[file_id]]


def _count(job: Job, file: JobFile, offset: int) -> bool:
    """Bring the counters from the job's offset to this one; tell whether an outcome has changed, or a file come."""
    before, after = file.at(job.offset), file.at(offset)
    if before == after or after is None:
        return False
    for walk in set(after.walks).difference(before.walks if before else ()):
        _know_walk(job, walk)
        job.walk_files[walk] += 1
    for counted, by in ((before, -1), (after, 1)):
        if counted is not None and counted.kind is not None:
            job.count_skipped(counted.kind, by)
    if before is not None and before.outcome == after.outcome:
        return False
    if before is None:
        job.seen += 1
    elif before.outcome is not None:
        job.counts[before.outcome] -= 1
    if after.outcome is not None:
        job.counts[after.outcome] += 1
    if after.outcome == "failed":
        _log(job, f"{file.report.path}: failed: {file.report.reason}")
    return True


def _know_walk(job: Job, walk_id: str) -> None:
    job.walk_files.setdefault(walk_id, 0)
    if len(job.walk_files) > MAX_WALKS:
        del job.walk_files[next(iter(job.walk_files))]


def _apply_to_job(job: Job, event: events.AnyJobEvent) -> None:
    match event:
        case events.Queued():
            _queue(job, event)
        case events.Scanning():
            _begin_walk(job, event)
        case events.Sealed():
            _seal(job, event)
        case events.LeftOut():
            job.left_out = event
            _log(job, left_out_line(event.files, event.folders, more=event.more))
        case events.Moved():
            _move(job, event)
        case events.MLSent():
            job.ml_images_sent += event.images
        case events.Waiting():
            _wait(job, event)
        case events.Command():
            _command(job, event)
        case events.JobFailed():
            _fail(job, event)
        case events.Stalled() | events.Restarted() | events.WalkedAgain():
            _hear_watchdog(job, event)
        case events.Forget():
            _forget(job)
        case _:
            pass


def _queue(job: Job, event: events.Queued) -> None:
    job.collection = event.collection
    _note_sources(job, event.sources)
    job.caption = event.caption
    job.reread = event.reread
    job.model_id = event.model_id
    if job.queued_at is None:
        job.queued_at = event.at
        _log(job, event.message or f"Queued for collection {event.collection}.")


def _note_sources(job: Job, sources: list[str]) -> None:
    job.sources, job.sources_total = first_paths(sources), len(sources)


def _begin_walk(job: Job, event: events.Scanning) -> None:
    job.collection = job.collection or event.collection
    if not job.sources:
        _note_sources(job, event.sources)
    job.caption = job.caption or event.caption
    job.reread = job.reread or event.reread
    job.model_id = job.model_id or event.model_id
    job.started_at = job.started_at or event.at
    # One that was cancelled before has ended: what this walk still finds is skipped.
    job.walk_begun = job.walk_begun or not job.cancelled
    if job.failed_reason is not None:
        # The request was replayed. The walk that failed has sealed only what was before it.
        job.failed_reason = None
        job.seals, job.published = {}, {}
    job.left_out = None
    if event.counted and not job.whole:
        _know_walk(job, event.walk_id)
    _log(job, "Scan begun.")


def _seal(job: Job, event: events.Sealed) -> None:
    if job.whole or event.partition >= event.partitions:
        return
    job.partitions = event.partitions
    partitions = job.seals.setdefault(event.walk_id, [])
    if event.partition in partitions:
        return
    published = job.published.get(event.walk_id, None if partitions else 0)
    job.published[event.walk_id] = None if published is None or event.files is None else published + event.files
    partitions.append(event.partition)
    if len(job.seals) > MAX_WALKS:
        oldest = next(iter(job.seals))
        del job.seals[oldest], job.published[oldest]
    _note_progress(job, event.at)
    if job.whole:
        _log(job, f"All files are known: {job.seen}.")
    elif job.sealed:
        _log(job, f"The walk has ended; {missing_in_words(job.missing)}.")


def _move(job: Job, event: events.Moved) -> None:
    # Stages tell these counts later than the outcomes: what comes behind the end would change a job that is over.
    if job.state not in FINISHED:
        job.moved[event.stage] += event.files
    job.waiting.pop(event.stage, None)


def _forget(job: Job) -> None:
    """Its files are forgotten, and its last status stays. One that is not over knows better what it needs."""
    if job.state not in FINISHED:
        return
    job.forgotten = True
    job.samples = []
    _log(job, "Its files were forgotten.")


def _wait(job: Job, event: events.Waiting) -> None:
    if event.target is None:
        job.waiting.pop(event.stage, None)
        return
    if job.waiting.get(event.stage) != event.target:
        _log(job, f"Stage {event.stage} waits for {event.target}.")
    job.waiting[event.stage] = event.target


def _hear_watchdog(job: Job, event: events.Stalled | events.Restarted | events.WalkedAgain) -> None:
    match event:
        case events.Stalled():
            if event.reason is not None and job.stalled is None:
                _log(job, f"Stalled: {event.reason}.")
            job.stalled = event.reason and clipped(event.reason, REASON_CHARACTERS)
        case events.Restarted():
            job.restarts = max(job.restarts, event.attempt)
            _log(job, f"{event.files} files without an outcome begin again.")
        case events.WalkedAgain():
            job.walks_again += 1
            _log(job, "Not all files were seen: the folders are walked again.")


def _command(job: Job, event: events.Command) -> None:
    if job.state in FINISHED:
        return
    if event.type == "cancel":
        job.cancelled = True
        _note_progress(job, event.at)
    else:
        job.paused = event.type == "pause"
    _log(job, f"Asked to {event.type}.")


def _fail(job: Job, event: events.JobFailed) -> None:
    # A request may be delivered again when its walk is done, and its folder gone: too late to fail.
    if job.whole or job.failed_reason is not None:
        return
    job.collection = job.collection or event.collection
    job.failed_reason = clipped(event.reason, REASON_CHARACTERS)
    _note_progress(job, event.at)
    _log(job, event.reason)


def _note_progress(job: Job, at: float) -> None:
    """Progress has a time that never runs back: the clocks of two machines differ."""
    job.last_progress_at = max(at, job.last_progress_at or at)
    job.stalled = None


def _log(job: Job, line: str) -> None:
    logs = [*job.logs[1 - LOG_LINES :], line[:LOG_LINE_CHARACTERS]]
    while sum(map(len, logs)) > LOG_CHARACTERS:
        del logs[0]
    job.logs = logs


def _sample_rate(job: Job, at: float) -> None:
    if not job.samples or at - job.samples[-1][0] >= RATE_SAMPLE_SECONDS:
        job.samples = [*job.samples[1 - RATE_SAMPLES :], (at, job.processed)]
