"""What each kind of request wants to be archived."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from api.archive.choosing import Content
from api.view.view import JobView
from core.errors import RequestError
from gateways.qdrant import Qdrant
from rules.identity import point_id
from rules.many_paths import MORE_PATHS

FIELDS = ["file_hash", "paths", MORE_PATHS, "full_path"]
PAGE = 200


async def exact_duplicates(qdrant: Qdrant, collection: str) -> AsyncIterator[Content]:
    """Yield every content of a collection that has several paths: all but one are unwanted."""
    async for page in qdrant.pages(collection, limit=PAGE):
        for record in page:
            content = await _content(qdrant, collection, record.payload, keep=True)
            if content is not None and len(content.paths) > 1:
                yield content


async def selection(qdrant: Qdrant, collection: str, ids: Sequence[str], *, keep: bool) -> AsyncIterator[Content]:
    """Yield the contents of these points: all their paths are unwanted, or (`keep`) all but one.

    Raises RequestError(404) for unknown ones.
    """
    payloads = await qdrant.payloads(collection, ids, FIELDS)
    missing = [one for one in ids if one not in payloads]
    if missing:
        raise RequestError(f"There is no picture {missing[0]} in collection {collection!r}: nothing was archived.", 404)
    for payload in payloads.values():
        content = await _content(qdrant, collection, payload, keep=keep)
        if content is not None:
            yield content


async def job_duplicates(qdrant: Qdrant, view: JobView, job_id: str, collection: str) -> AsyncIterator[Content]:
    """Yield the contents that a job found again: the paths that it counted as duplicates are unwanted."""
    unwanted: dict[str, list[str]] = {}
    cursor = None
    while True:
        rows, cursor = await view.files(job_id, outcome="duplicate", limit=PAGE, cursor=cursor)
        for row in rows:
            if row.sha256 is not None:
                unwanted.setdefault(row.sha256, []).append(row.path)
        if cursor is None:
            break
    found = list(unwanted)
    for start in range(0, len(found), PAGE):
        some = found[start : start + PAGE]
        payloads = await qdrant.payloads(collection, [point_id(sha256) for sha256 in some], FIELDS)
        for sha256 in some:
            payload = payloads.get(point_id(sha256), {})
            content = await _content(qdrant, collection, payload, keep=True, unwanted=unwanted[sha256])
            if content is not None:
                yield content


async def _content(
    qdrant: Qdrant, collection: str, payload: dict[str, Any], *, keep: bool, unwanted: list[str] | None = None
) -> Content | None:
    """Read a payload, which any program may have written."""
    sha256 = payload.get("file_hash")
    if not isinstance(sha256, str) or not isinstance(payload.get("paths"), list):
        return None
    known = [path async for paths in qdrant.all_paths(collection, payload) for path in paths]
    # The one that the point shows stays rather than others.
    known.sort(key=lambda path: path != payload.get("full_path"))
    stored = set(known)
    chosen = known if unwanted is None else [path for path in unwanted if path in stored]
    return Content(sha256, tuple(known), tuple(chosen), keep)
