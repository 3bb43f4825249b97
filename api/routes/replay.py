"""Doing again what topics and collections hold, in the background."""

from functools import partial

from fastapi import APIRouter

from api.http.problems import problems
from api.routes.deps import KeptDep, RebuilderDep, ReplayerDep, RunsDep, chosen_collection
from api.schemas.collections import CacheClearBody
from api.schemas.replay import RebuildBody, ReplayBody, Run
from rules.collections import check_name

router = APIRouter(tags=["replay"])


@router.post("/replay", status_code=202, responses=problems(409))
async def replay(body: ReplayBody, replayer: ReplayerDep, runs: RunsDep) -> Run:
    """Publish again what a topic holds; it changes no count. `GET /runs/{id}` tells how it goes."""
    replayer.check(body)
    return runs.start(f"replay of {body.topic}", partial(replayer.run, body), dry_run=body.dry_run)


@router.post("/collections/cache/rebuild", status_code=202, responses=problems(404, 409))
async def rebuild_cache(body: RebuildBody, rebuilder: RebuilderDep, runs: RunsDep) -> Run:
    """Fill the dedupe cache from the collections, when its changelog is lost. `GET /runs/{id}` tells how it goes."""
    if body.collection is not None:
        check_name(body.collection)
    collections = await rebuilder.collections(body.collection)
    names = ", ".join(collection.name for collection in collections) or "no collection"
    return runs.start(f"rebuild of the cache from {names}", partial(rebuilder.run, collections))


@router.post("/collections/cache/clear", status_code=202, responses=problems(404, 409))
async def clear_cache(body: CacheClearBody, kept: KeptDep, rebuilder: RebuilderDep, runs: RunsDep) -> Run:
    """Have the dedupe cache forget the contents of a collection: when their files come again, ML sees them again.

    The points stay as they are until then. `GET /runs/{id}` tells how it goes.
    """
    name = await chosen_collection(kept, body.collection)
    [collection] = await rebuilder.collections(name)
    clear = partial(rebuilder.clear, collection, force=body.force)
    return runs.start(f"clearing of the cache for {name}", clear)


@router.get("/runs/{run_id}", responses=problems(404))
async def run(run_id: str, runs: RunsDep) -> Run:
    """Return how far a run is. It is forgotten when the service restarts."""
    return runs.get(run_id)
