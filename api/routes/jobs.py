"""Looking at jobs and steering them. All of it is answered from the read view."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.http.problems import problems
from api.jobs.closing import why_not_closed
from api.jobs.listing import is_found, is_shown
from api.jobs.publisher import CONFIRM_SECONDS, Publisher
from api.routes.deps import JobDep, PublisherDep, SourceKeeperDep, ViewDep
from api.schemas.jobs import JobFile, JobFiles, JobRemoval, JobRemovals, JobSources, RecentJobs, Submitted
from api.view.view import JobView
from core.errors import KafkaUnavailableError, RequestError
from rules.identity import point_id
from rules.outcomes import Outcome
from rules.tally import Way
from topics.files import JobId
from topics.job_status import FINISHED, JobsShown, JobStatus

router = APIRouter(prefix="/ingest", tags=["jobs"])


@router.get("/status/{job_id}", responses=problems(404))
async def status(job: JobDep) -> JobStatus:
    """Return the status document of a job."""
    return job


@router.get("/recent_jobs", responses=problems(422))
async def recent_jobs(
    *,
    view: ViewDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    find: Annotated[str, Query(description="A part of the job's id or of a folder of its, in any case.")] = "",
    collection: Annotated[str, Query(description="Empty: all.")] = "",
    source: Annotated[str, Query(description="Only looks at this source. Empty: all.")] = "",
    show: Annotated[JobsShown, Query(description="`errors`: those that failed, or of which files did.")] = "all",
) -> RecentJobs:
    """Return the jobs that were begun last, the latest first."""

    def matches(job: JobStatus) -> bool:
        return is_shown(job, show) and collection in {"", job.collection} and is_found(job, find)

    jobs, following = await view.recent(matches, limit=limit, cursor=cursor, source=source, is_open=show == "running")
    return RecentJobs(jobs=jobs, next=following)


@router.get("/{job_id}/files", responses=problems(404, 410))
async def files(
    job: JobDep,
    view: ViewDep,
    outcome: Annotated[Outcome | Literal[""], Query(description="Empty: all.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> JobFiles:
    """Return a page of a job's files, in the order in which they were found."""
    if job.forgotten:
        raise RequestError(f"Job {job.job_id} was forgotten: which files it had is no longer known.", 410)
    rows, following = await view.files(job.job_id, outcome=outcome or None, limit=limit, cursor=cursor)
    return JobFiles(
        files=[JobFile(path=row.path, outcome=row.outcome, reason=row.reason, sha256=row.sha256) for row in rows],
        next=following,
    )


