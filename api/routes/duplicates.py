"""Finding what there is more than once. Archiving it is in api.routes.archive."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query

from api.duplicates.finder import UnderWay
from api.duplicates.reports import Group, Report
from api.http.problems import problems
from api.routes.deps import CollectionDep, FinderDep, KeptDep, QdrantDep, ReportsDep, RunsDep, chosen_collection
from api.schemas.images import DuplicateGroup, DuplicateImage, DuplicateReport, DuplicateReports, SimilarBody
from api.schemas.replay import Run
from core.errors import wrong_cursor
from gateways.qdrant import Qdrant
from topics.record import whole_number

router = APIRouter(prefix="/duplicates", tags=["duplicates"])


@router.post("/find-similar", status_code=202, responses=problems(404, 409))
async def find_similar(
    body: SimilarBody, kept: KeptDep, qdrant: QdrantDep, finder: FinderDep, runs: RunsDep
) -> DuplicateReport:
    """Look for pictures that look alike, and for those with several copies; `GET /duplicates/report/{id}` tells."""
    collection = await chosen_collection(kept, body.collection)
    await qdrant.existing_collection(collection)
    await qdrant.count(collection, body.filters)  # a wrong filter is told now
    run = runs.start(
        f"search for duplicates in {collection}",
        partial(finder.run, collection, body.threshold, body.filters),
    )
    return _going_on(run)


@router.get("/report/{report_id}", responses=problems(404))
async def report(
    *,
    report_id: str,
    reports: ReportsDep,
    runs: RunsDep,
    qdrant: QdrantDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> DuplicateReport:
    """Return a page of a report: contents with several copies, then groups of pictures, those most alike first.

    The latest 20 reports are kept. Pictures are shown as they are now; those that are gone are left out.
    """
    found = await reports.report(report_id)
    if found is None:
        return _going_on(runs.get(report_id))
    known, _ = found
    start = whole_number(cursor or "0")
    if start is None:
        raise wrong_cursor()
    groups = await reports.groups(report_id, start=start, limit=limit)
    answer = _done(*found)
    answer.groups = await _shown(qdrant, known.collection, groups)
    answer.next = str(start + limit) if start + limit < answer.groups_total else None
    return answer


@router.get("/reports")
async def reports(reports: ReportsDep, finder: FinderDep, collection: CollectionDep) -> DuplicateReports:
    """List the reports of a collection: the one that is being made, then those that are kept, the newest first."""
    begun = finder.under_way
    going_on = [_going_on(begun.progress, begun)] if begun and begun.collection == collection else []
    return DuplicateReports(reports=[*going_on, *(_done(*one) for one in await reports.of(collection))])


async def _shown(qdrant: Qdrant, collection: str, groups: list[Group]) -> list[DuplicateGroup]:
    ids = list({image.point_id for group in groups for image in group.images})
    records = {record.id: record for record in await qdrant.records(collection, ids)}
    totals = {one: await qdrant.count_paths(collection, record.payload) for one, record in records.items()}
    return [
        DuplicateGroup(
            kind=group.kind,
            images=[
                DuplicateImage(
                    id=image.point_id,
                    score=image.score,
                    paths_total=totals[image.point_id],
                    payload=records[image.point_id].payload,
                )
                for image in group.images
                if image.point_id in records
            ],
        )
        for group in groups
    ]


def _going_on(run: Run, begun: UnderWay | None = None) -> DuplicateReport:
    return DuplicateReport(
        report_id=run.id,
        state=run.state,
        message=run.message,
        collection=begun.collection if begun else None,
        threshold=begun.threshold if begun else None,
        total_points=run.total,
        read_points=run.read,
    )


def _done(report: Report, groups_total: int) -> DuplicateReport:
    return DuplicateReport(
        report_id=report.report_id,
        state="done",
        at=datetime.fromtimestamp(report.at, UTC).isoformat(timespec="seconds"),
        collection=report.collection,
        threshold=report.threshold,
        total_points=report.points,
        read_points=report.points,
        groups_total=groups_total,
    )
