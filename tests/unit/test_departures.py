"""What leaves a collection as a source is looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.departures import PLAIN, Held, Leaves, Seen, departing, former, held_too, needs_yes

names = st.sampled_from(["home", "away", PLAIN])
held = st.builds(
    Held,
    st.sampled_from(["photos", "other"]),
    st.sampled_from(["a", "b", "c"]),
    st.lists(names, min_size=1, max_size=3, unique=True).map(tuple),
)
rows = st.lists(held, max_size=4, unique_by=lambda one: (one.collection, one.sha256)).map(tuple)
looks: st.SearchStrategy[Seen] = st.sampled_from(["there", "gone", "excluded", "unread"])


@pytest.mark.parametrize(
    ("before", "seen", "leaves", "after"),
    [
        (("home",), "there", None, ("home",)),
        (("home",), "gone", "gone", None),
        (("home", PLAIN), "gone", "gone", None),  # absence ends every hold
        (("home",), "excluded", "excluded", None),
        (("home", "away"), "excluded", None, ("away",)),  # exclusion ends one
        ((PLAIN,), "excluded", None, (PLAIN,)),
        (("home",), "unread", None, ("home",)),
    ],
)
def test_what_was_last_read_of_a_path(
    before: tuple[str, ...], seen: Seen, leaves: str | None, after: tuple[str, ...] | None
) -> None:
    found = departing([Held("photos", "a", before)], seen, "a", collection="photos", source="home")
    assert [one.reason for one in found.leaves] == ([leaves] if leaves else [])
    assert [one.by for one in found.held] == ([after] if after else [])


def test_a_content_that_the_path_has_no_more_is_replaced_whoever_holds_it() -> None:
    before = [Held("photos", "old", ("home", PLAIN)), Held("photos", "new", (PLAIN,)), Held("other", "old", (PLAIN,))]
    found = departing(before, "there", "new", collection="photos", source="home")
    assert found.leaves == (Leaves("photos", "old", "replaced"),)
    assert found.held == (before[1], before[2])


@given(rows, looks, st.sampled_from(["a", "b", "c"]))
def test_nothing_is_lost_between_what_leaves_and_what_stays(before: tuple[Held, ...], seen: Seen, now: str) -> None:
    found = departing(before, seen, now, collection="photos", source="home")
    left, stays = {one[:2] for one in found.leaves}, {one[:2] for one in found.held}
    assert not left & stays
    assert left | stays == {one[:2] for one in before}
    assert all(collection == "photos" for collection, _ in left)
    # Doing it twice is doing it once.
    again = departing(found.held, seen, now, collection="photos", source="home")
    assert again.leaves == ()
    assert again.held == found.held


@given(rows, held)
def test_what_is_handed_on_is_held_once(before: tuple[Held, ...], new: Held) -> None:
    after = held_too(before, new.collection, new.sha256, new.by[0])
    if after is None:
        after = before
    assert held_too(after, new.collection, new.sha256, new.by[0]) is None
    [one] = [one for one in after if one[:2] == new[:2]]
    assert new.by[0] in one.by
    assert {one[:2] for one in after} == {one[:2] for one in before} | {new[:2]}


@pytest.mark.parametrize(
    ("pictures", "lost", "lately", "held"),
    [
        (100_000, 0, 5000, False),
        (100_000, 1000, 0, False),
        (100_000, 1001, 0, True),
        (100_000, 500, 501, True),
        (1000, 200, 0, False),
        (1000, 201, 0, True),
        (100, 10, 0, False),
        (100, 20, 0, False),
        (100, 21, 0, True),
        (20, 10, 0, False),
        (20, 11, 0, True),
        (3, 3, 0, False),  # so few are not asked about
        (499, 11, 0, False),
    ],
)
def test_many_removals_wait_for_a_yes(pictures: int, lost: int, lately: int, held: bool) -> None:
    assert needs_yes(pictures, lost, lately) is held


@pytest.mark.parametrize(
    ("held", "was", "found"),
    [
        ((), "a", "a"),  # a row of version 0.1.0
        ((), None, None),
        ((), "new", None),
        ((Held("photos", "b", ("home",)),), "a", "a"),  # what was read last counts
        ((Held("photos", "a", ("home",)), Held("photos", "new", ("home",))), "new", "a"),  # a kill repeats it
        ((Held("photos", "a", ("home",)), Held("other", "new", (PLAIN,))), "new", "a"),  # another job saw it first
        ((Held("other", "a", (PLAIN,)), Held("photos", "new", ("home",))), "new", None),
    ],
)
def test_what_a_path_held_before_an_edit(held: tuple[Held, ...], was: str | None, found: str | None) -> None:
    assert former(held, was, "new", "photos") == found
