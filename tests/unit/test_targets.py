"""The one way to have a collection to write to: which model and dimension it gets, and when ML is asked for them."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import MLUnavailableError, RequestError
from core.settings import Settings
from gateways.ml import Capabilities
from gateways.qdrant import BoundCollection, CollectionInfo, Storage
from gateways.targets import Targets

NEW = None
FOREIGN = CollectionInfo("c", 7, 512, None, None)
OURS = BoundCollection("c", 7, 768, "model-a", "incarnation")


class Qdrant:
    """Knows one collection, or none, and notes what is asked of it."""

    def __init__(self, known: CollectionInfo | None) -> None:
        self.known = known
        self.other: BoundCollection | None = None
        self.asked: list[tuple[str, int]] = []

    async def collection(self, _: str) -> CollectionInfo | None:
        return self.known

    async def of_model(self, *_: object) -> BoundCollection | None:
        return self.other

    async def ensure_collection(
        self, name: str, *, model_id: str, dimension: int, distance: str, storage: Storage
    ) -> BoundCollection:
        assert (distance, storage) == ("Cosine", Storage())
        self.asked.append((model_id, dimension))
        return BoundCollection(name, 0, dimension, model_id, "incarnation")


async def offered() -> Capabilities:
    return Capabilities("model-b", embedding_dim=1024)


async def away() -> Capabilities:
    raise MLUnavailableError("ML is away.")


async def unwanted() -> Capabilities:
    raise AssertionError("ML need not be asked")


async def ensured(
    known: CollectionInfo | None, ml: Any, *wanted: Any, settings: Settings | None = None
) -> tuple[str, int]:
    qdrant: Any = Qdrant(known)
    await Targets(qdrant, settings or Settings(qdrant_vector_size=64), ml).ensure("c", *wanted)
    asked: tuple[str, int]
    [asked] = qdrant.asked
    return asked


@pytest.mark.parametrize(
    ("known", "ml", "wanted", "expected"),
    [
        pytest.param(NEW, unwanted, ("model-c", 128), ("model-c", 128), id="new, all is named"),
        pytest.param(NEW, offered, (), ("model-b", 1024), id="new, of the model that ML runs"),
        pytest.param(NEW, offered, ("model-b",), ("model-b", 1024), id="new, of a model that ML runs"),
        pytest.param(NEW, offered, ("model-c",), ("model-c", 64), id="new, of a model that ML does not run"),
        pytest.param(NEW, away, ("model-c",), ("model-c", 64), id="new, while ML is away"),
        pytest.param(FOREIGN, offered, (), ("model-b", 1024), id="made by others"),
        pytest.param(OURS, unwanted, (), ("model-a", 768), id="there, of its own model"),
        pytest.param(OURS, unwanted, ("model-a",), ("model-a", 768), id="there, of the same model"),
        pytest.param(OURS, unwanted, ("model-b",), ("model-b", 768), id="there, of another model: Qdrant's to refuse"),
        pytest.param(OURS, unwanted, ("model-a", 5), ("model-a", 5), id="there, of another dimension: likewise"),
    ],
)
async def test_model_and_dimension(
    known: CollectionInfo | None, ml: Any, wanted: tuple[Any, ...], expected: tuple[str, int]
) -> None:
    assert await ensured(known, ml, *wanted) == expected


async def test_a_former_model_is_the_present_one_and_one_that_is_on_its_way_has_a_place() -> None:
    followed = replace(OURS, former=("model-0",))
    assert await ensured(followed, unwanted, "model-0", 5) == ("model-a", 768)
    qdrant: Any = Qdrant(followed)
    qdrant.other = BoundCollection("c", 1, 7, "model-b", "i", number=2)
    assert await Targets(qdrant, Settings(), unwanted).ensure("c", "model-b") == qdrant.other


async def test_while_ml_is_away_the_settings_name_the_model_of_a_new_one() -> None:
    settings = Settings(ml_model_id="model-s", qdrant_vector_size=32)
    assert await ensured(NEW, away, settings=settings) == ("model-s", 32)


async def test_where_nobody_can_tell_the_model_ml_is_needed() -> None:
    with pytest.raises(MLUnavailableError):
        await ensured(NEW, away)


async def test_a_wrong_name_is_told_before_anybody_is_asked() -> None:
    qdrant: Any = Qdrant(NEW)
    with pytest.raises(RequestError) as error:
        await Targets(qdrant, Settings(), unwanted).ensure("../etc")
    assert error.value.status == 422
    assert qdrant.asked == []
