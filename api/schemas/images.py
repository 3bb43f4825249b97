"""Bodies of requests and answers about stored pictures: lists, searches, and what looks alike."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from api.schemas.body import Body

SearchMode = Annotated[
    Literal["auto", "semantic", "keywords"],
    Field(description="What is compared: `auto` meaning and words, as far as the model knows text; or one of both."),
]
MinScore = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None,
    Field(
        description="An end: the least similarity to a text or picture; the least probability, where the model was "
        "trained to tell it; the least score where only words are looked up. What words find beside it stays. Left "
        "out: where the model says so, which is a probability of 0.05 if any picture has it, and much of a colour."
    ),
]


class Image(BaseModel):
    """A stored picture."""

    id: str
    payload: dict[str, Any]


class ImageDetails(Image):
    """A stored picture with all that is known of it."""

    paths_total: int = Field(description="How many files it has. `paths` names the first hundred.")


class ImagePaths(BaseModel):
    """A page of the files of a picture. `next` is the cursor of the following page."""

    paths: list[str]
    total: int
    next: str | None


class Images(BaseModel):
    """A page of pictures; the payloads are without their thumbnails. `next` is the cursor of the following page."""

    images: list[Image]
    total: int
    next: str | None


class RandomImages(BaseModel):
    """Some pictures, none twice."""

    images: list[Image]


class FacetValue(BaseModel):
    """One value of a payload field, and how many pictures have it."""

    value: str
    images: int


class Facet(BaseModel):
    """The values of a payload field, the most frequent first."""

    values: list[FacetValue]


class SearchBody(Body):
    """What to look for: a query, or pictures like a stored one (`image_id`), which itself is left out."""

    query: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=2000,
                description='As in the search box: words `"phrase"`, `-word`, `camera:`, `date:`, `like:ID` …',
                examples=["raptors in flight camera:canon date:2024-05..2024-08 -zoo"],
            ),
        ]
        | None
    ) = None
    image_id: UUID | None = None
    mode: SearchMode = "auto"
    min_score: MinScore = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0
    cursor: str | None = Field(
        None, description="`next` of the page before, in place of an offset: goes on to the end."
    )
    filters: dict[str, Any] = Field({}, description="As `filters` of `GET /images`, as an object.")
    collection: str | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.query is None) == (self.image_id is None):
            raise ValueError("say either what to look for (query), or like which picture (image_id)")
        return self


class HitReason(BaseModel):
    """Why a picture was found."""

    kind: Literal["word", "meaning", "colour", "like"]
    word: str | None = Field(None, description="Of the query; of a colour all of them.")
    field: str | None = Field(None, description="Of the payload, that has the word; also `folder` and `camera`.")
    value: str | None = Field(None, description="What stands in that field.")
    similarity: float | None = Field(None, description="Cosine of the vectors.")
    probability: float | None = Field(None, description="That the text fits, where the model was trained to tell it.")


class SearchHit(BaseModel):
    """A picture that was found; the payload is without its thumbnail."""

    id: str
    score: float = Field(
        description="What hits are sorted by: similarity (cosine), BM25 of the words, or from 0 to 1 where lists are "
        "fused: 1 is first in all of them."
    )
    filename: str
    payload: dict[str, Any]
    probability: float | None = Field(None, description="That the text fits, where the model was trained to tell it.")
    reasons: list[HitReason] = []


class Likely(BaseModel):
    """How many pictures a text fits, as a model that was trained to tell it says; each up to 1,000."""

    sure: int = Field(description="With a probability of 0.5 or more.")
    maybe: int = Field(description="With less, and 0.05 or more.")


class SearchResults(BaseModel):
    """A page of hits, best first. `mode` says whether meaning was compared, or only words were looked up."""

    results: list[SearchHit]
    total: int
    mode: Literal["semantic", "keywords"]
    next: str | None = Field(None, description="The cursor of the following page.")
    likely: Likely | None = None
    standing_out: int | None = Field(
        None,
        description="How many pictures are clearly nearer to the text or picture than all others, where the model was "
        "not trained to tell a probability. Null: their similarity falls evenly, so nothing is claimed.",
    )
    hint: str | None = Field(
        None, description="What would help, where nothing was found, or meaning could not be compared."
    )
    lacks: Literal["text-model", "same-model", "ml"] | None = Field(
        None,
        description="Why meaning was not compared: the model knows no text, is another than that of the collection, or "
        "ML is away. Null where it was, or nobody asked for it.",
    )
    pending: int = Field(
        0,
        description="Pictures of an earlier version that get their words now: until then only their captions and names "
        "are looked through.",
    )


class SimilarBody(Body):
    """Where to look for pictures that look alike, and how much alike."""

    collection: str | None = Field(None, description="Default: the active one.")
    threshold: Annotated[float, Field(ge=0.5, le=1)] = Field(
        0.95, description="Similarity of vectors from which on pictures count as alike; 1: the same.", examples=[0.97]
    )
    filters: dict[str, Any] = Field({}, description="Only among these; as `filters` of `GET /images`, as an object.")


class DuplicateImage(BaseModel):
    """A picture of a group; `score`: its similarity to the nearest one of the group. Its copies are in `paths`."""

    id: str
    score: float
    paths_total: int = Field(description="How many files it has. `paths` names the first hundred.")
    payload: dict[str, Any]


class DuplicateGroup(BaseModel):
    """Pictures that look alike, or (exact) one picture whose content lies at several paths."""

    kind: Literal["exact", "similar"]
    images: list[DuplicateImage]


class DuplicateReport(BaseModel):
    """A page of what was found; without groups while the search runs. `next` is the cursor of the following page."""

    report_id: str
    state: Literal["running", "done", "failed"]
    at: str | None = Field(None, description="When it was done.")
    message: str = ""
    collection: str | None = None
    threshold: float | None = None
    total_points: int
    read_points: int
    groups_total: int = 0
    groups: list[DuplicateGroup] = []
    next: str | None = None


class DuplicateReports(BaseModel):
    """The reports of a collection that are kept, the newest first, without their groups."""

    reports: list[DuplicateReport]
