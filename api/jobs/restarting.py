"""Sends files of a job that were lost on their way to the start again; used by the watchdog."""

import structlog
from pydantic import ValidationError

from api.jobs.publisher import Publisher
from api.view.reading import UnfinishedFile
from api.view.requests import JobRequest
from api.view.view import JobView
from rules.watchdog import JobSample
from tables.job import Job
from topics.raw_path import RawPath

FILES_AT_ONCE = 500

log = structlog.get_logger()


async def begin_again(view: JobView, publisher: Publisher, job_id: str, looked: JobSample) -> int:
    """Send the files without an outcome to the start again; return the offset of the event that says so.

    The attempt is counted first, so that kills cannot repeat it for ever. Raises KafkaUnavailableError.
    """
    attempt = looked.restarts + 1
    log.warning("job-restarted", job_id=job_id, files=looked.unfinished, attempt=attempt)
    offset = await publisher.restarted(job_id, looked.unfinished, attempt)
    job, asked = await view.folded(job_id), await view.request(job_id)
    if job is not None and (job.reread or job.task is not None) and not job.cancelled:
        # The collection tells the content of each of its files. A cancelled job needs none.
        await publisher.reread(job, asked.sources or job.sources, attempt + 1)
        return offset
    # A file that cannot be bound to its folders as before does not begin again; in a cancelled job, it ends anyway.
    is_bound = job is not None and (asked.roots is not None or asked.sources is not None)
    after = 0
    while page := await view.unfinished_files(job_id, after=after, limit=FILES_AT_ONCE):
        begun = {row: start(job, asked, row) if job and is_bound else None for row in page}
        left = [row for row, file in begun.items() if file is None]
        if left and job is not None and job.cancelled:
            await publisher.skip(job, left)
        elif left:
            log.warning("job-files-not-restarted", job_id=job_id, files=len(left))
        # Attempt 1 is the first time that a file was sent.
        await publisher.restart([file for file in begun.values() if file is not None], attempt + 1)
        after = page[-1].number
    return offset


def start(job: Job, asked: JobRequest, row: UnfinishedFile) -> RawPath | None:
    """Return the message that starts a file; None where it would start another.

    A program that publishes to Kafka itself may report a file of another collection, or under an id of its own.
    """
    try:
        file = RawPath(
            job_id=job.job_id,
            collection=job.collection,
            path=row.path,
            path_b64=row.path_b64,
            caption=job.caption,
            model_id=job.model_id,
            # What the job may read did not change.
            roots=asked.sources or None if asked.roots is None else asked.roots,
            source=job.source,
        )
    except ValidationError:
        return None
    return file if file.file_id == row.file_id else None
