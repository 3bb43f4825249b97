"""Search by text and by picture. Where no vector can be made of a text, its words are looked up, and it is said so."""

from dataclasses import dataclass
from typing import BinaryIO, Literal, TypedDict, Unpack

import structlog

from api.images.renditions import Renditions
from core.errors import MLRejectedError, MLUnavailableError, RequestError
from gateways.ml import ML
from gateways.qdrant import CollectionInfo, Hit, Qdrant
from gateways.qdrant.filters import Filters

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, best first, and how many there are in all."""

    hits: list[Hit]
    total: int
    mode: Literal["semantic", "keywords"]


class Wanted(TypedDict):
    """Which of the hits: `limit` of them from number `offset` on, of those that match the filters."""

    limit: int
    offset: int
    filters: Filters


class Searcher:
    """Finds points of a collection."""

    def __init__(self, qdrant: Qdrant, ml: ML, renditions: Renditions) -> None:
        self._qdrant = qdrant
        self._ml = ml
        self._renditions = renditions

    async def by_text(self, collection: str, query: str, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures that a text describes.

        Raises RequestError(422) for a wrong filter or a query without words, CollectionMissingError,
        QdrantUnavailableError.
        """
        info = await self._qdrant.existing_collection(collection)
        vector = await self._text_vector(info, query)
        if vector is None:
            hits, total = await self._qdrant.search_keywords(collection, query, **wanted)
            return Found(hits, total, "keywords")
        return await self._nearest(collection, vector, **wanted)

    async def by_point(self, collection: str, point_id: str, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures that look like a stored one, without that one itself.

        Raises RequestError: 404 for an unknown picture, 422 for a wrong filter; CollectionMissingError,
        QdrantUnavailableError.
        """
        point = await self._qdrant.point(collection, point_id)
        if point is None:
            raise RequestError(f"There is no picture {point_id} in collection {collection!r}.", 404)
        return await self._nearest(collection, list(point.vector), without=point_id, **wanted)

    async def by_image(self, collection: str, picture: BinaryIO, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures that look like this one.

        Raises RequestError: 422 for a picture that cannot be used or a wrong filter, 409 where the collection is of
        another model; CollectionMissingError, MLUnavailableError, QdrantUnavailableError.
        """
        info = await self._qdrant.existing_collection(collection)
        model = await self._ml.capabilities()
        if info.model_id not in (None, model.model_id):
            raise RequestError(
                f"Collection {collection!r} was made by the model {info.model_id!r}, and ML now runs "
                f"{model.model_id!r}: their vectors cannot be compared.",
                409,
            )
        rendition = await self._renditions.of(picture)
        try:
            vector = await self._ml.embed_image(rendition, dimension=info.dimension)
        except MLRejectedError as error:
            raise RequestError(str(error), 422) from error
        return await self._nearest(collection, vector, **wanted)

    async def _text_vector(self, info: CollectionInfo, query: str) -> list[float] | None:
        """Return a vector to compare with those of the collection; None where the ML service has none to give."""
        try:
            model = await self._ml.capabilities()
            if not model.supports_text or info.model_id not in (None, model.model_id):
                return None
            return await self._ml.embed_text(query, dimension=info.dimension)
        except (MLUnavailableError, MLRejectedError) as error:
            log.warning("search-without-ml", reason=str(error))
            return None

    async def _nearest(
        self, collection: str, vector: list[float], *, without: str | None = None, **wanted: Unpack[Wanted]
    ) -> Found:
        hits = await self._qdrant.search(collection, vector, without=without, **wanted)
        return Found(hits, await self._qdrant.count(collection, wanted["filters"], without=without), "semantic")
