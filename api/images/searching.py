"""Search by words, by meaning and by picture, in one list. Where meaning cannot be compared, it is said so."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal, TypedDict, Unpack

import structlog

from api.collections.words import Words
from api.images import hints
from api.images.paging import Place
from api.images.renditions import Renditions
from core.errors import MLRejectedError, MLUnavailableError, RequestError
from gateways.ml import ML
from gateways.qdrant import CollectionInfo, Hit, Qdrant
from gateways.qdrant.filters import Filters
from gateways.qdrant.searching import Ranking
from rules.search import likeness, reasons
from rules.search.language import read
from rules.search.likeness import TrainedScale
from rules.search.query import Query
from rules.search.reasons import Reason
from rules.search.standing_out import standing_out

log = structlog.get_logger()

Mode = Literal["auto", "semantic", "keywords"]
_FILL_SECONDS = 1.0
"""How long a search gives words to pictures that have none yet; the others get theirs behind it."""


class Wanted(TypedDict):
    """Which of the hits: `limit` of them from number `offset` or from a cursor on, of those that match the filters."""

    limit: int
    offset: int
    cursor: str | None
    filters: Filters
    mode: Mode
    min_score: float | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a picture is there: its words; how near it is to the text, and to the pictures that it is to be like."""

    words: Sequence[Reason] = ()
    meaning: float | None = None
    like: float | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of hits, best first, why each is there, and how many there are in all."""

    hits: list[Hit]
    why: list[Why]
    total: int
    mode: Literal["semantic", "keywords"]
    next: str | None = None
    likely: tuple[int, int] | None = None
    standing_out: int | None = None
    hint: str | None = None
    pending: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query, with the vectors that are compared."""

    query: Query
    text: list[float] | None = None
    like: list[float] | None = None
    scale: TrainedScale | None = None
    by_words: bool = True
    is_ours: bool = True
    """Whether the words of the collection's pictures can be looked up."""
    left: int = 0
    """Pictures that have no words yet."""
    without_meaning: str = ""
    """Why a text was not compared, for a person."""

    @property
    def vectors(self) -> list[list[float]]:
        """Return what pictures are to be near."""
        return [vector for vector in (self.text, self.like) if vector is not None]

    def ranking(self, min_score: float | None) -> Ranking:
        """Return what hits are ranked by."""
        is_bound_by_text = self.text is not None and self.like is None
        if min_score is not None and is_bound_by_text and self.scale is not None:
            min_score = self.scale.cosine(min_score)
        return Ranking(self.by_words and self.is_ours, self.vectors, min_score, is_filled=not self.left)


