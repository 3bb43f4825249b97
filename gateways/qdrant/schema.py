"""Collections as Darkroom makes them: one unnamed vector, an index for each field that is filtered or sorted by.

A collection carries in its metadata an incarnation (a UUID that tells it from one deleted and created again
under the same name) and the id of the model whose vectors it holds.
"""

import uuid
from typing import Any

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from core.errors import RequestError
from gateways.qdrant import words
from gateways.qdrant.errors import unless_missing
from gateways.qdrant.filters import DATE_FIELDS, TAKEN_LOCAL, TEXT_FIELDS
from gateways.qdrant.generations import Generations
from gateways.qdrant.pages import SORTS
from gateways.qdrant.records import BoundCollection, CollectionInfo, Storage
from gateways.qdrant.storage import as_created, storage_of
from rules.collections import in_qdrant

_ALONE = Generations()
FACETS = ("camera_make", "camera_model", "lens", "tags", "label", "people")
"""Fields whose values can be counted."""
INDEXES: dict[str, models.PayloadSchemaType | models.TextIndexParams | models.KeywordIndexParams] = {
    **{
        field: models.TextIndexParams(
            type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True
        )
        for field in TEXT_FIELDS
    },
    **dict.fromkeys((*DATE_FIELDS, TAKEN_LOCAL), models.PayloadSchemaType.DATETIME),
    **dict.fromkeys(
        (key for sort in ("filename", "label", "people") for order in SORTS[sort] for key in order),
        models.PayloadSchemaType.INTEGER,
    ),
    "rating": models.PayloadSchemaType.FLOAT,
    **dict.fromkeys(FACETS, models.PayloadSchemaType.KEYWORD),
    "gps": models.PayloadSchemaType.GEO,
    **words.INDEXES,
}


async def ensure(
    client: AsyncQdrantClient, name: str, *, model_id: str, dimension: int, distance: str, storage: Storage
) -> BoundCollection:
    """Return the collection, creating it if it is missing, or adopting it; see `Qdrant.ensure_collection`."""
    ours = our_metadata(model_id)
    info = await unless_missing(client.get_collection(name))
    if info is None:
        await create(client, name, ours, as_created(storage, dimension, models.Distance(distance)))
        info = await client.get_collection(name)
    generations = Generations.of(info)
    at = in_qdrant(generations.address(name))
    if at != name:
        info = await client.get_collection(at)
    found = collection_info(name, info, generations)
    if found.dimension != dimension:
        raise RequestError(
            f"Collection {name!r} holds vectors of {found.dimension} dimensions, and {model_id!r} makes "
            f"{dimension}: choose another collection, or embed it anew (darkroom reembed).",
            status=409,
        )
    if found.incarnation is None:
        await client.update_collection(at, metadata=ours)
        found = collection_info(name, await client.get_collection(at), generations)
    if not isinstance(found, BoundCollection) or found.model_id != model_id:
        raise RequestError(
            f"Collection {name!r} holds vectors of the model {found.model_id!r}, not of {model_id!r}: "
            "choose another collection, or embed it anew (darkroom reembed).",
            status=409,
        )
    # Also here, not only after creating: whoever created it may have died before it got so far.
    await complete(client, at, info)
    return found


def our_metadata(model_id: str) -> dict[str, str]:
    """Return the metadata of a new collection."""
    return {"incarnation": str(uuid.uuid4()), "model_id": model_id, "created_by": "darkroom"}


async def complete(client: AsyncQdrantClient, name: str, info: models.CollectionInfo) -> None:
    """Make the indexes that a collection lacks: those of fields that came after it was made."""
    missing = [field for field in INDEXES if field not in info.payload_schema]
    for field in missing:
        # To wait for the last is to wait for all.
        await client.create_payload_index(name, field, INDEXES[field], wait=field == missing[-1])


async def create(client: AsyncQdrantClient, name: str, metadata: dict[str, str], kept: dict[str, Any]) -> None:
    """Make a collection, unless another process has."""
    try:
        await client.create_collection(name, metadata=metadata, **kept)
    except UnexpectedResponse as error:
        if error.status_code != 409:  # another process was first, which is as good
            raise


def collection_info(
    name: str, info: models.CollectionInfo, generations: Generations = _ALONE, number: int | None = None
) -> CollectionInfo:
    """Return what a description says of a generation; `number`: None for the one that serves.

    Raises RequestError(409) for vectors that are not one and unnamed.
    """
    vectors = info.config.params.vectors
    if not isinstance(vectors, models.VectorParams):
        raise RequestError(f"Collection {name!r} has named vectors; Darkroom needs one unnamed vector.", status=409)
    metadata = info.config.metadata or {}
    points, model_id, incarnation = info.points_count or 0, metadata.get("model_id"), metadata.get("incarnation")
    storage = storage_of(info, vectors)
    number, former = number or generations.serving, generations.former
    kept = (incarnation, storage, number, former, vectors.distance.value)
    if model_id is None:
        return CollectionInfo(name, points, vectors.size, model_id, *kept)
    return BoundCollection(name, points, vectors.size, model_id, *kept)
