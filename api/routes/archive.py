"""Moving files out of the way, and back. Every answer tells of each file whether it was moved, or why not."""

from collections.abc import AsyncIterable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.archive.choosing import Content
from api.archive.contents import exact_duplicates, job_duplicates, selection
from api.archive.journal import Archive, Kind
from api.http.problems import problems
from api.parts import Parts
from api.routes.deps import JobDep, PartsDep, chosen_collection
from api.schemas.archive import ArchivedFile, ArchiveReport, Archives, ArchiveSummary, DuplicatesBody, SelectionBody
from core.errors import RequestError
from topics.job_status import FINISHED

router = APIRouter(tags=["archive"])


@router.post("/ingest/archive_duplicates/{job_id}", responses=problems(404, 409))
async def archive_duplicates(job: JobDep, parts: PartsDep) -> ArchiveReport:
    """Archive the files that a finished job counted as duplicates; one copy of each content stays where it is."""
    if job.status not in FINISHED:
        raise RequestError(f"Job {job.job_id} still runs: wait for its end.", 409)
    contents = job_duplicates(parts.qdrant, parts.view, job.job_id, job.collection)
    return await _archive(parts, "job-duplicates", job.collection, contents)


@router.post("/duplicates/archive-exact", responses=problems(404))
async def archive_exact(body: DuplicatesBody, parts: PartsDep) -> ArchiveReport:
    """Archive all but one copy of every content of a collection, or of the pictures that are named.

    The copy that stays is the one that is shown.
    """
    collection = await chosen_collection(parts, body.collection)
    ids = [str(one) for one in dict.fromkeys(body.ids)]
    contents = (
        selection(parts.qdrant, collection, ids, keep=True) if ids else exact_duplicates(parts.qdrant, collection)
    )
    return await _archive(parts, "exact-duplicates", collection, contents)


@router.post("/curation/archive-selection", responses=problems(404))
async def archive_selection(body: SelectionBody, parts: PartsDep) -> ArchiveReport:
    """Archive all files of these pictures. Their points stay, with empty `paths`."""
    collection = await chosen_collection(parts, body.collection)
    ids = [str(one) for one in dict.fromkeys(body.ids)]
    return await _archive(parts, "selection", collection, selection(parts.qdrant, collection, ids, keep=False))


@router.get("/archive")
async def archives(parts: PartsDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Archives:
    """List the latest archives, with the count of their files in each state."""
    return Archives(
        archives=[
            ArchiveSummary(**_head(archive), files=states) for archive, states in await parts.journal.archives(limit)
        ]
    )


@router.get("/archive/{archive_id}", responses=problems(404))
async def archive(archive_id: str, parts: PartsDep) -> ArchiveReport:
    """Tell what became of each file of an archive."""
    return await _report(parts, archive_id)


@router.post("/archive/{archive_id}/undo", responses=problems(404))
async def undo(archive_id: str, parts: PartsDep) -> ArchiveReport:
    """Move the files of an archive back. One whose place is taken by another stays, with the reason."""
    await parts.archiver.undo(archive_id)
    return await _report(parts, archive_id)


async def _archive(parts: Parts, kind: Kind, collection: str, contents: AsyncIterable[Content]) -> ArchiveReport:
    return await _report(parts, await parts.archiver.archive(kind, collection, contents))


async def _report(parts: Parts, archive_id: str) -> ArchiveReport:
    found = await parts.journal.archive(archive_id)
    if found is None:
        raise RequestError(f"There is no archive {archive_id!r}.", 404)
    moves = await parts.journal.moves(archive_id)
    return ArchiveReport(
        **_head(found),
        moved=sum(move.state == "archived" for move in moves),
        refused=sum(move.state == "refused" for move in moves),
        files=[
            ArchivedFile(path=move.path, sha256=move.sha256, state=move.state, reason=move.reason) for move in moves
        ],
    )


def _head(archive: Archive) -> dict[str, str]:
    return {
        "archive_id": archive.archive_id,
        "at": datetime.fromtimestamp(archive.at, UTC).isoformat(timespec="seconds"),
        "kind": archive.kind,
        "collection": archive.collection,
    }
