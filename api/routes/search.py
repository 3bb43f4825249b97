"""Search by text and by picture."""

import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.routing import APIRoute

from api.http.problems import problems
from api.http.waiting import while_there
from api.images.searching import Found, Wanted
from api.routes.deps import FILTERS, KeptDep, SearcherDep, chosen_collection, parts_of, read_filters
from api.schemas.images import SearchBody, SearchHit, SearchResults
from topics.record import whole_number


class _Spooled(APIRoute):
    """A route whose body the framework puts on disk before anything of ours runs: there must be room for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_room(request: Request) -> Response:
            parts = parts_of(request)
            size = whole_number(request.headers.get("content-length", ""))
            # What is longer than it may be is refused while it comes.
            largest = parts.settings.max_file_bytes
            with parts.room.promised(Path(tempfile.gettempdir()), min(largest if size is None else size, largest)):
                return await handle(request)

        return handle_with_room


router = APIRouter(prefix="/search", tags=["search"])
_spooled = APIRouter(route_class=_Spooled)


@router.post("", responses=problems(404, 409))
async def search(body: SearchBody, kept: KeptDep, searcher: SearcherDep) -> SearchResults:
    """Find pictures by what they show, or more like a stored one.

    Where the model knows no text, `query` is looked up in captions, names, cameras and dates.
    """
    collection = await chosen_collection(kept, body.collection)
    wanted: Wanted = {"limit": body.limit, "offset": body.offset, "filters": body.filters}
    if body.image_id is not None:
        return _results(await searcher.by_point(collection, str(body.image_id), **wanted))
    return _results(await searcher.by_text(collection, body.query or "", **wanted))


@_spooled.post("/image", responses=problems(404, 409, 507))
async def search_by_image(
    *,
    file: UploadFile,
    request: Request,
    kept: KeptDep,
    searcher: SearcherDep,
    limit: Annotated[int, Form(ge=1, le=200)] = 20,
    offset: Annotated[int, Form(ge=0, le=10_000)] = 0,
    filters: Annotated[str | None, Form(description=FILTERS)] = None,
    collection: Annotated[str | None, Form()] = None,
) -> SearchResults:
    """Find pictures that look like the one that is sent, in any listed format."""
    name = await chosen_collection(kept, collection)
    wanted: Wanted = {"limit": limit, "offset": offset, "filters": read_filters(filters)}
    return _results(await while_there(request, searcher.by_image(name, file.file, **wanted)))


router.include_router(_spooled)


def _results(found: Found) -> SearchResults:
    return SearchResults(
        results=[
            SearchHit(id=hit.id, score=hit.score, filename=hit.payload.get("filename", ""), payload=hit.payload)
            for hit in found.hits
        ],
        total=found.total,
        mode=found.mode,
    )
