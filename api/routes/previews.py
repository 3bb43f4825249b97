"""Pictures as a browser can show them, whatever their format is."""

import os
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from api.http.caching import IfNoneMatch, is_known
from api.http.problems import problems
from api.http.waiting import while_there
from api.images.open_file import OpenFileResponse
from api.images.originals import FIELDS as FILES
from api.images.previews import Side
from api.routes.deps import CollectionDep, OriginalsDep, PreviewsDep, QdrantDep, ViewDep
from api.schemas.replay import LETTER_ID
from core.errors import RequestError
from rules.identity import point_id

KEPT = "private, max-age=31536000, immutable"

router = APIRouter(tags=["images"])


@router.get(
    "/images/{image_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 304: {"description": "Known already"}, **problems(404, 410)},
)
async def preview(
    *,
    image_id: UUID,
    request: Request,
    qdrant: QdrantDep,
    originals: OriginalsDep,
    previews: PreviewsDep,
    collection: CollectionDep,
    side: Annotated[Side, Query(description="Pixels of the longest side, at most.")] = Side.SMALL,
    v: Annotated[
        str | None,
        Query(description="`previews.version` of `/capabilities`: where it is that, a browser may keep the answer."),
    ] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return an upright JPEG in sRGB of the original: for formats that a browser does not know, and for large ones."""
    found = (await qdrant.payloads(collection, [str(image_id)], FILES)).get(str(image_id))
    if found is None:
        raise RequestError(f"There is no picture {image_id} in collection {collection!r}.", 404)
    descriptor, _ = await originals.of_point(collection, found)
    name = previews.name(found.get("file_hash"), side)
    lasts = name is not None and str(image_id) == point_id(str(found["file_hash"]))
    headers = {
        # Where its id is made from its content, only the version can make it another picture.
        "Cache-Control": KEPT if lasts and v == previews.version else "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }
    with os.fdopen(descriptor, "rb") as file:
        if name:
            headers["ETag"] = f'"{name}"'
            if is_known(headers["ETag"], if_none_match):
                return Response(status_code=304, headers=headers)
        jpeg = await while_there(request, previews.of(file, found.get("file_hash"), side))
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.get("/dead-letters/{letter_id}/image", response_class=Response, responses=problems(404))
async def letter_image(
    letter_id: Annotated[str, Path(pattern=LETTER_ID)], view: ViewDep, originals: OriginalsDep
) -> Response:
    """Return the file that a dead letter is about, as it lies on disk."""
    letter = await view.letters.get(letter_id)
    if letter is None:
        raise RequestError(f"There is no dead letter {letter_id} (any more).", 404)
    return OpenFileResponse(*await originals.at(letter.path))
