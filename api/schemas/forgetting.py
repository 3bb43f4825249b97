"""Bodies of requests and answers about pictures that are gone, or are to be forgotten."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from api.schemas.body import Body
from topics.files import Sha256
from topics.limits import MAX_PATH
from topics.source import SourceName


class GonePicture(BaseModel):
    """A picture whose last file has left."""

    id: str
    sha256: str
    filename: str
    path: str = Field(description="The last that it had.")
    gone_at: str = Field(description="When that left: ISO 8601.")
    purge_at: str | None = Field(description="When it is purged: ISO 8601 in UTC; null: never by itself.")
    kept: bool = Field(description="Whether someone wanted it kept longer.")


class GonePicturesAnswer(BaseModel):
    """A page of them, those that have gone last first. `next` is the cursor of the following page."""

    images: list[GonePicture]
    total: int
    next: str | None


class KeepBody(Body):
    """How much longer a picture that is gone is kept."""

    days: Annotated[int, Field(ge=1, le=36_500)] | None = Field(
        description="So many days more than is planned now; null: for good."
    )


MOST_IDS = 1000


class ChoiceBody(Body):
    """Pictures of a collection that are gone: some of them, or all."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS)] | None = None
    all: bool = Field(False, description="All that are gone of the collection.")

    @model_validator(mode="after")
    def _chooses(self) -> Self:
        if self.all == (self.ids is not None):
            raise ValueError("name ids, or say all")
        return self

    @property
    def points(self) -> list[str] | None:
        """Their ids; None: all."""
        return None if self.ids is None else list(dict.fromkeys(map(str, self.ids)))


class KeepManyBody(KeepBody, ChoiceBody):
    """How much longer pictures that are gone are kept."""


class KeptAnswer(BaseModel):
    """What is kept otherwise now. What is not gone, or not there, is not among it."""

    count: int
    images: list[GonePicture] = Field(description="Those that were named; none where all were meant.")


class ForgetBody(Body):
    """What is to be forgotten: a content, what lies at or below a path, what a source alone holds, or a collection.

    `collection` beside a content or a path: only there. Beside `ids` or `gone`: of that one.
    """

    content: Sha256 | None = Field(None, description="Its SHA-256.")
    path: Annotated[str, Field(max_length=MAX_PATH)] | None = Field(
        None, description="Absolute. Of a folder: all that lies below it."
    )
    source: SourceName | None = Field(None, description="The source is removed, too.")
    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_IDS)] | None = Field(
        None, description="Pictures of the collection."
    )
    gone: bool = Field(False, description="All pictures of the collection that are gone.")
    collection: str | None = None
    dry_run: bool = Field(False, description="Say what that is about, and do nothing.")

    @property
    def is_collection(self) -> bool:
        """Whether a whole collection is meant."""
        return all(one is None for one in (self.content, self.path, self.source, self.ids)) and not self.gone

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        named = [self.content, self.path, self.source, self.ids, self.gone or None]
        count = sum(one is not None for one in named)
        needs_collection = count == 0 or self.ids is not None or self.gone
        if count > 1 or (needs_collection and self.collection is None) or (self.source is not None and self.collection):
            raise ValueError(
                "name one: content, path, source, ids, gone or collection; collection may stand beside the first two, "
                "and must beside ids and gone"
            )
        return self


class StillInKafka(BaseModel):
    """A topic that holds messages about what was forgotten until, by its retention, it holds none of them any more."""

    topic: str
    until: str = Field(description="ISO 8601 in UTC.")


class Forgetting(BaseModel):
    """What is forgotten, within moments."""

    what: str = Field(description="For a person.")
    pictures: int = Field(description="Of a source: at most, as others may hold them, too.")
    collections: list[str]
    paths: list[str] = Field(description="The first hundred.")
    paths_total: int
    dead_letters: int
    kafka: list[StillInKafka]
    dry_run: bool


class UnforgetBody(Body):
    """What is to be taken in again: a content, what lies at a path, or all that was forgotten in a collection."""

    content: Sha256 | None = Field(None, description="Its SHA-256.")
    path: Annotated[str, Field(max_length=MAX_PATH)] | None = Field(
        None, description="Of the file, which is read for its content."
    )
    collection: str | None = Field(None, description="Default, beside one of the others: all.")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.content is not None and self.path is not None) or not (self.content or self.path or self.collection):
            raise ValueError("name one: content, path or collection; collection may stand beside the first two")
        return self


class Unforgetting(BaseModel):
    """What is taken in again."""

    what: str = Field(description="For a person.")
