"""Sources: folders that are kept in step with a collection."""

import time
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import APIRouter, Query

from api.http.problems import problems
from api.routes.deps import ForgetterDep, SourceKeeperDep
from api.schemas.forgetting import ForgetBody
from api.schemas.jobs import Submitted
from api.schemas.sources import SourceAnswer, SourceBody, SourceChangeBody, SourcesAnswer, WatchingAnswer
from api.sources.keeper import Change, SourceKeeper, Wanted, is_under_way
from rules.sources import following
from topics.job_status import JobStatus
from topics.sources import KnownSource

router = APIRouter(prefix="/sources", tags=["sources"])


@router.get("")
async def list_sources(keeper: SourceKeeperDep) -> SourcesAnswer:
    """List all sources."""
    known = await keeper.all()
    return SourcesAnswer(sources=await _described(keeper, known))


@router.post("", status_code=201, responses=problems(409))
async def add(body: SourceBody, keeper: SourceKeeperDep) -> SourceAnswer:
    """Keep a folder in step with a collection: it is looked at at once, then as often as `every_seconds` says."""
    return await _one(keeper, await keeper.add(Wanted(**body.model_dump())))


@router.get("/{source}", responses=problems(404))
async def show(source: str, keeper: SourceKeeperDep) -> SourceAnswer:
    """Return a source."""
    return await _one(keeper, await keeper.get(source))


@router.patch("/{source}", responses=problems(404))
async def change(source: str, body: SourceChangeBody, keeper: SourceKeeperDep) -> SourceAnswer:
    """Keep a source in another way. It is looked at again at once, unless it is paused.

    What is newly left out leaves with that look (`excluded`), what no longer is comes in. Its folder and collection
    stay: another folder is another source.
    """
    return await _one(keeper, await keeper.change(source, cast("Change", body.model_dump(exclude_unset=True))))


@router.post("/{source}/sync", status_code=202, responses=problems(404, 409))
async def sync(source: str, keeper: SourceKeeperDep) -> Submitted:
    """Look at a source now, also at one that is paused; one that is looked at already is not looked at twice."""
    job = await keeper.look(source)
    return Submitted(job_id=job.job_id, status=job.status, message=job.message)


@router.post("/{source}/pause", responses=problems(404))
async def pause(source: str, keeper: SourceKeeperDep) -> SourceAnswer:
    """Look at a source no more by itself."""
    return await _one(keeper, await keeper.pause(source, paused=True))


@router.post("/{source}/resume", responses=problems(404))
async def resume(source: str, keeper: SourceKeeperDep) -> SourceAnswer:
    """Look at a source by itself again, and at once."""
    return await _one(keeper, await keeper.pause(source, paused=False))


@router.post("/{source}/accept", responses=problems(404))
async def accept(source: str, keeper: SourceKeeperDep) -> SourceAnswer:
    """Take what the folder of a source is mounted on now for right: another disk, or the same after a change."""
    return await _one(keeper, await keeper.accept(source))


@router.delete("/{source}", status_code=204, responses=problems(404, 409))
async def remove(
    source: str,
    keeper: SourceKeeperDep,
    forgetter: ForgetterDep,
    forget: Annotated[bool, Query(description="Forget the pictures that it alone holds, too.")] = False,
) -> None:
    """Keep a folder in step no more. What was taken in from it stays, unless it is to be forgotten."""
    if forget:
        await forgetter.forget(ForgetBody(source=source))
    else:
        await keeper.remove(source)


async def _one(keeper: SourceKeeper, known: KnownSource) -> SourceAnswer:
    [described] = await _described(keeper, [known])
    return described


async def _described(keeper: SourceKeeper, known: list[KnownSource]) -> list[SourceAnswer]:
    names = [one.source.name for one in known]
    jobs, questions = await keeper.last_jobs(names), await keeper.questions(known)
    return [_answer(one, jobs.get(one.source.name), questions[one.source.name]) for one in known]


def _answer(known: KnownSource, job: JobStatus | None, questions: list[JobStatus]) -> SourceAnswer:
    source = known.source
    watching = known.watching if source.watch and not source.paused else None
    every = (watching and watching.every_seconds) or source.every_seconds
    after = None if source.paused else following(known.wanted_at, every, time.time())
    return SourceAnswer(
        name=source.name,
        folder=source.folder,
        collection=source.collection,
        every_seconds=source.every_seconds,
        watch=source.watch,
        watching=None if watching is None else WatchingAnswer(**watching.model_dump()),
        exclude=source.exclude,
        caption=source.caption,
        paused=source.paused,
        state="syncing" if job is not None and is_under_way(job) else "paused" if source.paused else "idle",
        next_at=None if after is None else datetime.fromtimestamp(after, UTC).isoformat(timespec="seconds"),
        last_job=job,
        questions=questions,
    )
