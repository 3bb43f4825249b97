"""Pictures that are gone, and those that are to be forgotten."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.problems import problems
from api.routes.deps import CollectionDep, ForgetterDep, GonePicturesDep
from api.schemas.forgetting import (
    ChoiceBody,
    ForgetBody,
    Forgetting,
    GonePicture,
    GonePicturesAnswer,
    KeepBody,
    KeepManyBody,
    KeptAnswer,
    UnforgetBody,
    Unforgetting,
)

router = APIRouter(tags=["forgetting"])


@router.get("/images/gone", responses=problems(404))
async def gone(
    pictures: GonePicturesDep,
    collection: CollectionDep,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> GonePicturesAnswer:
    """List the pictures whose files have all left: no other list or search shows them. Those that went last first."""
    images, total, following = await pictures.page(collection, limit=per_page, cursor=cursor)
    return GonePicturesAnswer(images=images, total=total, next=following)


@router.post("/images/gone/keep", responses=problems(404))
async def keep_many(body: KeepManyBody, pictures: GonePicturesDep, collection: CollectionDep) -> KeptAnswer:
    """Keep many pictures that are gone longer than PURGE_AFTER_DAYS says, or all of a collection."""
    kept = await pictures.keep_many(collection, body.points, body.days)
    return KeptAnswer(count=kept.total, images=kept.pictures)


@router.post("/images/gone/release", responses=problems(404))
async def release_many(body: ChoiceBody, pictures: GonePicturesDep, collection: CollectionDep) -> KeptAnswer:
    """Keep many pictures that are gone no longer than others, or all of a collection."""
    kept = await pictures.release_many(collection, body.points)
    return KeptAnswer(count=kept.total, images=kept.pictures)


@router.post("/images/{image_id}/keep", responses=problems(404, 409))
async def keep(image_id: UUID, body: KeepBody, pictures: GonePicturesDep, collection: CollectionDep) -> GonePicture:
    """Keep a picture that is gone longer than PURGE_AFTER_DAYS says. A file that comes back ends that."""
    return await pictures.keep(collection, str(image_id), body.days)


@router.delete("/images/{image_id}/keep", responses=problems(404, 409))
async def release(image_id: UUID, pictures: GonePicturesDep, collection: CollectionDep) -> GonePicture:
    """Keep a picture that is gone no longer than others."""
    return await pictures.release(collection, str(image_id))


@router.post("/forget", status_code=202, responses=problems(404, 409))
async def forget(body: ForgetBody, forgetter: ForgetterDep) -> Forgetting:
    """Forget pictures: their points, rows, thumbnails, previews and dead letters go within moments, for good.

    Their files are not touched, and are skipped (`forgotten`) from then on, until `unforget`; those of a collection
    that is forgotten as a whole are not. `kafka` says which topics hold messages about them still, and until when.
    """
    return await forgetter.forget(body)


@router.post("/unforget", status_code=202)
async def unforget(body: UnforgetBody, forgetter: ForgetterDep) -> Unforgetting:
    """Take files in again that are skipped as forgotten, when they come the next time."""
    return await forgetter.unforget(body)
