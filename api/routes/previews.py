"""Pictures as a browser can show them, whatever their format is."""

import asyncio
import os
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from api.deps import CollectionDep, PartsDep
from api.kept import readable_roots
from api.open_file import OpenFileResponse
from api.parts import Parts
from api.problems import problems
from api.schemas.replay import LETTER_ID
from api.sources import open_first
from errors import RequestError

router = APIRouter(tags=["images"])


@router.get(
    "/images/{image_id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **problems(404)},
)
async def preview(image_id: UUID, parts: PartsDep, collection: CollectionDep) -> Response:
    """Return a JPEG of the original, at most 512 x 512: for formats that a browser does not know."""
    found = (await parts.qdrant.payloads(collection, [str(image_id)], ["full_path", "paths"])).get(str(image_id))
    if found is None:
        raise RequestError(f"There is no picture {image_id} in collection {collection!r}.", 404)
    listed = found.get("paths")
    paths = [found.get("full_path"), *(listed if isinstance(listed, list) else [])]
    descriptor, _ = await _open(parts, [path for path in paths if path and isinstance(path, str)])
    with os.fdopen(descriptor, "rb") as file:
        jpeg = await parts.renditions.of(file)
    return Response(
        jpeg,
        media_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"},
    )


@router.get("/dead-letters/{letter_id}/image", response_class=Response, responses=problems(404))
async def letter_image(letter_id: Annotated[str, Path(pattern=LETTER_ID)], parts: PartsDep) -> Response:
    """Return the file that a dead letter is about, as it lies on disk."""
    letter = await parts.view.letters.get(letter_id)
    if letter is None:
        raise RequestError(f"There is no dead letter {letter_id} (any more).", 404)
    return OpenFileResponse(*await _open(parts, [letter.path] if letter.path else []))


async def _open(parts: Parts, paths: list[str]) -> tuple[int, str]:
    roots = await readable_roots(parts.settings, parts.kept)
    opened = await asyncio.to_thread(open_first, paths, roots)
    if opened is None:
        raise RequestError(
            "The file is not there any more, or outside the folders that may be read (setting INGEST_ROOTS). "
            f"It was at: {', '.join(paths) or 'an unknown path'}",
            404,
        )
    return opened
