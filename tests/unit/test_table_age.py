"""A local table that was away for longer than tombstones stay is made anew: a dropped claim would live again."""

from pathlib import Path

import pytest

from tables.age import NOTE, note, open_tables

DAY = 86_400.0
KEPT = 7 * DAY
NOW = 1_800_000_000.0


def tables(folder: Path) -> Path:
    database = folder / "v1" / "tables" / "known_images-0.db"
    database.mkdir(parents=True)
    return database


@pytest.mark.parametrize(
    ("last_used", "stays"),
    [(NOW - 60, True), (NOW - 3 * DAY, True), (NOW - 8 * DAY, False), (NOW - 4 * DAY, False), (NOW + 60, False)],
    ids=["now", "days ago", "too long ago", "in doubt", "by a clock that was ahead"],
)
def test_tables_stay_as_long_as_they_can_be_trusted(tmp_path: Path, last_used: float, stays: bool) -> None:
    database = tables(tmp_path)
    note(tmp_path, last_used)
    open_tables(tmp_path, now=NOW, newest=NOW - DAY, kept_seconds=KEPT)
    assert database.exists() is stays
    assert float((tmp_path / NOTE).read_text()) == NOW


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_tables_of_whose_last_use_nothing_is_known_are_made_anew(tmp_path: Path, text: str | None) -> None:
    """Such as those of version 0.1.0."""
    database = tables(tmp_path)
    if text is not None:
        (tmp_path / NOTE).write_text(text)
    open_tables(tmp_path, now=NOW, newest=0, kept_seconds=KEPT)
    assert not database.exists()


def test_a_clock_that_is_behind_kafkas_is_not_believed(tmp_path: Path) -> None:
    database = tables(tmp_path)
    note(tmp_path, NOW - 60)
    open_tables(tmp_path, now=NOW, newest=NOW + DAY, kept_seconds=KEPT)
    assert not database.exists()


def test_a_stage_without_tables_is_noted_and_nothing_else(tmp_path: Path) -> None:
    open_tables(tmp_path / "embed", now=NOW, newest=0, kept_seconds=KEPT)
    assert [path.name for path in (tmp_path / "embed").iterdir()] == [NOTE]
