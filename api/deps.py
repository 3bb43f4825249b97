"""What routes ask for by type."""

from typing import Annotated

from fastapi import Depends, Query, Request

from api.parts import Parts
from api.submitting import Submission, active_collection
from errors import RequestError
from rules.collections import check_name
from rules.identity import new_id
from topics.job_status import JobStatus


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def chosen_collection(parts: PartsDep, collection: str | None) -> str:
    """Return the named collection, else the active one. Raises RequestError(422) for a wrong name."""
    name = collection or await active_collection(parts.kept, parts.settings)
    check_name(name)
    return name


async def _collection(
    parts: PartsDep, collection: Annotated[str | None, Query(description="Default: the active one.")] = None
) -> str:
    return await chosen_collection(parts, collection)


CollectionDep = Annotated[str, Depends(_collection)]


async def _known_job(parts: PartsDep, job_id: str) -> JobStatus:
    status = await parts.view.status(job_id)
    if status is None:
        raise RequestError(f"There is no job {job_id!r}.", 404)
    return status


JobDep = Annotated[JobStatus, Depends(_known_job)]

CaptionQuery = Annotated[bool, Query(description="Ask ML for captions too.")]


def new_submission(collection: str | None, caption: bool, job_id: str | None = None) -> Submission:
    """Return a job to be queued, under a fresh id unless the client gave one."""
    return Submission(job_id or new_id(), collection, caption)
