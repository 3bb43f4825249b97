"""Which changes are looked at, when, and in which folders."""

from hypothesis import given
from hypothesis import strategies as st

from rules.paths import is_within
from rules.watching import (
    LATEST_SECONDS,
    MOST_GATHERED_SECONDS,
    MOST_NAMED,
    OPEN_SECONDS,
    QUIET_SECONDS,
    Change,
    is_settled,
    may_be_open,
    merged,
    noted,
    ready,
    watches_to_allow,
)


def test_a_file_that_is_written_to_waits_until_it_is_quiet_or_for_too_long() -> None:
    change = noted(None, 100.0)
    assert not is_settled(change, 100.0 + QUIET_SECONDS / 2)
    again = noted(change, 100.5)
    assert again == Change(100.0, 100.5)
    assert not is_settled(again, 100.0 + QUIET_SECONDS)
    assert is_settled(again, 100.5 + QUIET_SECONDS)
    for_ever = Change(100.0, 100.0 + LATEST_SECONDS)
    assert is_settled(for_ever, 100.0 + LATEST_SECONDS)


def test_a_file_that_is_open_waits_for_longer_and_not_for_ever() -> None:
    assert may_be_open(Change(0, 0), OPEN_SECONDS - 1)
    assert not may_be_open(Change(0, 0), OPEN_SECONDS)
    assert not may_be_open(Change(0, LATEST_SECONDS), LATEST_SECONDS)


def test_one_picture_is_looked_at_as_soon_as_it_is_quiet() -> None:
    assert ready({b"/a": Change(0, 0)}, QUIET_SECONDS / 2) == []
    assert ready({b"/a": Change(0, 0)}, QUIET_SECONDS) == [b"/a"]


def test_a_burst_is_waited_for_and_a_trickle_is_not() -> None:
    burst = {f"/{number}".encode(): Change(number / 1000, number / 1000) for number in range(10_000)}
    assert ready(burst, 9.99) == []
    assert len(ready(burst, 10.0 + QUIET_SECONDS)) == 10_000
    trickle = {f"/{number}".encode(): Change(float(number), float(number)) for number in range(3)}
    assert ready(trickle, 2.5) == [b"/0", b"/1"]


def test_a_burst_that_does_not_end_is_looked_at() -> None:
    endless = {f"/{number}".encode(): Change(number / 1000, number / 1000) for number in range(60_000)}
    assert ready(endless, MOST_GATHERED_SECONDS + QUIET_SECONDS + 0.1)


def test_a_file_that_is_held_open_holds_no_other_up() -> None:
    changes = {b"/open": Change(0, 5.0, is_open=True), b"/a": Change(4.5, 4.5)}
    assert ready(changes, 4.5 + QUIET_SECONDS) == [b"/a"]


def test_many_paths_become_their_folders_and_at_last_the_source() -> None:
    few = [b"/s/a/1.jpg", b"/s/a/2.jpg", b"/s/b"]
    assert merged(few) == few
    many = [f"/s/a/{number}.jpg".encode() for number in range(MOST_NAMED + 1)]
    assert merged([*many, b"/s/b.jpg"]) == [b"/s/a", b"/s/b.jpg"]
    folders = [f"/s/{number}/a.jpg".encode() for number in range(MOST_NAMED + 1)]
    assert merged(folders) == [b"/s"]
    long = [b"/s/a/" + b"x" * 250 + b"/%d.jpg" % number for number in range(99)]
    assert merged(long) == [b"/s/a/" + b"x" * 250]
    assert merged([b"/s/a", b"/s/a/1.jpg"]) == [b"/s/a"]
    assert merged([b"/a", *(f"/{number}.jpg".encode() for number in range(200))]) == [b"/"]


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(lambda parts: "/s/" + "/".join(parts))))
def test_every_path_lies_in_what_is_named(texts: set[str]) -> None:
    paths = [text.encode() for text in texts]
    found = merged(paths)
    assert len(found) <= MOST_NAMED
    assert all(is_within(path, tuple(found)) for path in paths)
    assert all(not is_within(one, (other,)) for one in found for other in found if one is not other)


def test_the_number_of_watches_to_allow_has_room_for_all() -> None:
    assert watches_to_allow(8192, 20_000) == 32_768
    assert watches_to_allow(65_536, 1) == 131_072
