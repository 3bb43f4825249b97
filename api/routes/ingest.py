"""Asking for jobs: folders of this machine, and files that are sent along."""

import asyncio
import shutil

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from structlog.contextvars import bound_contextvars

from api.deps import CaptionQuery, IdempotencyKey, PartsDep, new_submission
from api.problems import problems
from api.schemas.jobs import Refused, RootBody, Roots, ScanBody, Submitted, Uploaded
from api.sources import allowed_root
from api.uploads import receive
from errors import KafkaUnavailableError, RequestError
from rules.listening import is_loopback
from topics.job_status import JobStatus
from topics.record import whole_number

# The body is read here as it comes, so the framework cannot describe it.
FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["files"],
}

router = APIRouter(prefix="/ingest", tags=["ingest"])
# Apart, as its bodies have no limit but those that it checks itself.
uploads_router = APIRouter(prefix="/ingest", tags=["ingest"])


@router.post("/", status_code=202, responses=problems(409))
@router.post("/scan", status_code=202, responses=problems(409))
async def scan(body: ScanBody, parts: PartsDep, caption: CaptionQuery = False, key: IdempotencyKey = None) -> Submitted:
    """Take in all photographs below a folder of the service's machine."""
    submission = new_submission(body.collection, caption, key, body.job_id)
    with bound_contextvars(job_id=submission.job_id):
        status = await parts.submitter.submit_folders(
            submission, body.paths, must_be_folders=body.directory_path is not None
        )
    return _submitted(status)


@uploads_router.post(
    "/upload",
    status_code=202,
    responses=problems(409, 507),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FILES}}}},
)
async def upload(
    request: Request,
    parts: PartsDep,
    collection: str | None = None,
    caption: CaptionQuery = False,
    key: IdempotencyKey = None,
) -> Uploaded:
    """Take in the files of a `multipart/form-data` body: every part that has a filename.

    A file that is no picture by its first bytes is left out and named in `refused`. With an Idempotency-Key, files
    that have arrived once are not written again.
    """
    submission = new_submission(collection, caption, key)
    uploads = parts.settings.uploads_folder.resolve()
    folder = uploads / submission.job_id
    with bound_contextvars(job_id=submission.job_id), parts.uploads_under_way.only(submission.job_id):
        await parts.submitter.target(submission)  # before gigabytes are on their way
        try:
            if await asyncio.to_thread(folder.exists):
                refused = await parts.kept.refused(submission.job_id)
                async for _ in request.stream():
                    pass  # a client that still sends might not read an answer
            else:
                refused = await receive(
                    request.stream(),
                    request.headers.get("content-type", ""),
                    folder,
                    parts.room,
                    content_length=whole_number(request.headers.get("content-length", "")) or 0,
                    max_files=parts.settings.upload_max_files,
                    max_file_bytes=parts.settings.max_file_bytes,
                )
                if submission.is_keyed:
                    await parts.kept.keep_refused(submission.job_id, refused)
        except ClientDisconnect as error:
            raise RequestError("The upload was broken off: send it again.") from error
        try:
            status = await parts.submitter.submit(submission, [str(folder)], [str(uploads)])
        except KafkaUnavailableError:
            raise  # the request may arrive yet, and then needs the files
        except Exception:
            known = await parts.view.status(submission.job_id)
            if known is None or known.sources != [str(folder)]:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
    return Uploaded(
        **_submitted(status).model_dump(),
        refused=[Refused(filename=file.filename, reason=file.reason) for file in refused],
    )


@router.post("/roots")
async def allow_root(body: RootBody, request: Request, parts: PartsDep) -> Roots:
    """Allow a folder to be read, as INGEST_ROOTS does, from now on; only for programs on the same machine.

    `darkroom ingest` does this for the folders it was given: whoever runs it could read them anyway.
    """
    _refuse_others(request)
    await parts.kept.add_root(await asyncio.to_thread(allowed_root, body.path))
    roots = [*parts.settings.ingest_roots, *await parts.kept.roots()]
    return Roots(roots=[str(root) for root in roots])


def _refuse_others(request: Request) -> None:
    """Raise RequestError(403) unless the caller is on this machine and knows it by a local name.

    The Host header tells a program here from a web page in a browser here whose name was pointed at this machine.
    """
    caller = request.client.host if request.client else ""
    forwarded = "forwarded" in request.headers or "x-forwarded-for" in request.headers
    if forwarded or not is_loopback(caller) or not is_loopback(request.url.hostname or ""):
        raise RequestError(
            "Folders can be allowed from this machine only: use http://127.0.0.1, or set INGEST_ROOTS.", 403
        )


def _submitted(status: JobStatus) -> Submitted:
    return Submitted(job_id=status.job_id, status=status.status, message=status.message)
