"""Asking for jobs: folders of this machine, and files that are sent along."""

import asyncio
import shutil
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.requests import ClientDisconnect
from structlog.contextvars import bound_contextvars

from api.access.sources import allowed_root
from api.http.problems import problems
from api.routes.deps import (
    CaptionQuery,
    IdempotencyKey,
    KeptDep,
    LocalTokenDep,
    RoomDep,
    SettingsDep,
    SubmitterDep,
    UnderWayDep,
    ViewDep,
    new_submission,
)
from api.schemas.jobs import Refused, RootBody, Roots, ScanBody, Submitted, Uploaded
from api.uploads.receiving import receive
from core.errors import KafkaUnavailableError, RequestError
from rules import local_token
from rules.leaving_out import Patterns
from topics.job_status import JobStatus
from topics.record import whole_number

# The body is read here as it comes, so the framework cannot describe it.
FILES = {
    "type": "object",
    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["files"],
}

LocalTokenHeader = Annotated[
    str | None, Header(alias=local_token.HEADER, description="What is in the file that a refusal names.")
]

router = APIRouter(prefix="/ingest", tags=["ingest"])
# Apart, as its bodies have no limit but those that it checks itself.
uploads_router = APIRouter(prefix="/ingest", tags=["ingest"])


@router.post("/", status_code=202, responses=problems(409))
@router.post("/scan", status_code=202, responses=problems(409))
async def scan(
    body: ScanBody, submitter: SubmitterDep, caption: CaptionQuery = False, key: IdempotencyKey = None
) -> Submitted:
    """Take in all photographs below a folder of the service's machine."""
    submission = new_submission(body.collection, caption, key, body.job_id, body.exclude)
    with bound_contextvars(job_id=submission.job_id):
        status = await submitter.submit_folders(submission, body.paths, must_be_folders=body.directory_path is not None)
    return _submitted(status)


@uploads_router.post(
    "/upload",
    status_code=202,
    responses=problems(409, 507),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FILES}}}},
)
async def upload(
    *,
    request: Request,
    settings: SettingsDep,
    under_way: UnderWayDep,
    submitter: SubmitterDep,
    kept: KeptDep,
    room: RoomDep,
    view: ViewDep,
    collection: str | None = None,
    caption: CaptionQuery = False,
    key: IdempotencyKey = None,
) -> Uploaded:
    """Take in the files of a `multipart/form-data` body: every part that has a filename.

    A file that is no picture by its first bytes is left out and named in `refused`. With an Idempotency-Key, files
    that have arrived once are not written again.
    """
    submission = new_submission(collection, caption, key)
    uploads = settings.uploads_folder.resolve()
    folder = uploads / submission.job_id
    with bound_contextvars(job_id=submission.job_id), under_way.only(submission.job_id):
        await submitter.target(submission)  # before gigabytes are on their way
        try:
            if await asyncio.to_thread(folder.exists):
                refused = await kept.refused(submission.job_id)
                async for _ in request.stream():
                    pass  # a client that still sends might not read an answer
            else:
                refused = await receive(
                    request.stream(),
                    request.headers.get("content-type", ""),
                    folder,
                    room,
                    content_length=whole_number(request.headers.get("content-length", "")) or 0,
                    max_files=settings.upload_max_files,
                    max_file_bytes=settings.max_file_bytes,
                    exclude=Patterns(settings.scan_exclude),
                )
                if submission.is_keyed:
                    await kept.keep_refused(submission.job_id, refused)
        except ClientDisconnect as error:
            raise RequestError("The upload was broken off: send it again.") from error
        try:
            status = await submitter.submit(submission, [str(folder)], [str(uploads)])
        except KafkaUnavailableError:
            raise  # the request may arrive yet, and then needs the files
        except Exception:
            known = await view.status(submission.job_id)
            if known is None or known.sources != [str(folder)]:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
    return Uploaded(
        **_submitted(status).model_dump(),
        refused=[Refused(filename=file.filename, reason=file.reason) for file in refused],
    )


@router.post("/roots")
async def allow_root(body: RootBody, kept: KeptDep, local: LocalTokenDep, token: LocalTokenHeader = None) -> Roots:
    """Allow a folder to be read, as INGEST_ROOTS does, from now on; only for users of the service's machine.

    These show the token that the service puts, at each start, into a file that only its own user can read. A refusal
    names that file as `token_file`. `darkroom ingest` does this for the folders it was given: whoever runs it could
    read them anyway.
    """
    if not local.is_shown(token):
        raise RequestError(
            f"Only a user of this machine can allow a folder: run `darkroom ingest {body.path}` there, send what is in "
            f"{local.file} as {local_token.HEADER}, or set INGEST_ROOTS.",
            403,
            token_file=str(local.file),
        )
    await kept.add_root(await asyncio.to_thread(allowed_root, body.path))
    await kept.tell_roots()
    return Roots(roots=[str(root) for root in await kept.roots()])


def _submitted(status: JobStatus) -> Submitted:
    return Submitted(job_id=status.job_id, status=status.status, message=status.message)
