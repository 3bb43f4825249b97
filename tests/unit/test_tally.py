"""What leaves of one content, counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.departures import Reason
from rules.tally import Tallied, tally

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
    assert tally(leaving, stays) == counted


@given(
    st.dictionaries(paths, reasons, min_size=1, max_size=4).map(lambda found: list(found.items())),
    st.lists(st.tuples(paths, st.booleans()), max_size=4),
)
def test_each_path_that_leaves_is_counted_once(
    leaving: list[tuple[bytes, Reason]], stays: list[tuple[bytes, bool]]
) -> None:
    found = tally(leaving, stays)
    assert found.moved + found.gone + found.replaced + found.excluded == len(leaving)
    assert found.lost <= (not {path for path, _ in stays} - {path for path, _ in leaving})
