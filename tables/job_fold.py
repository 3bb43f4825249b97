"""One job, as the fold of its events: the same code serves `track` and the API's read view.

An event changes files of the job (tables.file_fold), its account (tables.account), or only what people see of it
(tables.progress). What a file ends as does not depend on the order of events (rules.outcomes). What belongs to the job
itself is a set that only grows (seals, commands), a counter, or a gauge: an event at or before the job's offset is not
applied to it again. Times come from the events, never from a clock, so a replayed fold gives the same document. A job
that was forgotten does not change any more.
"""

from collections.abc import Mapping

from rules.kinds import left_out_line
from rules.watchdog import missing_in_words
from rules.wording import plural
from tables.file_fold import NOTHING, Changed, fold_files
from tables.job import Job
from tables.job_file import JobFile
from tables.removals import Removals
from topics import job_event as events
from topics.job_event_codec import JobEvent
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
        if job.offset < 0:
            job.begun_at = at
        job.newest_at = max(at, job.newest_at or at)
    return placed


def apply(job: Job, event: JobEvent, offset: int, known: Mapping[str, JobFile | None]) -> Changed:
    """Fold one event into the job; return what has changed of its files.

    `offset`: as `place` returns it. `known`: the rows of the files that the event is about, by their ids.
    """
    if job.forgotten:
        return NOTHING
    changed = fold_files(job, event, offset, known)
    if offset > job.offset:
        job.offset = offset
        if not isinstance(event, events.Stalled | events.StatusAsked):
            # Any other event is a sign of life.
            job.active_offset, job.stalled = offset, None
        before = job.removals and job.removals.state
        _keep_account(job, event)
        if job.removals is not None and job.removals.state != before:
            job.removals.since = job.newest_at
        job.note_turns(offset)
        _show(job, event)
    return changed


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
            job.log("A person said yes." if event.type == "confirm" else "A person said no.")
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
