"""Which requests ML may be asked, and what becomes of a batch that it refuses."""

from dataclasses import dataclass

import pytest

from core.errors import ContentError, FileError, MLOutOfMemoryError, MLUnavailableError
from rules.embedding import Again, Fail, after_error, answer_problem, dimension_problem, model_problem


@dataclass(frozen=True)
class File:
    path: str = "/photos/a.jpg"
    collection: str = "home"
    model_id: str = "clip"


@dataclass(frozen=True)
class Collection:
    model_id: str | None = "clip"
    dimension: int = 512


@pytest.mark.parametrize(
    ("offered", "collection", "problem"),
    [
        ("clip", Collection(), None),
        ("clip", None, None),
        ("siglip", Collection(), MLUnavailableError),
        ("siglip", Collection("siglip"), FileError),
        ("siglip", None, FileError),
    ],
    ids=["its model", "its model, collection gone", "another, its collection waits", "of no such collection", "none"],
)
def test_ml_is_waited_for_where_the_collection_is_of_the_model_that_a_file_asks_for(
    offered: str, collection: Collection | None, problem: type[Exception] | None
) -> None:
    assert type(model_problem(offered, File(), collection)) is (problem or type(None))


@pytest.mark.parametrize(
    ("collection", "waits"), [(Collection(), True), (Collection(dimension=3), False), (None, False)]
)
def test_vectors_of_another_length_than_those_of_the_collection_are_not_asked_for(
    collection: Collection | None, waits: bool
) -> None:
    assert isinstance(dimension_problem(3, "home", collection), MLUnavailableError) is waits


@pytest.mark.parametrize(("answered", "waits"), [("clip", False), (None, False), ("siglip", True)])
def test_an_answer_of_another_model_than_was_offered_is_not_used(answered: str | None, waits: bool) -> None:
    assert isinstance(answer_problem("clip", answered), MLUnavailableError) is waits


def test_a_batch_is_halved_until_the_guilty_one_stands_alone() -> None:
    error = ContentError("broken")
    assert after_error([1, 2, 3], error) == Again(([1, 2], [3]), None)
    assert after_error([3], error) == Fail(3)


@pytest.mark.parametrize(("count", "limit"), [(9, 4), (2, 1)])
def test_out_of_memory_bounds_the_batches_that_follow(count: int, limit: int) -> None:
    again = after_error(range(count), MLOutOfMemoryError("CUDA out of memory"))
    assert isinstance(again, Again)
    assert again.limit == limit
