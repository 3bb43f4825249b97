"""The models on this machine, by names that lead nowhere else."""

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
