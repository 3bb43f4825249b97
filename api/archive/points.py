"""The `paths` of points, as files come and go. A content has the same point in every collection that has it."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from errors import CollectionMissingError
from gateways.qdrant import Qdrant
from rules.identity import point_id
from rules.payload import REVISION, named

FIELDS = ["paths", "full_path", "filename", REVISION]

Holders = dict[str, bool]
"""The collections whose point has a path, and whether that is the one it shows first (`full_path`)."""


async def holders(qdrant: Qdrant, sha256: str, path: str) -> Holders:
    """Return the collections whose point of this content has this path."""
    found: Holders = {}
    for collection in await qdrant.collections():
        payload = await _payload(qdrant, collection.name, sha256)
        if payload is not None and path in _paths(payload):
            found[collection.name] = payload.get("full_path") == path
    return found


async def take_path(qdrant: Qdrant, sha256: str, path: str, where: Holders) -> None:
    """Take a path away from the points that have it. Doing it twice is doing it once."""
    for collection in where:
        await _change(qdrant, collection, sha256, partial(without_path, path=path))


async def give_back_path(qdrant: Qdrant, sha256: str, path: str, where: Holders) -> None:
    """Undo `take_path`."""
    for collection, is_first in where.items():
        await _change(qdrant, collection, sha256, partial(with_path, path=path, is_first=is_first))


async def _change(
    qdrant: Qdrant, collection: str, sha256: str, fields: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> None:
    """Change a point to what follows from it, also where a job writes to it meanwhile."""
    while (payload := await _payload(qdrant, collection, sha256)) is not None:
        if await qdrant.change(collection, point_id(sha256), fields(payload), payload.get(REVISION)):
            return


def without_path(payload: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the fields that change. The last path stays in `full_path`, to say where the file was."""
    left = [known for known in _paths(payload) if known != path]
    if payload.get("full_path") != path or not left:
        return {"paths": left}
    return {"paths": left} | named(left[0])


def with_path(payload: Mapping[str, Any], path: str, *, is_first: bool) -> dict[str, Any]:
    """Return the fields that change."""
    fields: dict[str, Any] = {"paths": sorted({*_paths(payload), path})}
    return fields | named(path) if is_first else fields


def _paths(payload: Mapping[str, Any]) -> list[str]:
    paths = payload.get("paths")
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


async def _payload(qdrant: Qdrant, collection: str, sha256: str) -> dict[str, Any] | None:
    point = point_id(sha256)
    try:
        return (await qdrant.payloads(collection, [point], FIELDS)).get(point)
    except CollectionMissingError:
        return None
