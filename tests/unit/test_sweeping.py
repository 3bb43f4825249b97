"""What a sweep looks at: the disk, the paths that are in work, and the message that asks for a step."""

import asyncio
import os
from pathlib import Path

import pytest

from agents.hash import absence, brought
from agents.hash.absence import Absence
from agents.hash.brought import Brought
from agents.hash.in_work import InWork
from agents.leaving_out import Chosen
from agents.mounted import mounted_at
from core.errors import InvalidMessageError
from rules.departures import Guard, Seen
from rules.leaving_out import Patterns
from tables.fingerprints import holds_one
from topics.sweep import BEHIND, Sweep, read_sweep


def look(folder: Path, *names: str, exclude: tuple[str, ...] = ()) -> list[Seen] | Guard:
    root = bytes(folder)
    chosen = Chosen(Patterns(exclude), Patterns(()), frozenset({root}))
    return Absence(root, None, chosen, mounted_at(str(folder))).look([os.fsencode(folder / name) for name in names])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2024" / "private").mkdir(parents=True)
    for name in ("a.jpg", "2024/b.jpg", "2024/private/c.jpg"):
        (folder / name).touch()
    return folder


def test_what_is_there_gone_and_left_out(photos: Path) -> None:
    names = ("a.jpg", "2024/b.jpg", "2024/private/c.jpg", "A.jpg", "2024/none.jpg", "2023/x/y.jpg", "a.jpg/below.jpg")
    assert look(photos, *names) == ["there", "there", "there", "gone", "gone", "gone", "gone"]
    assert look(photos, *names[:3], exclude=("private/",)) == ["there", "there", "excluded"]
    (photos / "2024" / ".darkroomignore").write_text("b*\n")
    assert look(photos, *names[:3]) == ["there", "excluded", "there"]


def test_listings_that_are_given_up_are_made_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "MOST_NAMES", 0)
    names = ("a.jpg", "2024/b.jpg", "z.jpg", "2024/private/c.jpg", "2024/none.jpg")
    assert look(photos, *names) == ["there", "there", "gone", "there", "gone"]


@pytest.mark.parametrize(("held", "is_one"), [((), True), (("now",), True), (("now", "before"), False)])
def test_a_row_tells_whether_it_holds_what_was_replaced(held: tuple[str, ...], is_one: bool) -> None:
    known = [["home", sha256, ["album"]] for sha256 in held]
    row = {"size": 1, "mtime_ns": 1, "ctime_ns": 1, "sha256": "now"} | ({"held": known} if known else {})
    assert holds_one(row) == is_one


def test_names_are_compared_byte_for_byte(photos: Path) -> None:
    (photos / "e\u0301.jpg").touch()
    assert look(photos, "e\u0301.jpg", "\u00e9.jpg") == ["there", "gone"]


def test_a_folder_in_the_place_of_a_file_is_none(photos: Path) -> None:
    (photos / "d.jpg").mkdir()
    assert look(photos, "d.jpg") == ["gone"]


def test_behind_a_link_that_leads_nowhere_nothing_is_gone(photos: Path, tmp_path: Path) -> None:
    (photos / "disk").symlink_to(tmp_path / "unplugged")
    assert look(photos, "disk/a.jpg", "disk/2024/b.jpg") == ["unread", "unread"]
    (tmp_path / "unplugged").mkdir()
    assert look(photos, "disk/a.jpg", "disk/2024/b.jpg") == ["gone", "gone"]


def test_a_deep_path_is_looked_at(photos: Path) -> None:
    assert look(photos, "x/" * 1200 + "a.jpg") == ["gone"]


def test_of_a_folder_that_is_empty_or_away_nothing_is_said(tmp_path: Path) -> None:
    assert look(tmp_path, "a.jpg") == Guard("empty", f"{tmp_path} is empty")
    away = look(tmp_path / "none", "a.jpg")
    assert (isinstance(away, Guard) and away.code, "cannot be read" in str(away)) == ("unreadable", True)


def test_on_another_mount_nothing_is_said(photos: Path) -> None:
    root = bytes(photos)
    known = [mount._replace(source="another disk") for mount in mounted_at(str(photos))]
    found = Absence(root, None, Chosen(named=frozenset({root})), known).look([root + b"/none.jpg"])
    assert (isinstance(found, Guard) and found.code, "on another mount" in str(found)) == ("changed", True)


def test_of_what_a_walk_brought_only_rows_that_have_changed_since_are_looked_at() -> None:
    known = Brought()
    rows = [(b"/a", b"1"), (b"/b", b"1"), (b"/c", b"1")]
    known.note("walk", rows[:2])
    assert known.others("walk", rows) == rows[2:]
    assert known.others("walk", [(b"/a", b"2"), (b"/b", b"1")]) == [(b"/a", b"2")]
    assert known.others("other", rows) == rows


def test_what_walks_brought_is_remembered_of_the_newest_and_never_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(brought, "MOST", 3)
    known = Brought()
    rows = [(b"/%d" % number, b"1") for number in range(5)]
    known.note("old", rows[:2])
    known.note("new", rows[:1])
    assert known.others("old", rows) == rows[2:]
    known.note("new", rows[1:3])
    assert (known.others("old", rows), known.others("new", rows)) == (rows, rows[3:])
    known.note("new", rows[3:])
    assert known.others("new", rows) == rows[3:]


def test_walks_that_brought_next_to_nothing_are_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brought, "MOST_WALKS", 2)
    known = Brought()
    row = (b"/a", b"1")
    for walk_id in ("old", "new", "newest"):
        known.note(walk_id, [])
        known.note(walk_id, [row])
    assert [known.others(walk_id, [row]) for walk_id in ("old", "new", "newest")] == [[row], [], []]


async def test_paths_in_work_are_known_from_the_begin_of_a_step() -> None:
    in_work = InWork()
    early, late, behind, twice = [b"/early", b"/both"], [b"/late"], [b"/behind"], [b"/both"]
    in_work.begin(early)
    in_work.begin(twice)
    in_work.end(twice)
    with in_work.watched() as seen:
        in_work.end(early)
        in_work.begin(late)
        in_work.end(late)
    in_work.begin(behind)
    assert seen == {b"/early", b"/both", b"/late"}

    async def fails() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await in_work.until_done(behind, fails())
    with in_work.watched() as none:
        await asyncio.sleep(0)
    assert none == set()


def test_steps_that_go_on_at_once_know_of_the_same_paths() -> None:
    in_work = InWork()
    other, late = [b"/other"], [b"/late"]
    in_work.begin(other)
    with in_work.watched() as first:
        with in_work.watched() as second:
            assert second == first
        in_work.begin(late)
    assert first == {b"/other", b"/late"}


def test_a_step_says_how_far_it_is_and_is_no_end_marker() -> None:
    sweep = Sweep(job_id="j", walk_id="w", source="home", collection="photos", folder="/photos")
    step = sweep.behind(b"/photos/\xff.jpg", departed=2, unread=1).behind(b"/photos/z.jpg", departed=1)
    assert (step.departed, step.unread) == (3, 1)
    assert read_sweep(step.headers()) == step
    assert step.after_key == b"/photos/z.jpg"
    end = [("job_id", b"j"), ("walk_id", b"w"), sweep.header_of_end()]
    assert read_sweep(end) is None
    assert read_sweep(end, BEHIND) == sweep
    assert read_sweep([*step.headers(), ("replay", b"true")]) is None
    with pytest.raises(InvalidMessageError):
        read_sweep([("sweep", sweep.model_copy(update={"after": "!"}).model_dump_json().encode())])
