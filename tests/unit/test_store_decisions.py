"""Which points a batch makes, which files change nothing, and what follows where Qdrant refuses."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CollectionMissingError, ContentError, FileError
from rules.outcomes import Outcome
from rules.payload import FIELDS_READ_BACK, Point
from rules.storing import Again, Asked, Fail, after_error, decide, looked_at_whole

VECTORS = {"p": [1.0, 0.0], "q": [0.0, 1.0]}


def asked(
    path: str,
    point: str = "p",
    *,
    iso: int = 100,
    read_at: float | None = None,
    outcome: Outcome = "cached",
    is_reread: bool = False,
) -> Asked:
    payload = {"filename": path[1:], "full_path": path, "paths": [path], "job_id": path, "iso": iso, "read_at": read_at}
    return Asked(f"id of {path}", path, Point(point, VECTORS[point], payload), outcome, is_reread)


class Store:
    """What Qdrant holds, as the stage reads and writes it. `cut`: how many files come into a batch."""

    def __init__(self, *files: Asked, cut: int = 1) -> None:
        self.points: dict[str, Point] = {}
        self.unchanged: list[str] = []
        for begin in range(0, len(files), cut):
            self.store(files[begin : begin + cut])

    def store(self, files: Sequence[Asked]) -> None:
        held = {id_: point for id_, point in self.points.items() if id_ in {one.point.id for one in files}}
        stored = {
            id_: {name: value for name, value in point.payload.items() if name in FIELDS_READ_BACK}
            for id_, point in held.items()
        }
        whole = {id_: held[id_] for id_ in looked_at_whole(files, stored) if id_ in held}
        listed = {
            one.file_id
            for one in files
            if one.may_be_stored and one.path in stored.get(one.point.id, {}).get("paths", ())
        }
        decided = decide(files, stored, whole, listed)
        self.unchanged += [one.path for one in files if one.file_id in decided.unchanged]
        for point in decided.points:
            paths = {*stored.get(point.id, {}).get("paths", ()), *point.payload["paths"]}
            self.points[point.id] = Point(point.id, point.vector, point.payload | {"paths": sorted(paths)})


# What a content's metadata says follows from when it was read.
readings = st.sampled_from([(None, 100), (1.0, 200), (2.0, 400)])
files = st.builds(
    lambda path, point, reading, outcome, is_reread: asked(
        path, point, read_at=reading[0], iso=reading[1], outcome=outcome, is_reread=is_reread
    ),
    st.sampled_from(["/a.jpg", "/b.jpg", "/c.jpg"]),
    st.sampled_from(["p", "q"]),
    readings,
    st.sampled_from(["stored", "cached", "duplicate"]),
    st.booleans(),
)


@given(st.lists(files, max_size=8), st.integers(2, 8))
def test_it_does_not_matter_how_files_come_into_batches(some: list[Asked], cut: int) -> None:
    one_by_one, together = Store(*some), Store(*some, cut=cut)
    assert together.points == one_by_one.points


@given(st.lists(files, min_size=1, max_size=6))
def test_a_batch_that_comes_again_changes_nothing(some: list[Asked]) -> None:
    store = Store(*some, cut=len(some))
    before = dict(store.points)
    store.store(some)
    assert store.points == before


@given(st.lists(files, min_size=1, max_size=8), st.integers(1, 8))
def test_no_path_and_no_later_reading_is_lost(some: list[Asked], cut: int) -> None:
    store = Store(*some, cut=cut)
    for point in {one.point.id for one in some}:
        of_point = [one for one in some if one.point.id == point]
        payload = store.points[point].payload
        assert payload["paths"] == sorted({one.path for one in of_point})
        assert payload.get("read_at") == max((one.point.payload["read_at"] for one in of_point), key=lambda at: at or 0)


def test_a_file_that_was_read_again_and_is_stored_so_is_unchanged() -> None:
    before = asked("/a.jpg", iso=100, read_at=1.0)
    again = asked("/a.jpg", iso=100, read_at=2.0, is_reread=True)
    assert Store(before, again).unchanged == ["/a.jpg"]


@pytest.mark.parametrize(
    "again",
    [
        asked("/a.jpg", iso=200, read_at=2.0, is_reread=True),
        asked("/a.jpg", iso=100, read_at=2.0),
        asked("/a.jpg", iso=100, read_at=2.0, is_reread=True, outcome="stored"),
        asked("/b.jpg", iso=100, read_at=2.0, is_reread=True),
    ],
    ids=["other metadata", "no reread", "ML was asked", "a new path"],
)
def test_a_file_that_changes_anything_is_not(again: Asked) -> None:
    store = Store(asked("/a.jpg", iso=100, read_at=1.0), again)
    assert store.unchanged == []
    assert store.points["p"].payload["read_at"] == 2.0


def test_of_one_batch_the_second_reading_is_compared_with_the_first() -> None:
    store = Store(asked("/a.jpg", iso=100), asked("/b.jpg", iso=100))
    again = [asked(path, iso=200, read_at=2.0, is_reread=True) for path in ("/a.jpg", "/b.jpg")]
    store.store(again)
    assert store.unchanged == ["/b.jpg"]
    assert store.points["p"].payload["iso"] == 200


def test_a_vector_that_was_another_is_written() -> None:
    store = Store(asked("/a.jpg", read_at=1.0))
    store.points["p"] = Point("p", [0.6, 0.8], store.points["p"].payload)
    store.store([asked("/a.jpg", read_at=2.0, is_reread=True)])
    assert (store.unchanged, store.points["p"].vector) == ([], [1.0, 0.0])


def test_what_is_compared_or_kept_is_read_whole_and_nothing_else() -> None:
    stored: dict[str, dict[str, Any]] = {"p": {"read_at": 2.0}, "q": {"read_at": 1.0}}
    assert looked_at_whole([asked("/a.jpg", "p", read_at=2.0), asked("/b.jpg", "q", read_at=2.0)], stored) == set()
    assert looked_at_whole([asked("/a.jpg", "p", read_at=1.0), asked("/b.jpg", "q", read_at=1.0)], stored) == {"p"}
    assert looked_at_whole([asked("/a.jpg", "q", read_at=2.0, is_reread=True)], stored) == {"q"}
    assert looked_at_whole([asked("/a.jpg", read_at=1.0)], {}) == set()


def test_a_batch_that_is_refused_is_halved_until_the_guilty_one_stands_alone() -> None:
    error = ContentError("a vector of another length")
    assert after_error([1, 2, 3], "home", "m", error) == Again(([1, 2], [3]))
    assert after_error([3], "home", "m", error) == Fail([3], error)


def test_all_files_of_a_collection_that_is_gone_fail_as_files() -> None:
    failed = after_error([1, 2], "home", "m", CollectionMissingError("home"))
    assert isinstance(failed, Fail)
    assert failed.items == [1, 2]
    assert isinstance(failed.error, FileError)
    assert "Collection home was deleted" in str(failed.error)
