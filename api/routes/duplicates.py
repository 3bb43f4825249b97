"""Finding what there is more than once. Archiving it is in api.routes.archive."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import PartsDep, chosen_collection
from api.duplicates.reports import Group
from api.parts import Parts
from api.problems import problems
from api.schemas.images import DuplicateGroup, DuplicateImage, DuplicateReport, SimilarBody
from api.schemas.replay import Run
from errors import CollectionMissingError, wrong_cursor
from topics.record import whole_number

router = APIRouter(prefix="/duplicates", tags=["duplicates"])


@router.post("/find-similar", status_code=202, responses=problems(404, 409))
async def find_similar(body: SimilarBody, parts: PartsDep) -> DuplicateReport:
    """Look for pictures that look alike, and for those with several copies; `GET /duplicates/report/{id}` tells."""
    collection = await chosen_collection(parts, body.collection)
    if await parts.qdrant.collection(collection) is None:
        raise CollectionMissingError(f"There is no collection {collection!r}.")
    await parts.qdrant.count(collection, body.filters)  # a wrong filter is told now
    run = parts.runs.start(
        f"search for duplicates in {collection}",
        partial(parts.duplicates.run, collection, body.threshold, body.filters),
    )
    return _going_on(run)


@router.get("/report/{report_id}", responses=problems(404))
async def report(
    report_id: str,
    parts: PartsDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> DuplicateReport:
    """Return a page of a report: contents with several copies, then groups of pictures, those most alike first.

    The latest 20 reports are kept. Pictures are shown as they are now; those that are gone are left out.
    """
    found = await parts.reports.report(report_id)
    if found is None:
        return _going_on(parts.runs.get(report_id))
    known, total = found
    start = whole_number(cursor or "0")
    if start is None:
        raise wrong_cursor()
    groups = await parts.reports.groups(report_id, start=start, limit=limit)
    return DuplicateReport(
        report_id=report_id,
        state="done",
        collection=known.collection,
        threshold=known.threshold,
        total_points=known.points,
        read_points=known.points,
        groups_total=total,
        groups=await _shown(parts, known.collection, groups),
        next=str(start + limit) if start + limit < total else None,
    )


async def _shown(parts: Parts, collection: str, groups: list[Group]) -> list[DuplicateGroup]:
    ids = list({image.point_id for group in groups for image in group.images})
    records = {record.id: record for record in await parts.qdrant.records(collection, ids)}
    return [
        DuplicateGroup(
            kind=group.kind,
            images=[
                DuplicateImage(id=image.point_id, score=image.score, payload=records[image.point_id].payload)
                for image in group.images
                if image.point_id in records
            ],
        )
        for group in groups
    ]


def _going_on(run: Run) -> DuplicateReport:
    return DuplicateReport(
        report_id=run.id, state=run.state, message=run.message, total_points=run.total, read_points=run.read
    )
