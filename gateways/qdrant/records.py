"""What Qdrant holds, as the rest of Darkroom sees it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rules.collections import generation


@dataclass(frozen=True, slots=True)
class Storage:
    """How a collection is kept.

    `quantization`: `int8` where vectors are held in eight bits too, by which candidates are found; `none`; or another
    kind, which somebody else chose. `warnings`: what Qdrant says of it, such as what it does not follow.
    """

    vectors_on_disk: bool = False
    payload_on_disk: bool = True
    quantization: str = "none"
    warnings: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class CollectionInfo:
    """A collection. `model_id` and `incarnation` are None where it was made by someone else.

    `number`: of the generation that this tells of. `former`: models that the collection was of before. `distance`: how
    vectors are compared, as Qdrant names it.
    """

    name: str
    points: int
    dimension: int
    model_id: str | None
    incarnation: str | None
    storage: Storage = Storage()
    number: int = 1
    former: tuple[str, ...] = ()
    distance: str = "Cosine"

    @property
    def at(self) -> str:
        """The address of this generation: what is asked of that is asked of no other."""
        return generation(self.name, self.number)


@dataclass(frozen=True)
class BoundCollection(CollectionInfo):
    """A collection whose vectors are known to be of a model."""

    model_id: str


@dataclass(frozen=True)
class ListedPoint:
    """A point as lists show it: no vector, and the payload without its thumbnail."""

    id: str
    payload: dict[str, Any]


class Ranked(NamedTuple):
    """A place in the order of hits."""

    id: str
    score: float


@dataclass(frozen=True)
class Hit(ListedPoint):
    """A record that a search found; `score` is what hits are sorted by."""

    score: float
