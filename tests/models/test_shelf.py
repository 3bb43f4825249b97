"""The models on this machine, by names that lead nowhere else."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import FatalError
from embedded.models.shelf import BUILT_IN, Shelf
from tests.models import colours


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path / "data")
    colours.write(shelf.at("colours"))
    (shelf.folder / ".fetching/other/parts").mkdir(parents=True)  # as an earlier try leaves it
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/mine.jpg").write_text("mine")
    return shelf


@pytest.mark.parametrize(
    "name", ["..", "../..", ".", "", ".fetching", "/{photos}", "../../photos", "colours/..", "a b"]
)
def test_what_is_no_name_of_a_model_is_refused_and_removes_nothing(shelf: Shelf, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    wanted = name.replace("/{photos}", str(tmp_path / "photos"))
    assert not shelf.has(wanted)
    for use in (shelf.remove, shelf.partly, shelf.choose, shelf.begin, shelf.manifest):
        with pytest.raises(FatalError, match="is no name of a model"):
            use(wanted)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != ".lock"] == before


def test_what_comes_along_has_no_files(shelf: Shelf) -> None:
    with pytest.raises(FatalError, match="visual has no files: it comes along"):
        shelf.remove(BUILT_IN)
    shelf.choose(BUILT_IN)
    assert shelf.in_use(None) is None


def test_folders_that_are_no_models_are_passed_over(shelf: Shelf) -> None:
    colours.write(shelf.folder / "of my own")
    (shelf.folder / "empty").mkdir()
    assert list(shelf.all()) == ["colours"]


def test_how_much_of_a_model_is_here_is_told_while_its_files_move(shelf: Shelf) -> None:
    """A page that asks while one comes got an error, and asked no more."""

    def come_and_go() -> None:
        for _ in range(200):
            parts, made = shelf.fetching("other") / "parts", shelf.fetching("other") / "model"
            for folder in (parts, made):
                folder.mkdir(parents=True, exist_ok=True)
            for number in range(5):
                (parts / f"{number}.incomplete").write_bytes(b"part")
                (parts / f"{number}.incomplete").rename(made / str(number))
            shutil.rmtree(shelf.fetching("other"))

    with ThreadPoolExecutor(1) as thread:
        moving = thread.submit(come_and_go)
        told = {shelf.partly("other")}
        while not moving.done():
            told.add(shelf.partly("other"))
        moving.result()
    assert min(told) == 0 < max(told)
