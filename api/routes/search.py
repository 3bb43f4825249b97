"""Search by text and by picture."""

import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.routing import APIRoute

from api.http.problems import problems
from api.http.waiting import while_there
from api.images.searching import Found, Wanted, Why
from api.routes.deps import FILTERS, KeptDep, SearcherDep, chosen_collection, read_filters, services_of
from api.schemas.images import HitReason, Likely, MinScore, SearchBody, SearchHit, SearchMode, SearchResults
from gateways.qdrant import Hit
from topics.record import whole_number


class _Spooled(APIRoute):
    """A route whose body the framework puts on disk before anything of ours runs: there must be room for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_with_room(request: Request) -> Response:
            services = services_of(request)
            size = whole_number(request.headers.get("content-length", ""))
            # What is longer than it may be is refused while it comes.
            largest = services.settings.max_file_bytes
            with services.room.promised(Path(tempfile.gettempdir()), min(largest if size is None else size, largest)):
                return await handle(request)

        return handle_with_room


router = APIRouter(prefix="/search", tags=["search"])
_spooled = APIRouter(route_class=_Spooled)


@router.post("", responses=problems(404, 409))
async def search(body: SearchBody, kept: KeptDep, searcher: SearcherDep) -> SearchResults:
    """Find pictures by what they show and what is written of them, or more like a stored one.

    `query` is in the language of the search box: words, `"a phrase"`, `-word`, `camera:`, `lens:`, `tag:`, `person:`,
    `date:2024-05..2024-08`, `rating:>=4`, `iso:`, `has:gps`, `near:LAT,LON,KM`, `like:ID`. What is none says where
    (`query_error` of the problem). Where the model knows no text, only words are looked up, and colours (`dark blue`)
    where it compares these.
    """
    collection = await chosen_collection(kept, body.collection)
    wanted: Wanted = {
        "limit": body.limit,
        "offset": body.offset,
        "cursor": body.cursor,
        "filters": body.filters,
        "mode": body.mode,
        "min_score": body.min_score,
    }
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
    query: Annotated[
        str | None, Form(max_length=2000, description="Beside the picture: as `query` of a search.")
    ] = None,
    mode: Annotated[SearchMode, Form()] = "auto",
    min_score: Annotated[MinScore, Form()] = None,
    cursor: Annotated[str | None, Form(description="`next` of the page before.")] = None,
) -> SearchResults:
    """Find pictures that look like the one that is sent, in any listed format."""
    name = await chosen_collection(kept, collection)
    wanted: Wanted = {
        "limit": limit,
        "offset": offset,
        "cursor": cursor,
        "filters": read_filters(filters),
        "mode": mode,
        "min_score": min_score,
    }
    return _results(await while_there(request, searcher.by_image(name, file.file, query or None, **wanted)))


router.include_router(_spooled)


def _results(found: Found) -> SearchResults:
    return SearchResults(
        results=[_hit(hit, why) for hit, why in zip(found.hits, found.why, strict=True)],
        total=found.total,
        mode=found.mode,
        next=found.next,
        likely=None if found.likely is None else Likely(sure=found.likely[0], maybe=found.likely[1]),
        standing_out=found.standing_out,
        hint=found.hint,
        lacks=found.lacks,
        pending=found.pending,
    )


def _hit(hit: Hit, why: Why) -> SearchHit:
    reasons = [HitReason(kind="word", word=one.word, field=one.field, value=one.value) for one in why.words]
    if why.meaning is not None:
        kind: Literal["meaning", "colour"] = "meaning" if why.colour is None else "colour"
        near = HitReason(kind=kind, word=why.colour, similarity=why.meaning, probability=why.probability)
        reasons.append(near)
    if why.like is not None:
        reasons.append(HitReason(kind="like", similarity=why.like))
    return SearchHit(
        id=hit.id,
        score=hit.score,
        filename=str(hit.payload.get("filename", "")),
        payload=hit.payload,
        probability=why.probability,
        reasons=reasons,
    )
