"""Bodies of requests and answers about stored pictures: lists, searches, and what looks alike."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from api.schemas.body import Body


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
    """What to look for: words (`query`), or pictures like a stored one (`image_id`), which itself is left out."""

    query: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    image_id: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0
    filters: dict[str, Any] = Field({}, description="As `filters` of `GET /images`, as an object.")
    collection: str | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.query is None) == (self.image_id is None):
            raise ValueError("say either what to look for (query), or like which picture (image_id)")
        return self


class SearchHit(BaseModel):
    """A picture that was found; the payload is without its thumbnail."""

    id: str
    score: float
    filename: str
    payload: dict[str, Any]


class SearchResults(BaseModel):
    """A page of hits, best first. `mode` says whether meaning was compared, or words were looked up."""

    results: list[SearchHit]
    total: int
    mode: Literal["semantic", "keywords"]


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
