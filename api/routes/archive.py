"""Moving files out of the way, and back. Every answer tells of each file whether it was moved, or why not."""

from collections.abc import AsyncIterable
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.archive.archiver import Archiver
from api.archive.choosing import Content
from api.archive.contents import exact_duplicates, job_duplicates, selection
from api.archive.journal import Archive, Journal, Kind
from api.http.problems import problems
from api.routes.deps import ArchiverDep, JobDep, JournalDep, KeptDep, QdrantDep, ViewDep, chosen_collection
from api.schemas.archive import ArchivedFile, ArchiveReport, Archives, ArchiveSummary, DuplicatesBody, SelectionBody
from core.errors import RequestError
from topics.job_status import FINISHED

router = APIRouter(tags=["archive"])


@router.post("/ingest/archive_duplicates/{job_id}", responses=problems(404, 409))
async def archive_duplicates(
    job: JobDep, qdrant: QdrantDep, view: ViewDep, archiver: ArchiverDep, journal: JournalDep
) -> ArchiveReport:
    """Archive the files that a finished job counted as duplicates; one copy of each content stays where it is."""
    if job.status not in FINISHED:
        raise RequestError(f"Job {job.job_id} still runs: wait for its end.", 409)
    contents = job_duplicates(qdrant, view, job.job_id, job.collection)
    return await _archive(archiver, journal, "job-duplicates", job.collection, contents)


@router.post("/duplicates/archive-exact", responses=problems(404))
async def archive_exact(
    body: DuplicatesBody, kept: KeptDep, qdrant: QdrantDep, archiver: ArchiverDep, journal: JournalDep
) -> ArchiveReport:
    """Archive all but one copy of every content of a collection, or of the pictures that are named.

    The copy that stays is the one that is shown.
    """
    collection = await chosen_collection(kept, body.collection)
    ids = [str(one) for one in dict.fromkeys(body.ids)]
    contents = selection(qdrant, collection, ids, keep=True) if ids else exact_duplicates(qdrant, collection)
    return await _archive(archiver, journal, "exact-duplicates", collection, contents)


@router.post("/curation/archive-selection", responses=problems(404))
async def archive_selection(
    body: SelectionBody, kept: KeptDep, qdrant: QdrantDep, archiver: ArchiverDep, journal: JournalDep
) -> ArchiveReport:
    """Archive all files of these pictures. Their points stay, with empty `paths`."""
    collection = await chosen_collection(kept, body.collection)
    ids = [str(one) for one in dict.fromkeys(body.ids)]
    return await _archive(archiver, journal, "selection", collection, selection(qdrant, collection, ids, keep=False))


@router.get("/archive")
async def archives(journal: JournalDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Archives:
    """List the latest archives, with the count of their files in each state."""
    return Archives(
        archives=[ArchiveSummary(**_head(archive), files=states) for archive, states in await journal.archives(limit)]
    )


@router.get("/archive/{archive_id}", responses=problems(404))
async def archive(archive_id: str, journal: JournalDep) -> ArchiveReport:
    """Tell what became of each file of an archive."""
    return await _report(journal, archive_id)


@router.post("/archive/{archive_id}/undo", responses=problems(404))
async def undo(archive_id: str, archiver: ArchiverDep, journal: JournalDep) -> ArchiveReport:
    """Move the files of an archive back. One whose place is taken by another stays, with the reason."""
    await archiver.undo(archive_id)
    return await _report(journal, archive_id)


async def _archive(
    archiver: Archiver, journal: Journal, kind: Kind, collection: str, contents: AsyncIterable[Content]
) -> ArchiveReport:
    return await _report(journal, await archiver.archive(kind, collection, contents))


async def _report(journal: Journal, archive_id: str) -> ArchiveReport:
    found = await journal.archive(archive_id)
    if found is None:
        raise RequestError(f"There is no archive {archive_id!r}.", 404)
    moves = await journal.moves(archive_id)
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
