"""Whether hash reads a file, and what follows from what it holds."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ContentError, FileError
from rules.hashing import (
    STILL_SECONDS,
    Arrived,
    Effects,
    Fail,
    HandOn,
    LetGo,
    Look,
    Remember,
    Skip,
    arrived,
    failed,
    found,
    go_together,
    seconds_until_still,
    seen_by_outcome,
)


@dataclass(frozen=True)
class Content:
    sha256: str


OLD, NEW = Content("0" * 64), Content("1" * 64)
files = st.builds(
    Arrived,
    st.just("/photos/a.jpg"),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([None, OLD, NEW]),
    st.sampled_from([None, OLD.sha256, NEW.sha256]),
)


def taken(file: Arrived[Content], holds: Content | None) -> Effects[Content]:
    """Return what becomes of a file that `holds` this, or that cannot be read."""
    begins = arrived(file)
    if not isinstance(begins, Look):
        return begins
    if holds is None:
        return failed(file, ContentError("broken"), "broken")
    return found(file, holds)


@pytest.mark.parametrize(
    ("file", "begins"),
    [
        (Arrived("a"), Look(trusts_stamp=True)),
        (Arrived("a", held=OLD), Look(trusts_stamp=True)),
        (Arrived("a", attempt=2, held=OLD), Look(trusts_stamp=False)),
        (Arrived("a", is_cancelled=True, held=OLD), (Skip("job cancelled"),)),
        (
            Arrived("a", attempt=2, is_cancelled=True, held=OLD),
            (Skip("job cancelled"), LetGo(OLD, "its job was cancelled")),
        ),
    ],
    ids=["new", "known", "begins again", "cancelled", "cancelled, begins again"],
)
def test_whether_a_file_is_looked_at(file: Arrived[Content], begins: object) -> None:
    assert arrived(file) == begins


@pytest.mark.parametrize(
    ("file", "effects"),
    [
        (Arrived("a"), (HandOn(NEW), Remember(NEW))),
        (Arrived("a", held=NEW), (HandOn(NEW), Remember(NEW))),
        (Arrived("a", held=OLD), (HandOn(NEW), Remember(NEW))),
        (Arrived("a", 2, held=NEW), (HandOn(NEW), Remember(NEW))),
        (Arrived("a", 2, held=OLD), (HandOn(NEW), LetGo(OLD, "its content has changed"), Remember(NEW))),
        (Arrived("a", wanted=NEW.sha256), (HandOn(NEW), Remember(NEW))),
    ],
    ids=["new", "known", "changed", "begins again", "begins again, changed", "as it is stored"],
)
def test_what_follows_from_what_a_file_holds(file: Arrived[Content], effects: Effects[Content]) -> None:
    assert found(file, NEW) == effects


def test_a_file_that_is_read_again_and_is_another_picture_fails() -> None:
    (fail,) = found(Arrived("/photos/a.jpg", wanted=OLD.sha256), NEW)
    assert isinstance(fail, Fail)
    assert isinstance(fail.error, FileError)
    assert "/photos/a.jpg holds another picture" in str(fail.error)


@given(files, st.sampled_from([None, OLD, NEW]))
def test_a_file_ends_here_or_goes_on_once(file: Arrived[Content], holds: Content | None) -> None:
    effects = taken(file, holds)
    assert [type(effect) for effect in effects if isinstance(effect, Skip | Fail | HandOn)] == [type(effects[0])]


@given(files, st.sampled_from([None, OLD, NEW]))
def test_who_begins_again_holds_no_claim_but_on_what_goes_on(file: Arrived[Content], holds: Content | None) -> None:
    """Nobody else would end it: its copies would wait for ever. On a first attempt nothing is said of it."""
    effects = taken(file, holds)
    let_go = [effect.held for effect in effects if isinstance(effect, LetGo)]
    lost = file.attempt > 1 and file.held is not None and HandOn(file.held) not in effects
    assert let_go == ([file.held] if lost else [])


@given(files, st.sampled_from([None, OLD, NEW]))
def test_what_is_remembered_is_what_goes_on(file: Arrived[Content], holds: Content | None) -> None:
    effects = taken(file, holds)
    for effect in effects:
        if isinstance(effect, Remember):
            assert HandOn(effect.content) in effects


@given(files)
def test_what_goes_on_as_one_would_go_on_unread_alone(file: Arrived[Content]) -> None:
    if go_together(file) and file.held is not None:
        assert taken(file, file.held) == (HandOn(file.held), Remember(file.held))


@pytest.mark.parametrize(
    ("first", "together"),
    [
        (Arrived("a"), True),
        (Arrived("a", attempt=2), False),
        (Arrived("a", is_cancelled=True), False),
        (Arrived("a", wanted=OLD.sha256), False),
    ],
    ids=["first attempt", "another", "cancelled", "to be read again"],
)
def test_which_files_go_on_as_one(first: Arrived[Content], together: bool) -> None:
    assert go_together(first) is together


@pytest.mark.parametrize(
    ("walk", "counted", "said"), [("w", True, "w"), ("w", False, None), (None, True, None), (None, False, None)]
)
def test_an_outcome_says_that_a_file_was_seen_where_its_walk_is_counted(
    walk: str | None, counted: bool, said: str | None
) -> None:
    assert seen_by_outcome(walk, is_counted=counted) == said


@pytest.mark.parametrize(
    ("age", "seconds"),
    [(60.0, 0.0), (STILL_SECONDS, 0.0), (0.2, STILL_SECONDS - 0.2), (0.0, STILL_SECONDS), (-60.0, STILL_SECONDS)],
)
def test_a_file_is_watched_until_it_has_kept_still(age: float, seconds: float) -> None:
    assert seconds_until_still(age) == pytest.approx(seconds)
