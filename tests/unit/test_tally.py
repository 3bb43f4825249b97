"""What leaves of one content, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.departures import Reason
from rules.tally import Leaver, Tallied, leavers, tally

paths = st.sampled_from([b"/a", b"/b", b"/c", b"/d"])
reasons: st.SearchStrategy[Reason] = st.sampled_from(["gone", "replaced", "excluded"])


@pytest.mark.parametrize(
    ("leaving", "stays", "counted"),
    [
        ([(b"/a", "gone")], [], Tallied(gone=1, lost=1)),
        ([(b"/a", "gone")], [(b"/b", True)], Tallied(moved=1)),
        ([(b"/a", "gone")], [(b"/b", False)], Tallied(gone=1)),  # a copy was there before
        ([(b"/a", "gone"), (b"/b", "gone")], [(b"/c", True)], Tallied(moved=1, gone=1)),  # one to one
        ([(b"/a", "gone")], [(b"/a", False)], Tallied(gone=1, lost=1)),  # its own row stands still
        ([(b"/a", "replaced")], [], Tallied(replaced=1)),  # an edit is no loss
        ([(b"/a", "excluded")], [], Tallied(excluded=1, lost=1)),
        ([(b"/a", "replaced"), (b"/b", "gone")], [], Tallied(replaced=1, gone=1, lost=1)),
        ([(b"/a", "gone")], [(b"/b", True), (b"/b", True)], Tallied(moved=1)),  # under two models
    ],
)
def test_a_content(leaving: list[tuple[bytes, Reason]], stays: list[tuple[bytes, bool]], counted: Tallied) -> None:
    assert tally(leavers(leaving, stays)) == counted


@given(
    st.dictionaries(paths, reasons, min_size=1, max_size=4).map(lambda found: list(found.items())),
    st.lists(st.tuples(paths, st.booleans()), max_size=4),
)
def test_each_path_that_leaves_is_counted_once(
    leaving: list[tuple[bytes, Reason]], stays: list[tuple[bytes, bool]]
) -> None:
    named = leavers(leaving, stays)
    assert sorted(one.path for one in named) == sorted(path for path, _ in leaving)
    assert all((one.way == "moved") == (one.to is not None) for one in named)
    found = tally(named)
    assert found.moved + found.gone + found.replaced + found.excluded == len(leaving)
    assert found.lost <= (not {path for path, _ in stays} - {path for path, _ in leaving})


def test_who_is_asked_sees_where_each_file_went_and_which_pictures_have_none_then() -> None:
    moved = leavers([(b"/old/2", "gone"), (b"/old/1", "gone"), (b"/old/3", "gone")], [(b"/new/1", True), (b"/b", True)])
    assert moved == [
        Leaver(b"/old/1", "moved", b"/b"),
        Leaver(b"/old/2", "moved", b"/new/1"),
        Leaver(b"/old/3", "gone"),
    ]
    lost = leavers([(b"/a", "gone"), (b"/b", "excluded"), (b"/c", "replaced")], [])
    assert [(one.path, one.is_lost) for one in lost] == [(b"/a", True), (b"/b", True), (b"/c", False)]
