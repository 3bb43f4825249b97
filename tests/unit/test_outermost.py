"""Of the folders of a request, those that are walked."""

import os
from pathlib import Path

import pytest

from agents.scan.planning import outermost
from core.errors import RequestError


def test_a_folder_inside_another_is_not_walked_twice(tmp_path: Path) -> None:
    for name in ("a/b/c", "a-b", "d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "d/e.jpg").touch()
    sources = [f"{tmp_path}/{name}" for name in ("a/b", "d/e.jpg", "a", "a-b", "a/b/c", "d", "d/", "a/../d", "a/b")]
    assert outermost(sources) == [os.fsencode(tmp_path / name) for name in ("a", "a-b", "d")]
    assert outermost([*sources, "//"]) == [b"/"]


def test_two_slashes_in_front_are_one(tmp_path: Path) -> None:
    assert outermost([f"/{tmp_path}"]) == [os.fsencode(tmp_path)]


@pytest.mark.parametrize("source", ["photos", "./photos", ""])
def test_a_path_that_is_not_absolute_is_refused(source: str) -> None:
    with pytest.raises(RequestError, match="is not an absolute path"):
        outermost([source])


@pytest.mark.parametrize("name", ["gone", "file/inside", "nul\0"])
def test_a_missing_one_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=f"/{name} does not exist"):
        outermost([str(tmp_path), f"{tmp_path}/{name}"])
