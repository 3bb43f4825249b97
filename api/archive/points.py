"""The `paths` of points, as files come and go. A content has the same point in every collection that has it."""

from collections.abc import Mapping
from typing import Any

from core.errors import CollectionMissingError
from gateways.qdrant import Qdrant
from rules.collections import public_name
from rules.identity import point_id
from rules.many_paths import MAX_PATHS, MORE_PATHS, listed
from rules.payload import REVISION, named, without_paths

FIELDS = ["paths", MORE_PATHS, "full_path", "filename", REVISION]

Holders = dict[str, bool]
"""The collections whose point has a path, and whether that is the one it shows first (`full_path`)."""


async def holders(qdrant: Qdrant, sha256: str, path: str) -> Holders:
    """Return the collections whose point of this content has this path."""
    found: Holders = {}
    for collection in await qdrant.collections():
        payload = await _payload(qdrant, collection.name, sha256)
        if payload is not None and await qdrant.has_path(collection.name, payload, path):
            found[collection.name] = payload.get("full_path") == path
    return found


async def take_path(qdrant: Qdrant, sha256: str, path: str, where: Holders) -> None:
    """Take a path away from the points that have it. Doing it twice is doing it once."""
    for collection in await _addresses(qdrant, where):
        # Also where a job writes to the point meanwhile.
        while (payload := await _payload(qdrant, collection, sha256)) is not None:
            await qdrant.remove_other_path(collection, payload, path)
            fields = without_paths(payload, [path])
            if not fields["paths"]:
                # A point without paths is one whose files are all archived: those beside it take their place.
                others, _ = await qdrant.paths_page(collection, payload | {"paths": []}, limit=MAX_PATHS)
                fields = without_paths(payload, [path], others)
            if await qdrant.change(collection, point_id(sha256), fields, payload):
                break


async def give_back_path(qdrant: Qdrant, sha256: str, path: str, where: Holders) -> None:
    """Undo `take_path`."""
    for collection in await _addresses(qdrant, where):
        is_first = where[public_name(collection)]
        while (payload := await _payload(qdrant, collection, sha256)) is not None:
            fields = with_path(payload, path, is_first=is_first)
            if await qdrant.change(collection, point_id(sha256), fields, payload):
                break


def with_path(payload: Mapping[str, Any], path: str, *, is_first: bool) -> dict[str, Any]:
    """Return the fields that change."""
    fields: dict[str, Any] = {"paths": sorted({*listed(payload), path})}
    return fields | named(path) if is_first else fields


async def _addresses(qdrant: Qdrant, where: Holders) -> list[str]:
    """Return all generations of collections: also one whose pictures are being embedded anew."""
    return [at for collection in where for at in await qdrant.addresses(collection)]


async def _payload(qdrant: Qdrant, collection: str, sha256: str) -> dict[str, Any] | None:
    point = point_id(sha256)
    try:
        return (await qdrant.payloads(collection, [point], FIELDS)).get(point)
    except CollectionMissingError:
        return None
