"""Doing again what topics and collections hold, in the background."""

from functools import partial

from fastapi import APIRouter

from api.deps import PartsDep
from api.problems import problems
from api.replay_schemas import RebuildBody, ReplayBody, Run
from rules.collections import check_name

router = APIRouter(tags=["replay"])


@router.post("/replay", status_code=202, responses=problems(409))
async def replay(body: ReplayBody, parts: PartsDep) -> Run:
    """Publish again what a topic holds; it changes no count. `GET /runs/{id}` tells how it goes."""
    parts.replayer.check(body)
    return parts.runs.start(f"replay of {body.topic}", partial(parts.replayer.run, body), dry_run=body.dry_run)


@router.post("/collections/cache/rebuild", status_code=202, responses=problems(404, 409))
async def rebuild_cache(body: RebuildBody, parts: PartsDep) -> Run:
    """Fill the dedupe cache from the collections, when its changelog is lost. `GET /runs/{id}` tells how it goes."""
    if body.collection is not None:
        check_name(body.collection)
    collections = await parts.rebuilder.collections(body.collection)
    names = ", ".join(collection.name for collection in collections) or "no collection"
    return parts.runs.start(f"rebuild of the cache from {names}", partial(parts.rebuilder.run, collections))


@router.get("/runs/{run_id}", responses=problems(404))
async def run(run_id: str, parts: PartsDep) -> Run:
    """Return how far a run is. It is forgotten when the service restarts."""
    return parts.runs.get(run_id)
