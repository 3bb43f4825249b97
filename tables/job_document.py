"""The public status document of a job."""

from datetime import UTC, datetime

from core.settings import Stage
from rules.outcomes import Outcome
from rules.watchdog import missing_in_words
from tables.job import Job
from topics.job_status import (
    FINISHED,
    REMOVALS_SETTLED,
    JobStatus,
    LeftOutCounts,
    OutcomeCounts,
    RemovalStatus,
    StageGauge,
    State,
)

WRITTEN: tuple[Outcome, ...] = ("stored", "cached", "duplicate")
"""What store has confirmed."""


def document(job: Job) -> JobStatus:
    """Return the document that `job-status` carries and HTTP serves."""
    state = job.state
    finished = state in FINISHED
    processed = job.processed
    counts = job.counts
    total_known = job.whole or finished
    rate = job.rate
    return JobStatus(
        job_id=job.job_id,
        status=state,
        collection=job.collection,
        model_id=job.model_id,
        caption=job.caption,
        reread=job.reread,
        task=job.task,
        source=job.source,
        removals=_removals(job, state),
        sources=job.sources,
        sources_total=job.sources_total,
        progress=_progress(job, finished=finished, total_known=total_known),
        total_files=job.seen,
        total_known=total_known,
        processed_files=processed,
        cached_files=counts["cached"] + counts["duplicate"] + counts["unchanged"],
        failed_files=counts["failed"],
        missing_files=job.missing,
        outcomes=OutcomeCounts(**counts),
        skipped_kinds=job.skipped,
        left_out=_left_out(job),
        stages=_gauges(job),
        rate=rate,
        eta_seconds=round((job.seen - processed) / rate, 1) if rate and total_known and not finished else None,
        begun_time=_iso(job.begun_at),
        start_time=_iso(job.started_at or job.queued_at),
        end_time=_iso(job.last_progress_at) if finished else None,
        last_progress_at=_iso(job.last_progress_at),
        waiting_for=None if finished else next(iter(job.waiting.values()), None),
        stalled=None if finished else job.stalled,
        cancelling=job.cancelled and not finished,
        paused=state == "paused",
        forgotten=job.forgotten,
        ml_images_sent=job.ml_images_sent,
        message=_message(job, state),
        logs=job.logs,
        offset=job.offset,
    )


def _removals(job: Job, state: State) -> RemovalStatus | None:
    if (removals := job.removals) is None:
        if job.source is None or state != "failed":
            return None
        why = (job.failed_reason or "the job failed").rstrip(".")
        return RemovalStatus(state="guarded", reason=why, code="job-ended")
    shown, reason, code = removals.state, removals.reason, removals.code
    if state in {"failed", "cancelled"} and shown not in REMOVALS_SETTLED:
        # A walk was whole, and a kill had its request walked again, which ended so: nobody asks any further.
        shown, code = "guarded", "job-ended"
        reason = "the job failed" if state == "failed" else "the job was cancelled"
    return RemovalStatus(
        state=shown,
        unread=removals.unread,
        reason=reason,
        code=code,
        since=_iso(removals.since),
        **removals.counts.model_dump(),
    )


def _left_out(job: Job) -> LeftOutCounts | None:
    if (left_out := job.left_out) is None:
        return None
    return LeftOutCounts(files=left_out.files, folders=left_out.folders, more=left_out.more)


def _progress(job: Job, *, finished: bool, total_known: bool) -> float:
    if finished:
        return 100.0
    # Rounding does not make one of the last files done.
    return min(99.9, round(100 * job.processed / job.seen, 1)) if total_known and job.seen else 0.0


def _gauges(job: Job) -> dict[Stage, StageGauge]:
    """Return how many files each stage has handed on, and how many it has yet to.

    Stages report their own counts late, and twice after a kill. Outcomes are exact, so they bound these counts: ten
    files that are stored have passed prepare, whatever it has said so far, and no stage has handed on more files than
    there are. A file that has its outcome is in no stage any more.
    """
    written = sum(job.counts[outcome] for outcome in WRITTEN)
    least: dict[Stage, int] = {
        "hash": written + job.counts["unchanged"],
        "prepare": written,
        "embed": job.counts["stored"],
    }
    handed_on: dict[Stage, int] = {
        "scan": job.seen,
        **{stage: min(job.seen, max(job.moved[stage], files)) for stage, files in least.items()},
        "store": written,
    }
    gauges: dict[Stage, StageGauge] = {}
    arrived = job.seen
    for stage, done in handed_on.items():
        left = max(done, job.processed) if stage != "scan" else job.seen
        gauges[stage] = StageGauge(done=done, in_flight=max(0, arrived - left))
        arrived = min(arrived, left)
    return gauges


def _message(job: Job, state: State) -> str:
    missing = f" {missing_in_words(job.missing)}." if state in FINISHED and job.missing else ""
    step = f" {job.step}" if job.step else ""
    if state == "failed":
        return (job.failed_reason or "The job failed.") + missing
    if state in FINISHED:
        counts = job.counts
        done = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no files"
        return f"{state.replace('_', ' ').capitalize()}: {done}.{missing}{_left_in_words(_removals(job, state))}{step}"
    if job.stalled:
        return f"Stalled: {job.stalled}"
    if job.waiting:
        return f"Waiting for {next(iter(job.waiting.values()))}."
    if state == "queued":
        return "Queued."
    missing = f"; {missing_in_words(job.missing)}" if job.missing else ""
    return f"{job.processed} of {job.seen} files so far have their outcome{missing}.{step}"


def _left_in_words(removals: RemovalStatus | None) -> str:
    """Say what has left, or why nothing has."""
    if removals is None:
        return ""
    named = {name: getattr(removals, name) for name in ("moved", "gone", "replaced", "excluded")}
    left = ", ".join(f"{name} {count}" for name, count in named.items() if count)
    match removals.state:
        case "guarded":
            return f" Nothing was removed: {removals.reason}."
        case "held":
            return f" Not removed yet, as {removals.reason}: {left}. Say yes or no."
        case "overtaken":
            return f" Not removed, and asked anew by a newer look: {left}."
        case "kept":
            return f" Kept, as you said: {left}."
        case "removed" if left:
            return f" Left: {left}."
        case _:
            return ""


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
