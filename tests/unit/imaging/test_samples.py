"""The sample album is what the demo promises."""

import os
from collections import Counter
from pathlib import Path

import pytest

from cli.samples import make_samples
from core.errors import ContentError
from imaging.formats import is_listed
from imaging.hashing import hash_file
from imaging.prepared import Prepared
from tests.unit.imaging.preparing import prepared


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    make_samples(folder)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_album_has_every_kind_of_file(album: Path) -> None:
    results: dict[Path, Prepared] = {}
    broken: list[str] = []
    for path in files(album):
        assert is_listed(os.fsencode(path))
        try:
            results[path] = prepared(path)
        except ContentError:
            broken.append(path.name)
    known = [result.metadata for result in results.values()]

    assert 55 <= len(files(album)) <= 65
    assert sorted(broken) == ["garbage.png", "shopping list.jpg", "truncated.jpg"]
    assert {"JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "HEIF", "AVIF", "DNG"} == {one.format for one in known}
    assert {one.orientation for one in known} == {None, *range(1, 9)}
    assert sum(one.gps is not None for one in known) == 10
    assert sum(one.taken_at is not None for one in known) > 30
    contents = Counter(hash_file(os.fsencode(path))[0] for path in results)
    assert contents.most_common(2)[0][1] == 6, "one picture and its five copies"
    assert contents.most_common(2)[1][1] == 1, "all others differ"


def test_second_run_changes_nothing_and_mends_what_is_missing(album: Path) -> None:
    before = {path: (hash_file(os.fsencode(path))) for path in files(album)}
    missing = [album / "formats/phone 0.heic", album / "raw/DSC_0001.dng", album / "travel/日本/富士山.jpg"]
    for path in missing:
        path.unlink()
    make_samples(album)
    after = {path: (hash_file(os.fsencode(path))) for path in files(album)}
    assert {path: sha256 for path, (sha256, _) in after.items()} == {
        path: sha256 for path, (sha256, _) in before.items()
    }
    assert {path for path in after if after[path] != before[path]} == set(missing)
