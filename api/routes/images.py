"""The stored pictures themselves."""

import base64
import hashlib
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse

from api.http.caching import IfNoneMatch, is_known
from api.http.problems import problems
from api.images.open_file import OpenFileResponse
from api.images.originals import FIELDS as FILES
from api.images.thumbnails import FIELD
from api.routes.deps import FILTERS, CollectionDep, OriginalsDep, QdrantDep, ThumbnailsDep, read_filters
from api.schemas.images import Facet, FacetValue, Image, ImageDetails, ImagePaths, Images, RandomImages
from core.errors import RequestError
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import Filters
from rules.many_paths import MORE_PATHS
from rules.payload import HELPERS
from topics.record import whole_number

SORT = (
    "`taken_at` (by the camera's clock), `ingested_at`, `filename`, `rating`, `label` or `people` (by the first name); "
    "with a leading `-` the other way round. Pictures without it come last. Texts are compared by their first 24 "
    "bytes, without regard to case. Left out: in a lasting order of no meaning."
)

router = APIRouter(prefix="/images", tags=["images"])
random_router = APIRouter(tags=["images"])


@random_router.get("/random", responses=problems(404))
async def random_images(
    qdrant: QdrantDep,
    collection: CollectionDep,
    count: Annotated[int, Query(ge=1, le=200)] = 1,
    filters: Annotated[str | None, Query(description=FILTERS)] = None,
) -> RandomImages:
    """Return pictures chosen at random; fewer where there are no more."""
    records = await qdrant.sample(collection, limit=count, filters=read_filters(filters))
    return RandomImages(images=[Image(id=record.id, payload=record.payload) for record in records])


@router.get("", responses=problems(404))
async def images(
    *,
    qdrant: QdrantDep,
    collection: CollectionDep,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before; the only way to go far.")] = None,
    page: Annotated[int, Query(ge=1, le=100, description="Counts from 1, or from the cursor.")] = 1,
    filters: Annotated[str | None, Query(description=FILTERS, examples=['{"camera_make": "Canon"}'])] = None,
    sort: Annotated[str | None, Query(description=SORT, examples=["-taken_at"])] = None,
) -> Images:
    """List the pictures of a collection, page by page.

    A picture keeps its place while others come and go, so reading by cursor shows none twice and leaves none out.
    """
    wanted = read_filters(filters)
    total, cursor = _split(cursor)
    if total is None:
        total = await qdrant.count(collection, wanted)
    records, following = await qdrant.page(collection, limit=per_page, cursor=cursor, filters=wanted, sort=sort)
    for _ in range(page - 1):
        if following is None:
            records = []
            break
        records, following = await qdrant.page(collection, limit=per_page, cursor=following, filters=wanted, sort=sort)
    return Images(
        images=[Image(id=record.id, payload=record.payload) for record in records],
        total=total,
        next=following and f"{total}.{following}",
    )


@router.get("/facets/{field}", responses=problems(404))
async def facet(
    field: Annotated[
        Literal["camera_make", "camera_model", "lens", "tags", "label", "people"], Path(description="Of the payload.")
    ],
    qdrant: QdrantDep,
    collection: CollectionDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    filters: Annotated[str | None, Query(description=FILTERS)] = None,
) -> Facet:
    """List what a field of the payload may be filtered by, and how many pictures each value has."""
    counts = await qdrant.facet(collection, field, limit=limit, filters=read_filters(filters))
    return Facet(values=[FacetValue(value=value, images=count) for value, count in counts.items()])


@router.get(
    "/{image_id}/thumbnail",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 304: {"description": "Known already"}, **problems(404)},
)
async def thumbnail(
    image_id: UUID,
    thumbnails: ThumbnailsDep,
    collection: CollectionDep,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a small JPEG, at most 200 x 200."""
    fields = await thumbnails.payload(collection, str(image_id))
    if fields is None:
        raise _unknown(image_id, collection)
    try:
        jpeg = base64.b64decode(str(fields.get(FIELD) or ""), validate=True)
    except ValueError:  # another program wrote the point
        jpeg = b""
    if not jpeg:
        raise RequestError(f"Picture {image_id} has no thumbnail.", 404)
    headers = {
        "ETag": f'"{hashlib.sha256(jpeg).hexdigest()[:32]}"',
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }
    if is_known(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@router.get(
    "/{image_id}/image",
    response_class=FileResponse,
    responses={200: {"content": {"image/*": {}}}, 304: {"description": "Known already"}, **problems(404, 410)},
)
async def image(
    image_id: UUID,
    qdrant: QdrantDep,
    originals: OriginalsDep,
    collection: CollectionDep,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the original file, as it was taken in, or a range of its bytes; 410 where it has changed since."""
    fields = await _fields(qdrant, collection, image_id, FILES)
    file = OpenFileResponse(*await originals.of_point(collection, fields))
    return file.unchanged() if is_known(file.headers["etag"], if_none_match) else file


@router.get("/{image_id}/info", responses=problems(404))
async def info(image_id: UUID, qdrant: QdrantDep, collection: CollectionDep) -> ImageDetails:
    """Return all that is stored of a picture, with its thumbnail. Of very many `paths` the first hundred."""
    point = await qdrant.point(collection, str(image_id))
    if point is None:
        raise _unknown(image_id, collection)
    total = await qdrant.count_paths(collection, point.payload)
    payload = {name: value for name, value in point.payload.items() if name not in HELPERS}
    return ImageDetails(id=point.id, payload=payload, paths_total=total)


@router.get("/{image_id}/paths", responses=problems(404))
async def paths(
    *,
    image_id: UUID,
    qdrant: QdrantDep,
    collection: CollectionDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> ImagePaths:
    """List all files of a picture, also where its payload has a part of them only (`more_paths`)."""
    fields = await _fields(qdrant, collection, image_id, ["paths", MORE_PATHS])
    page, following = await qdrant.paths_page(collection, fields, limit=limit, cursor=cursor)
    return ImagePaths(paths=page, total=await qdrant.count_paths(collection, fields), next=following)


async def _fields(qdrant: Qdrant, collection: str, image_id: UUID, names: list[str]) -> Filters:
    found = (await qdrant.payloads(collection, [str(image_id)], names)).get(str(image_id))
    if found is None:
        raise _unknown(image_id, collection)
    return found


def _unknown(image_id: UUID, collection: str) -> RequestError:
    return RequestError(f"There is no picture {image_id} in collection {collection!r}.", 404)


def _split(cursor: str | None) -> tuple[int | None, str | None]:
    """Take the total off a cursor: it is counted once, as that may take longer than the page."""
    total, dot, rest = (cursor or "").partition(".")
    if not dot:
        return None, cursor or None
    return whole_number(total), rest