class Searcher:
    """Finds points of a collection."""

    def __init__(self, qdrant: Qdrant, ml: ML, renditions: Renditions, words: Words) -> None:
        self._qdrant = qdrant
        self._words = words
        self._ml = ml
        self._renditions = renditions

    async def by_text(self, collection: str, text: str, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures by a query in the language of the search box.

        Raises QueryError, which says where; RequestError: 422 for a wrong filter or cursor, 404 for a picture that is
        not there to be like; CollectionMissingError, QdrantUnavailableError.
        """
        info = await self._qdrant.existing_collection(collection)
        asked = await self._asked(info, read(text), wanted["mode"])
        return await self._found(collection, asked, text, wanted)

    async def by_point(self, collection: str, point_id: str, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures that look like a stored one, without that one itself. Raises as `by_text` does."""
        return await self.by_text(collection, f"like:{point_id}", **wanted)

    async def by_image(self, collection: str, picture: BinaryIO, text: str | None, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures that look like this one, and fit a query, if there is one.

        Raises as `by_text` does, and RequestError: 422 for a picture that cannot be used, 409 where the collection is
        of another model; MLUnavailableError.
        """
        info = await self._qdrant.existing_collection(collection)
        model = await self._ml.capabilities()
        if info.model_id not in (None, model.model_id):
            raise RequestError(
                f"Collection {collection!r} was made by the model {info.model_id!r}, and ML now runs "
                f"{model.model_id!r}: their vectors cannot be compared.",
                409,
            )
        asked = _Asked(Query()) if text is None else await self._asked(info, read(text), wanted["mode"])
        rendition = await self._renditions.of(picture)
        try:
            vector = await self._ml.embed_image(rendition, dimension=info.dimension)
        except MLRejectedError as error:
            raise RequestError(str(error), 422) from error
        like = vector if asked.like is None else likeness.target([vector, asked.like], [])
        return await self._found(collection, replace(asked, like=like), text or "", wanted)

    async def _asked(self, info: CollectionInfo, query: Query, mode: Mode) -> _Asked:
        is_ours = info.incarnation is not None
        left = await self._qdrant.fill_words(info.name, seconds=_FILL_SECONDS) if is_ours else 0
        if left:
            self._words.go_on()
        asked = _Asked(query, like=await self._like(info.name, query), is_ours=is_ours, left=left)
        if mode == "keywords" or not query.text:
            return asked
        vector, scale, reason = await self._text_vector(info, query.text)
        by_words = mode == "auto" or vector is None
        return replace(asked, text=vector, scale=scale, without_meaning=reason, by_words=by_words)

    async def _like(self, collection: str, query: Query) -> list[float] | None:
        ids = [*query.like, *query.unlike]
        if not ids:
            return None
        vectors = {point.id: point.vector for point in await self._qdrant.points(collection, ids)}
        missing = next((one for one in ids if one not in vectors), None)
        if missing is not None:
            raise RequestError(f"There is no picture {missing} in collection {collection!r}.", 404)
        try:
            return likeness.target([vectors[one] for one in query.like], [vectors[one] for one in query.unlike])
        except ValueError as error:
            raise RequestError(f"No picture can be found: {error}.", 422) from error

    async def _text_vector(
        self, info: CollectionInfo, text: str
    ) -> tuple[list[float] | None, TrainedScale | None, str]:
        """Return a vector to compare with those of the collection, or None and why there is none."""
        try:
            model = await self._ml.capabilities()
            if info.model_id not in (None, model.model_id):
                return None, None, hints.another_model(info.model_id, model.model_id)
            vector = await self._ml.embed_text(text, dimension=info.dimension) if model.supports_text else None
            if vector is None:
                return None, None, hints.NO_TEXT
            return vector, TrainedScale.of(model.logit_scale, model.logit_bias), ""
        except (MLUnavailableError, MLRejectedError) as error:
            log.warning("search-without-ml", reason=str(error))
            return None, None, hints.AWAY

    async def _found(self, collection: str, asked: _Asked, text: str, wanted: Wanted) -> Found:
        ranking = asked.ranking(wanted["min_score"])
        filters, limit = wanted["filters"], wanted["limit"]
        place = Place.of(
            wanted["cursor"], wanted["offset"], collection, text, filters, wanted["mode"], ranking.min_score
        )
        total = place.total
        if total is None:
            total = await self._qdrant.count_query(collection, asked.query, ranking, filters)
        if asked.vectors or (ranking.by_words and asked.query.sought):
            order = await self._qdrant.ranked(
                collection, asked.query, ranking, count=place.reach(limit), filters=filters
            )
            shown, following = place.take(order, limit, total)
            hits = await self._qdrant.hits(collection, shown)
        else:
            hits, page = await self._qdrant.list_query(
                collection, asked.query, limit=place.offset + limit, cursor=place.page, filters=filters
            )
            hits, following = hits[place.offset :], replace(place, offset=0).listed(page, total)
        why = await self._why(collection, asked, hits)
        likely = None if wanted["cursor"] else await self._likely(collection, asked, filters)
        clear = None if wanted["cursor"] else await self._standing_out(collection, asked, filters)
        hint = asked.without_meaning or None
        if not total:
            hint = await hints.of_nothing(
                self._qdrant, collection, asked.query, filters, without_meaning=asked.without_meaning,
                is_ours=asked.is_ours,
            )  # fmt: skip
        mode: Literal["semantic", "keywords"] = "semantic" if asked.vectors else "keywords"
        return Found(hits, why, total, mode, following, likely, clear, hint, asked.left)

    async def _why(self, collection: str, asked: _Asked, hits: list[Hit]) -> list[Why]:
        ids = [hit.id for hit in hits]
        near = await self._qdrant.similarities(collection, asked.text, ids) if asked.text else {}
        alike = await self._qdrant.similarities(collection, asked.like, ids) if asked.like else {}
        return [
            Why(
                words=reasons.of_words(asked.query, hit.payload) if asked.is_ours else (),
                meaning=near.get(hit.id),
                like=alike.get(hit.id),
                probability=asked.scale.probability(near[hit.id]) if asked.scale and hit.id in near else None,
            )
            for hit in hits
        ]

    async def _likely(self, collection: str, asked: _Asked, filters: Filters) -> tuple[int, int] | None:
        """Count the pictures that a text surely fits, and perhaps, where the model was trained to tell it."""
        if asked.text is None or asked.scale is None:
            return None
        bounds = [asked.scale.cosine(bound) for bound in (likeness.SURE, likeness.MAYBE)]
        sure, all_of_them = await self._qdrant.count_near(collection, asked.query, asked.text, bounds, filters)
        return sure, all_of_them - sure

    async def _standing_out(self, collection: str, asked: _Asked, filters: Filters) -> int | None:
        """Count the pictures that stand clear of the rest, where one vector is compared that nobody tells more of."""
        if len(asked.vectors) != 1 or (asked.text is not None and asked.scale is not None):
            return None
        near = await self._qdrant.nearest(collection, asked.query, asked.vectors[0], filters)
        return standing_out(near)
