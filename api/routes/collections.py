"""Collections of photographs."""

import asyncio
from dataclasses import asdict, replace
from functools import partial

from fastapi import APIRouter
from structlog.contextvars import bound_contextvars

from api.http.problems import problems
from api.kept import Kept
from api.routes.deps import (
    CopierDep,
    IdempotencyKey,
    KeptDep,
    ModelDep,
    QdrantDep,
    RunsDep,
    SubmitterDep,
    TargetsDep,
    chosen_collection,
    new_submission,
)
from api.schemas.collections import (
    ActiveCollection,
    Collection,
    CollectionBody,
    CollectionCheck,
    CollectionDetails,
    Collections,
    FromSelectionBody,
    MergeBody,
    NewCollectionBody,
    ReembedBody,
    Storage,
    StorageBody,
)
from api.schemas.jobs import Submitted
from api.schemas.replay import Run
from core.errors import CollectionMissingError, RequestError
from gateways.qdrant import CollectionInfo, Qdrant
from gateways.qdrant import Storage as StorageInQdrant
from gateways.qdrant.filters import ALL_GONE
from rules.collections import check_name

router = APIRouter(prefix="/collections", tags=["collections"])


@router.get("")
async def list_collections(qdrant: QdrantDep, kept: KeptDep) -> Collections:
    """List all collections."""
    infos = await qdrant.collections()
    found = await asyncio.gather(*(_collection(qdrant, info) for info in infos))
    return Collections(collections=found, selected=await kept.selected_collection())


@router.post("", status_code=201, responses=problems(409))
async def create_collection(
    body: NewCollectionBody, qdrant: QdrantDep, model: ModelDep, targets: TargetsDep
) -> Collection:
    """Create a collection for the vectors of the model that ML runs now."""
    check_name(body.name)
    if await qdrant.collection(body.name):
        raise RequestError(f"There is a collection {body.name!r} already.", 409)
    current = await model.ask()
    storage = _changed(targets.storage, body.storage)
    made = await targets.ensure(body.name, current.model_id, current.embedding_dim, storage=storage)
    return await _collection(qdrant, made)


@router.get("/active")
async def active(kept: KeptDep) -> ActiveCollection:
    """Return the collection for requests that name none."""
    return ActiveCollection(name=await kept.active_collection())


@router.post("/select", responses=problems(404))
async def select(body: CollectionBody, qdrant: QdrantDep, kept: KeptDep) -> ActiveCollection:
    """Make a collection the active one, also after a restart."""
    info = await _existing(qdrant, body.name)
    await kept.select_collection(info.name)
    return ActiveCollection(name=info.name)


@router.post("/from_selection", status_code=201, responses=problems(404, 409))
async def from_selection(body: FromSelectionBody, copier: CopierDep, qdrant: QdrantDep, kept: KeptDep) -> Collection:
    """Copy pictures into a collection; they stay in their own too. Nothing is embedded again."""
    source = await chosen_collection(kept, body.source)
    if source == body.name:
        raise RequestError(f"The pictures are in {source!r} already: name another collection.", 422)
    await copier.prepare([source], body.name)
    await copier.select(source, body.name, [str(one) for one in dict.fromkeys(body.ids)])
    return await _collection(qdrant, await _existing(qdrant, body.name))


@router.post("/merge", status_code=202, responses=problems(404, 409))
async def merge(body: MergeBody, copier: CopierDep, runs: RunsDep) -> Run:
    """Copy all pictures of some collections into another, in the background; `GET /runs/{id}` tells how it goes.

    A picture that is in several keeps all its paths. The sources stay: delete them when the run is done.
    """
    sources = list(dict.fromkeys(body.sources))
    await copier.prepare(sources, body.target)
    what = f"merge of {', '.join(sources)} into {body.target}"
    return runs.start(what, partial(copier.merge, sources, body.target))


@router.get("/{name}/info", responses=problems(404, 409))
async def info(name: str, qdrant: QdrantDep, kept: KeptDep) -> CollectionDetails:
    """Return what is known of a collection."""
    return await _details(qdrant, kept, await _existing(qdrant, name))


@router.patch("/{name}/storage", responses=problems(404, 409))
async def keep(name: str, body: StorageBody, qdrant: QdrantDep) -> Collection:
    """Change how a collection is kept. Qdrant rebuilds what it has in the background, and answers meanwhile."""
    found = await _existing(qdrant, name)
    return await _collection(qdrant, await qdrant.keep_collection(name, _changed(found.storage, body)))


