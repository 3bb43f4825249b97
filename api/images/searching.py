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
    """Why a picture is there: its words; how near it is to the text, and to the pictures that it is to be like.

    `colour`: of what it has much, where the text names colours, and a model compares nothing but these.
    """

    words: Sequence[Reason] = ()
    meaning: float | None = None
    colour: str | None = None
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
    lacks: hints.Lacks | None = None
    pending: int = 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query, with the vectors that are compared."""

    query: Query
    at: str
    """The generation of the collection whose vectors they are compared with, also if another serves meanwhile."""
    text: list[float] | None = None
    like: list[float] | None = None
    scale: TrainedScale | None = None
    colours_from: float | None = None
    """The vector of the text is one of colours; so near to it a picture has them."""
    by_words: bool = True
    is_ours: bool = True
    """Whether the words of the collection's pictures can be looked up."""
    left: int = 0
    """Pictures that have no words yet."""
    lack: hints.Lack | None = None
    """Why a text was not compared."""

    @property
    def vectors(self) -> list[list[float]]:
        """Return what pictures are to be near."""
        return [vector for vector in (self.text, self.like) if vector is not None]

    def least(self, min_score: float | None, likely: tuple[int, int] | None) -> float | None:
        """Return the similarity at which the list ends, by `min_score`, else where the model says so; None: nowhere.

        A model that was trained to tell it says so where any picture is likely; else those that are next best are left.
        """
        if self.text is None or self.like is not None:
            return min_score
        if self.scale is None:
            return self.colours_from if min_score is None else min_score
        if min_score is not None:
            return self.scale.cosine(min_score) if min_score > 0 else None
        return self.scale.cosine(likeness.MAYBE) if likely is not None and any(likely) else None

    def ranking(self, least: float | None) -> Ranking:
        """Return what hits are ranked by, down to the least similarity."""
        return Ranking(self.by_words and self.is_ours, self.vectors, least, is_filled=not self.left)


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
        model = await self._ml.capabilities(info.model_id)
        if info.model_id not in (None, model.model_id):
            raise RequestError(
                f"Collection {collection!r} was made by the model {info.model_id!r}, and ML now runs "
                f"{model.model_id!r}: their vectors cannot be compared.",
                409,
            )
        asked = _Asked(Query(), info.at) if text is None else await self._asked(info, read(text), wanted["mode"])
        rendition = await self._renditions.of(picture)
        try:
            vector = await self._ml.embed_image(rendition, dimension=info.dimension, model_id=info.model_id)
        except MLRejectedError as error:
            raise RequestError(str(error), 422) from error
        like = vector if asked.like is None else likeness.target([vector, asked.like], [])
        return await self._found(collection, replace(asked, like=like), text or "", wanted)

    async def _asked(self, info: CollectionInfo, query: Query, mode: Mode) -> _Asked:
        is_ours = info.incarnation is not None
        left = await self._qdrant.fill_words(info.name, seconds=_FILL_SECONDS) if is_ours else 0
        if left:
            self._words.go_on()
        asked = _Asked(query, info.at, like=await self._like(info, query), is_ours=is_ours, left=left)
        if mode == "keywords" or not query.text:
            return asked
        asked = await self._with_text(info, asked)
        return replace(asked, by_words=mode == "auto" or asked.text is None)

    async def _like(self, info: CollectionInfo, query: Query) -> list[float] | None:
        ids = [*query.like, *query.unlike]
        if not ids:
            return None
        vectors = {point.id: point.vector for point in await self._qdrant.points(info.at, ids)}
        missing = next((one for one in ids if one not in vectors), None)
        if missing is not None:
            raise RequestError(f"There is no picture {missing} in collection {info.name!r}.", 404)
        try:
            return likeness.target([vectors[one] for one in query.like], [vectors[one] for one in query.unlike])
        except ValueError as error:
            raise RequestError(f"No picture can be found: {error}.", 422) from error

    async def _with_text(self, info: CollectionInfo, asked: _Asked) -> _Asked:
        """Add a vector of the text, to compare with those of the collection, or why there is none."""
        try:
            model = await self._ml.capabilities(info.model_id)
            if info.model_id not in (None, model.model_id):
                return replace(asked, lack=hints.another_model(info.name, info.model_id, model.model_id))
            # What a model tells of likeness, it tells of cosines.
            is_cosine = info.distance == "Cosine"
            colours_from = model.colours_from if is_cosine and not model.supports_text else None
            vector = None
            if model.supports_text or colours_from is not None:
                text = asked.query.text
                vector = await self._ml.embed_text(text, dimension=info.dimension, model_id=info.model_id)
        except (MLUnavailableError, MLRejectedError) as error:
            log.warning("search-without-ml", reason=str(error))
            return replace(asked, lack=hints.AWAY)
        if vector is None:
            return replace(asked, lack=hints.no_text(info.name, is_ours=model.chooses_models))
        scale = TrainedScale.of(model.logit_scale, model.logit_bias) if is_cosine else None
        return replace(asked, text=vector, scale=scale, colours_from=colours_from)

    async def _found(self, collection: str, asked: _Asked, text: str, wanted: Wanted) -> Found:
        filters, limit = wanted["filters"], wanted["limit"]
        place = Place.of(
            wanted["cursor"], wanted["offset"], collection, text, filters, wanted["mode"], wanted["min_score"]
        )
        likely = None
        if wanted["cursor"] is None:
            likely = await self._likely(asked, filters)
            place = replace(place, least=asked.least(wanted["min_score"], likely))
        ranking = asked.ranking(place.least)
        total = place.total
        if total is None:
            total = await self._qdrant.count_query(asked.at, asked.query, ranking, filters)
        if asked.vectors or (ranking.by_words and asked.query.sought):
            order = await self._qdrant.ranked(asked.at, asked.query, ranking, count=place.reach(limit), filters=filters)
            shown, following = place.take(order, limit, total)
            hits = await self._qdrant.hits(asked.at, shown)
        else:
            hits, page = await self._qdrant.list_query(
                asked.at, asked.query, limit=place.offset + limit, cursor=place.page, filters=filters
            )
            hits, following = hits[place.offset :], replace(place, offset=0).listed(page, total)
        why = await self._why(asked, hits)
        clear = None if wanted["cursor"] else await self._standing_out(asked, filters)
        hint = asked.lack.text if asked.lack else None
        if not total:
            hint = await hints.of_nothing(
                self._qdrant, asked.at, asked.query, filters, lack=asked.lack, is_ours=asked.is_ours,
                by_colour=asked.colours_from is not None,
            )  # fmt: skip
        mode: Literal["semantic", "keywords"] = "semantic" if asked.vectors else "keywords"
        kind = asked.lack.kind if asked.lack else None
        return Found(hits, why, total, mode, following, likely, clear, hint, kind, asked.left)

    async def _why(self, asked: _Asked, hits: list[Hit]) -> list[Why]:
        ids = [hit.id for hit in hits]
        near = await self._qdrant.similarities(asked.at, asked.text, ids) if asked.text else {}
        if asked.colours_from is not None:
            near = {one: similarity for one, similarity in near.items() if similarity >= asked.colours_from}
        alike = await self._qdrant.similarities(asked.at, asked.like, ids) if asked.like else {}
        return [
            Why(
                words=reasons.of_words(asked.query, hit.payload) if asked.is_ours else (),
                meaning=near.get(hit.id),
                colour=asked.query.text if asked.colours_from is not None and hit.id in near else None,
                like=alike.get(hit.id),
                probability=asked.scale.probability(near[hit.id]) if asked.scale and hit.id in near else None,
            )
            for hit in hits
        ]

    async def _likely(self, asked: _Asked, filters: Filters) -> tuple[int, int] | None:
        """Count the pictures that a text surely fits, and perhaps, where the model was trained to tell it."""
        if asked.text is None or asked.scale is None:
            return None
        bounds = [asked.scale.cosine(bound) for bound in (likeness.SURE, likeness.MAYBE)]
        sure, all_of_them = await self._qdrant.count_near(asked.at, asked.query, asked.text, bounds, filters)
        return sure, all_of_them - sure

    async def _standing_out(self, asked: _Asked, filters: Filters) -> int | None:
        """Count the pictures that stand clear of the rest, where one vector is compared that nobody tells more of."""
        tells_more = asked.text is not None and (asked.scale is not None or asked.colours_from is not None)
        if len(asked.vectors) != 1 or tells_more:
            return None
        near = await self._qdrant.nearest(asked.at, asked.query, asked.vectors[0], filters)
        return standing_out(near)
