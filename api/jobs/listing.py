"""Which jobs a list shows."""

from topics.job_status import FINISHED, JobsShown, JobStatus


def is_shown(job: JobStatus, show: JobsShown) -> bool:
    """Tell whether a job is one of these."""
    match show:
        case "all":
            return True
        case "running":
            return job.status not in FINISHED
        case "errors":
            return job.status == "failed" or job.failed_files > 0
        case _:
            return job.status == show


def is_found(job: JobStatus, text: str) -> bool:
    """Tell whether a job's id or one of its folders has this text in it, in any case."""
    wanted = text.casefold()
    return any(wanted in name.casefold() for name in (job.job_id, *job.sources))