@router.get("/{name}/check", responses=problems(404, 409))
async def check(name: str, qdrant: QdrantDep) -> CollectionCheck:
    """Count the pictures of a collection that have no vector of its model, no caption, or no file any more."""
    info = await _existing(qdrant, name)
    survey, filling = await qdrant.survey(name, info.model_id), await qdrant.filling(name)
    found = (await _collection(qdrant, info)).model_dump() | asdict(survey)
    if filling is not None:
        found |= {"filling": filling.model_id, "filled": filling.points}
    return CollectionCheck(**found)


@router.post("/{name}/renew", responses=problems(404, 409))
async def renew(name: str, qdrant: QdrantDep, kept: KeptDep) -> CollectionDetails:
    """Have every file of a collection written again when it comes again, as after a restore from a snapshot of Qdrant.

    The collection gets a new incarnation: no file is `unchanged` in it until it was stored once more, which costs no
    ML call. The points stay as they are.
    """
    check_name(name)
    return await _details(qdrant, kept, await qdrant.renew_collection(name))


@router.post("/{name}/reread", status_code=202, responses=problems(404, 409))
async def reread(name: str, submitter: SubmitterDep, key: IdempotencyKey = None) -> Submitted:
    """Read the files of a collection again, as one job, for what this version sees in them and a former one did not.

    Metadata and thumbnails are brought up to date; ML sees a picture only where its rendition has changed. Files that
    are gone fail, and what is stored of them stays.
    """
    check_name(name)
    submission = new_submission(name, False, key)
    with bound_contextvars(job_id=submission.job_id):
        status = await submitter.submit_reread(submission, name)
    return Submitted(job_id=status.job_id, status=status.status, message=status.message)


@router.post("/{name}/reembed", status_code=202, responses=problems(404, 409))
async def reembed(name: str, body: ReembedBody, submitter: SubmitterDep, key: IdempotencyKey = None) -> Submitted:
    """Give a collection vectors of another model, as one job. The former ones serve until all of the new are there.

    Where a file is gone, the thumbnail that is kept of it is embedded. Where some pictures cannot be embedded, the job
    fails and the former vectors serve on, unless `accept_failed` is set; beginning it again tries those alone.
    """
    check_name(name)
    submission = new_submission(name, body.caption, key)
    with bound_contextvars(job_id=submission.job_id):
        status = await submitter.submit_reembed(
            submission, name, body.model or body.model_id or "", accept_failed=body.accept_failed
        )
    return Submitted(job_id=status.job_id, status=status.status, message=status.message)


@router.post("/{name}/caption", status_code=202, responses=problems(404, 409))
async def caption(name: str, submitter: SubmitterDep, key: IdempotencyKey = None) -> Submitted:
    """Add captions to the pictures of a collection that have none, as one job. No file is read, nothing is embedded."""
    check_name(name)
    submission = new_submission(name, True, key)
    with bound_contextvars(job_id=submission.job_id):
        status = await submitter.submit_caption(submission, name)
    return Submitted(job_id=status.job_id, status=status.status, message=status.message)


async def _details(qdrant: Qdrant, kept: Kept, found: CollectionInfo) -> CollectionDetails:
    filling = await qdrant.filling(found.name)
    return CollectionDetails(
        **(await _collection(qdrant, found)).model_dump(),
        incarnation=found.incarnation,
        active=found.name == await kept.active_collection(),
        filling=None if filling is None else filling.model_id,
        filled=0 if filling is None else filling.points,
    )


@router.delete("/{name}", status_code=204, responses=problems(404))
async def delete(name: str, qdrant: QdrantDep, kept: KeptDep) -> None:
    """Delete a collection with all its points; the photographs themselves are not touched."""
    check_name(name)
    if not await qdrant.delete_collection(name):
        raise CollectionMissingError(f"There is no collection {name!r}.")
    if name == await kept.selected_collection():
        await kept.select_collection(None)


async def _existing(qdrant: Qdrant, name: str) -> CollectionInfo:
    check_name(name)
    return await qdrant.existing_collection(name)


async def _collection(qdrant: Qdrant, info: CollectionInfo) -> Collection:
    # In those of others nothing is gone, nor indexed.
    gone = 0 if info.incarnation is None else await _gone(qdrant, info.name)
    return Collection(
        name=info.name,
        points=max(0, info.points - gone),
        gone=gone,
        dimension=info.dimension,
        model_id=info.model_id,
        storage=Storage(**asdict(info.storage)),
    )


async def _gone(qdrant: Qdrant, name: str) -> int:
    try:
        return await qdrant.count(name, ALL_GONE)
    except CollectionMissingError:
        return 0  # it was deleted just now


def _changed(storage: StorageInQdrant, body: StorageBody) -> StorageInQdrant:
    return replace(storage, **body.model_dump(exclude_none=True))