@router.get("/{job_id}/removals", responses=problems(404, 410))
async def removals(
    job: JobDep,
    view: ViewDep,
    way: Annotated[Way | Literal[""], Query(description="Empty: all.")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> JobRemovals:
    """Return a page of what a sync found to have left its source, as it was counted: `removals` of the status.

    Where these are `held`, what is `moved` and `gone` waits for a yes or no.
    """
    if job.forgotten:
        raise RequestError(f"Job {job.job_id} was forgotten: what left by it is no longer known.", 410)
    rows, following = await view.leaving(job.job_id, way=way or None, limit=limit, cursor=cursor)
    return JobRemovals(
        removals=[
            JobRemoval(
                path=row.path, way=row.way, to=row.moved_to, lost=row.lost, id=point_id(row.sha256), sha256=row.sha256
            )
            for row in rows
        ],
        next=following,
    )


@router.get("/{job_id}/events", response_class=EventSourceResponse, responses=problems(404))
async def events(job: JobDep, view: ViewDep) -> AsyncIterator[ServerSentEvent]:
    """Send the status document now and after each change, as `event: status`; ends when the job is finished."""
    async for document in view.follow(job.job_id):
        yield ServerSentEvent(event="status", data=document)


@router.post("/{job_id}/cancel", status_code=202, responses=problems(404, 409))
async def cancel(job: JobDep, view: ViewDep, publisher: PublisherDep) -> Submitted:
    """End a job early: what is not begun is skipped, what ML has in hand is carried to its end."""
    return await _command(job, view, publisher, "cancel")


@router.post("/{job_id}/pause", status_code=202, responses=problems(404, 409))
async def pause(job: JobDep, view: ViewDep, publisher: PublisherDep) -> Submitted:
    """Hold a job's scan; what was found already goes on."""
    return await _command(job, view, publisher, "pause")


@router.post("/{job_id}/resume", status_code=202, responses=problems(404, 409))
async def resume(job: JobDep, view: ViewDep, publisher: PublisherDep) -> Submitted:
    """Let a paused job go on."""
    return await _command(job, view, publisher, "resume")


@router.post("/{job_id}/close", status_code=202, responses=problems(404, 409))
async def close(
    job_id: JobId,
    view: ViewDep,
    publisher: PublisherDep,
    accept_missing: Annotated[
        bool, Query(description="End it without the files that were published and never seen.")
    ] = False,
) -> Submitted:
    """Say that no further file of this job will be published to `raw-path`.

    For programs that publish there themselves; a scan does it by itself. The id need not be known yet: the
    files may still be on their way. Closing twice is closing once. A job that is stalled because of files, or of end
    markers, that never came is ended as it is with `accept_missing`.
    """
    known = await view.status(job_id)
    if known is not None and (reason := why_not_closed(known, accept_missing=accept_missing)):
        raise RequestError(reason, 409)
    await publisher.close(job_id)
    return Submitted(
        job_id=job_id, status=known.status if known else "queued", message="Closed: no further file will come."
    )


@router.post("/{job_id}/forget", status_code=202, responses=problems(404, 409))
async def forget(job: JobDep, view: ViewDep, publisher: PublisherDep) -> Submitted:
    """Forget the files of a job that is over, as happens by itself after JOB_RETENTION_DAYS.

    Its last status stays. What is replayed from it runs as a new job.
    """
    if job.status not in FINISHED:
        raise RequestError(f"Job {job.job_id} is {job.status}: it can be forgotten when it is over.", 409)
    offset = await publisher.forget(job.job_id)
    if not job.forgotten:
        await _seen(view, job.job_id, offset, "forget")
    return Submitted(
        job_id=job.job_id,
        status=job.status,
        message="Its files are forgotten; its last status stays. What is replayed from it runs as a new job.",
    )


@router.get("/{job_id}/sources", responses=problems(404, 410))
async def sources(job: JobDep, view: ViewDep) -> JobSources:
    """Return all folders and files that a job was asked to scan; its status shows the first few."""
    known = (await view.request(job.job_id)).sources
    if known is None:
        raise RequestError(
            f"Of the {job.sources_total} sources of job {job.job_id} the first {len(job.sources)} are left, "
            "in its status.",
            410,
        )
    return JobSources(sources=known)


@router.post("/{job_id}/confirm", status_code=202, responses=problems(404, 409))
async def confirm(job: JobDep, view: ViewDep, publisher: PublisherDep, sources: SourceKeeperDep) -> Submitted:
    """Say yes to the removals of a sync that are held: what is gone or left out leaves the collection."""
    _check_held(job)
    if not await sources.is_kept(job):
        raise RequestError(f"Source {job.source} was removed since, and its pictures stay.", 409)
    return await _decide(job, view, publisher, "confirm")


@router.post("/{job_id}/keep", status_code=202, responses=problems(404, 409))
async def keep(job: JobDep, view: ViewDep, publisher: PublisherDep) -> Submitted:
    """Say no to the removals of a sync that are held: nothing is removed, and the next sync asks again."""
    _check_held(job)
    return await _decide(job, view, publisher, "keep")


def _check_held(job: JobStatus) -> None:
    if job.removals is None or job.removals.state != "held":
        state = "it is no sync that found anything gone" if job.removals is None else f"they are {job.removals.state}"
        raise RequestError(f"No removals of job {job.job_id} wait for a yes or no: {state}.", 409)


async def _decide(
    job: JobStatus, view: JobView, publisher: Publisher, command: Literal["confirm", "keep"]
) -> Submitted:
    now = await _seen(view, job.job_id, await publisher.command(job.job_id, command), command)
    if now.removals is not None and now.removals.state == "overtaken":
        raise RequestError(f"{now.removals.reason}: its removals are asked about now.", 409)
    return Submitted(job_id=now.job_id, status=now.status, message=now.message)


async def _command(
    job: JobStatus, view: JobView, publisher: Publisher, command: Literal["cancel", "pause", "resume"]
) -> Submitted:
    if job.status in FINISHED:
        raise RequestError(f"Job {job.job_id} is {job.status.replace('_', ' ')}: it is too late to {command} it.", 409)
    now = await _seen(view, job.job_id, await publisher.command(job.job_id, command), command)
    return Submitted(job_id=now.job_id, status=now.status, message=now.message)


async def _seen(view: JobView, job_id: str, offset: int, what: str) -> JobStatus:
    """Return the status that has an event of ours in it."""
    try:
        return await view.wait_for(job_id, offset, CONFIRM_SECONDS)
    except TimeoutError as error:
        raise KafkaUnavailableError(f"Job {job_id} was asked to {what}, but its status is slow.") from error
