"""Previews on disk: what is kept, in which order it goes, and what a kill may leave."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from api.images.preview_store import PreviewStore
from api.uploads.room import Room

Open = Callable[..., PreviewStore]


def jpeg(letter: bytes, size: int = 1000) -> bytes:
    return b"\xff\xd8" + letter * (size - 4) + b"\xff\xd9"


@pytest.fixture
def open_store(tmp_path: Path) -> Open:
    """Give a function that opens the folder as a service does at its start."""

    def opened(max_bytes: int = 3000, reserve: int = 0) -> PreviewStore:
        return PreviewStore(tmp_path / "previews", max_bytes, Room(tmp_path, reserve))

    return opened


def held(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "previews").iterdir())


def test_those_not_looked_at_for_longest_go_first(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    for name in ("a", "b", "c"):
        store.put(name, jpeg(name.encode()))
    assert store.get("a") == jpeg(b"a")
    store.put("d", jpeg(b"d"))
    assert (held(tmp_path), store.get("b")) == (["a", "c", "d"], None)
    store.put("e", jpeg(b"e", 2000))
    assert held(tmp_path) == ["d", "e"]


def test_the_order_and_the_bound_outlive_a_restart(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    for second, name in enumerate(("a", "b", "c")):
        store.put(name, jpeg(name.encode()))
        os.utime(tmp_path / "previews" / name, (second, second))
    store.get("a")
    again = open_store(max_bytes=2000)
    assert (again.get("b"), again.get("a"), held(tmp_path)) == (None, jpeg(b"a"), ["a", "c"])


def test_what_a_kill_left_is_no_preview(open_store: Open, tmp_path: Path) -> None:
    open_store().put("a", jpeg(b"a"))
    (tmp_path / "previews" / "a").write_bytes(jpeg(b"a")[:500])
    (tmp_path / "previews" / "tmp1234.part").write_bytes(jpeg(b"b")[:500])
    store = open_store()
    assert (store.get("a"), held(tmp_path)) == (None, [])
    store.put("a", jpeg(b"a"))
    assert store.get("a") == jpeg(b"a")


def test_one_that_somebody_removed_is_made_again(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.put("a", jpeg(b"a"))
    (tmp_path / "previews" / "a").unlink()
    assert store.get("a") is None


@pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"max_bytes": 999}, {"reserve": 1 << 60}])
def test_nothing_is_kept_where_there_is_no_room(open_store: Open, tmp_path: Path, limits: dict[str, int]) -> None:
    store = open_store(**limits)
    store.put("a", jpeg(b"a"))
    assert store.get("a") is None
    assert held(tmp_path) == []


def test_a_folder_that_cannot_be_used_keeps_nobody_from_a_picture(open_store: Open, tmp_path: Path) -> None:
    (tmp_path / "previews").write_bytes(b"no folder")
    store = open_store()
    store.put("a", jpeg(b"a"))
    assert store.get("a") is None
