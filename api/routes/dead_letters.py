"""Looking at what could not be done, and trying it again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.http.problems import problems
from api.routes.deps import DeadLettersDep, JobDep, ViewDep
from api.schemas.replay import (
    LETTER_ID,
    DeadLetterChoice,
    DeadLetterDetails,
    DeadLetterPage,
    DeadLetterSummary,
    Decided,
    ReplayChoice,
)
from api.view.dead_letters import DeadLetterFilter
from core.errors import RequestError
from rules.dead_letters import DeadLetterState

router = APIRouter(tags=["dead letters"])


@router.get("/dead-letters")
async def dead_letters(
    view: ViewDep,
    *,
    job: Annotated[str, Query(description="Only of this job.")] = "",
    stage: Annotated[str, Query(description="Only of this stage.")] = "",
    error_class: Annotated[str, Query(description="Only of this error, such as `ContentError`.")] = "",
    state: Annotated[DeadLetterState | None, Query(description="Left out: all.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> DeadLetterPage:
    """Return a page of dead letters, the newest first. Kafka keeps them for KAFKA_RETENTION_HOURS."""
    wanted = DeadLetterFilter(job, stage, error_class, state)
    page, following = await view.letters.find(wanted, limit=limit, cursor=cursor)
    total = None if cursor else await view.letters.count(wanted)
    return DeadLetterPage(letters=[DeadLetterSummary.of(letter) for letter in page], total=total, next=following)


@router.get("/dead-letters/{letter_id}", responses=problems(404))
async def dead_letter(letter_id: Annotated[str, Path(pattern=LETTER_ID)], view: ViewDep) -> DeadLetterDetails:
    """Return one dead letter with its headers, its content and the stack trace."""
    letter = await view.letters.get(letter_id)
    if letter is None:
        raise RequestError(f"There is no dead letter {letter_id} (any more).", 404)
    return DeadLetterDetails.of_whole(letter)


@router.post("/dead-letters/replay", responses=problems(404, 409))
async def replay(body: ReplayChoice, letters: DeadLettersDep) -> Decided:
    """Publish dead letters to the topics that restart them. One that fails again becomes a new dead letter."""
    return await letters.replay(body)


@router.post("/dead-letters/drop", responses=problems(404, 409))
async def drop(body: DeadLetterChoice, letters: DeadLettersDep) -> Decided:
    """Say that dead letters need no more attention. They can still be replayed, by force."""
    return await letters.drop(body)


@router.post("/ingest/{job_id}/retry-failed", responses=problems(404, 409))
async def retry_failed(job: JobDep, letters: DeadLettersDep) -> Decided:
    """Run the failed files of a job again. The ones that now work count as such: the job may become `completed`."""
    if job.status == "cancelled" or job.cancelling:
        raise RequestError(f"Job {job.job_id} was cancelled: its files would be skipped. Submit a new job.", 409)
    return await letters.replay(ReplayChoice(job_id=job.job_id))
