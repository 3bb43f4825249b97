"""Which jobs may be closed: said to have no further file to come."""

from rules.watchdog import missing_in_words
from topics.job_status import FINISHED, JobStatus


def why_not_closed(job: JobStatus, *, accept_missing: bool) -> str | None:
    """Return why a job is not closed, or None if it is. A scan that goes on would be cut off from its last files."""
    lost = bool(job.missing_files) or (job.status == "scanning" and job.stalled is not None)
    if not lost or job.status in FINISHED:
        return (
            f"Job {job.job_id} scans folders: it ends by itself. To end it early, cancel it." if job.sources else None
        )
    if not accept_missing and job.missing_files:
        return (
            f"Of job {job.job_id} {missing_in_words(job.missing_files)}. To end it without them, close it with "
            "accept_missing (`darkroom close JOB --accept-missing`)."
        )
    if not accept_missing:
        return (
            f"Job {job.job_id} scans folders, and its end markers are missing ({job.stalled}). To end it as it is, "
            "close it with accept_missing (`darkroom close JOB --accept-missing`)."
        )
    if job.stalled is None:
        return f"Job {job.job_id} is not stalled: what is missing may still come. Try again when it is."
    return None
