"""The original of a picture, from whichever of its files is still there."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from api.kept import readable_roots
from api.parts import Parts
from core.errors import RequestError
from rules.many_paths import MORE_PATHS, listed

FIELDS = ["full_path", "paths", MORE_PATHS, "file_hash"]
SHOWN = 3


async def open_original(parts: Parts, collection: str, fields: Mapping[str, Any]) -> tuple[int, str]:
    """Open a file of a picture that has its content; `fields`: FIELDS of its payload.

    Returns a file descriptor, which the caller closes, and the path. Raises RequestError: 410 where only files with
    other contents are left, 404 where none is.
    """
    roots = await readable_roots(parts.settings, parts.kept)
    tried: list[str] = []
    changed: RequestError | None = None
    async for paths in _paths(parts, collection, fields):
        tried += paths[: SHOWN - len(tried)]
        try:
            opened = await asyncio.to_thread(parts.originals.open, paths, roots, fields.get("file_hash"))
        except RequestError as error:
            changed = changed or error
        else:
            if opened is not None:
                return opened
    raise changed or RequestError(
        "The original is not there any more, or outside the folders that may be read (setting INGEST_ROOTS). "
        f"It was at: {', '.join(tried) or 'an unknown path'}",
        404,
    )


async def _paths(parts: Parts, collection: str, fields: Mapping[str, Any]) -> AsyncIterator[list[str]]:
    first = fields.get("full_path")
    yield [*([first] if first and isinstance(first, str) else []), *filter(None, listed(fields))]
    async for others in parts.qdrant.other_paths(collection, fields):
        yield others
