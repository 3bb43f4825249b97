"""Bodies of requests and answers about collections."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas.body import Body


class CollectionBody(Body):
    """The name of a collection."""

    name: str


class StorageBody(Body):
    """How a collection is to be kept; what is left out stays, and of a new collection is as the settings say."""

    vectors_on_disk: bool | None = Field(
        None, description="Vectors are read from disk when they are compared, in place of being held in memory."
    )
    payload_on_disk: bool | None = Field(
        None,
        description="What is known of a picture is read from disk when it is shown; what is filtered by is in memory.",
    )
    quantization: Literal["none", "int8"] | None = Field(
        None,
        description="`int8`: vectors are held in eight bits too, in memory; candidates are found by these, and "
        "compared by the whole vectors.",
    )


class NewCollectionBody(CollectionBody):
    """A collection that is to be made."""

    storage: StorageBody = StorageBody()


class Storage(BaseModel):
    """How Qdrant keeps a collection."""

    vectors_on_disk: bool
    payload_on_disk: bool
    quantization: str = Field(description="`none`, `int8`, or another kind that somebody else chose.")
    warnings: list[str] = Field(description="What Qdrant says of it, such as what it does not follow.")


class MergeBody(Body):
    """Collections to be put together."""

    sources: Annotated[list[str], Field(min_length=1, max_length=100)]
    target: str = Field(description="Created if it is new; else it keeps what it has.")

    @model_validator(mode="after")
    def _target_is_no_source(self) -> Self:
        if self.target in self.sources:
            raise ValueError("the target is one of the sources")
        return self


class FromSelectionBody(Body):
    """Pictures that are to be in a collection of their own too."""

    name: str = Field(description="The collection; created if it is new, else added to.")
    ids: Annotated[list[UUID], Field(min_length=1, max_length=10_000)]
    source: str | None = Field(None, description="The collection that they are in. Default: the active one.")


class ReembedBody(Body):
    """Which model makes the new vectors of a collection."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str | None = Field(None, max_length=255, description="As `darkroom models list` names it.")
    model_id: str | None = Field(None, max_length=255, description="Or the id that its vectors have.")
    caption: bool = Field(False, description="Ask ML for captions too.")
    accept_failed: bool = Field(
        False,
        description="Let the new vectors serve though some pictures could not be embedded: these keep all else, and "
        "words and dates find them. By default the former vectors serve on then.",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.model is None) == (self.model_id is None):
            raise ValueError("name the model, by model or by model_id")
        return self


class CacheClearBody(Body):
    """Whose contents the dedupe cache forgets."""

    collection: str | None = Field(None, description="Default: the active one.")
    force: bool = Field(
        False,
        description="Also contents that a file was to be sent to ML for and never came back: files that wait for one "
        "take over. While ML has it in hand all the same, it sees it twice.",
    )


class Collection(BaseModel):
    """A collection; `model_id` is null where another program made it.

    `points`: pictures; without those that are `gone`, as all their files have left.
    """

    model_config = ConfigDict(protected_namespaces=())

    name: str
    points: int
    gone: int
    dimension: int
    model_id: str | None
    storage: Storage


class CollectionDetails(Collection):
    """A collection; `incarnation` tells it from one deleted and created again under the same name.

    `filling`: the model that it is being embedded anew with, and how many points have vectors of that (`filled`).
    """

    incarnation: str | None
    active: bool
    filling: str | None = None
    filled: int = 0


class CollectionCheck(Collection):
    """What the points of a collection lack, counted.

    `of_model`: with a vector of the collection's model. `from_thumbnail`: embedded from what was kept, as their files
    were gone. `archived`: none of whose files is listed any more. `filling`: the model that the collection is being
    embedded anew with, and how many points have vectors of it.
    """

    of_model: int
    without_caption: int
    from_thumbnail: int
    archived: int
    filling: str | None = None
    filled: int = 0


class Collections(BaseModel):
    """All collections, by name."""

    collections: list[Collection]
    selected: str | None = Field(description="The active one, where somebody chose it (`POST /collections/select`).")


class ActiveCollection(BaseModel):
    """The collection for requests that name none. It need not exist yet: the first job creates it."""

    name: str
