"""Which paths of a content stand in its point."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from rules.many_paths import MAX_PATHS, divide, entry_id, listed
from rules.paths import end_of

numbers = st.sets(st.integers(0, 300))


def paths(some: set[int]) -> list[str]:
    return [f"/{number}.jpg" for number in some]


@given(numbers, st.sets(st.integers(0, 300), max_size=MAX_PATHS), st.integers(0, 300))
def test_none_is_lost_and_the_point_keeps_what_it_holds(wanted: set[int], known: set[int], first: int) -> None:
    held, others = divide(paths(wanted), paths(known), f"/{first}.jpg")
    assert (sorted(held), sorted(others)) == (held, others)
    assert {*held, *others} == {*paths(wanted)}
    assert len(held) + len(others) == len(wanted)
    assert len(held) == min(len(wanted), MAX_PATHS)
    assert {*paths(known & wanted)} <= {*held}


def test_the_first_file_of_a_long_list_stays_in_the_point() -> None:
    long = [f"/{number:03}.jpg" for number in range(MAX_PATHS + 50)]
    for known in (long, []):
        held, others = divide(long, known, long[120])
        assert held == [*long[:99], long[120]]
        assert others == [*long[99:120], *long[121:]]
    # But it takes no place of another: who reads the point meanwhile would find neither.
    assert divide([*long[:100], "/new.jpg"], long[:100], "/new.jpg") == (long[:100], ["/new.jpg"])


def test_a_path_has_one_entry_in_each_list() -> None:
    names = {entry_id(name, path) for name in ("one", "other") for path in ("/a.jpg", "/b.jpg") for _ in range(2)}
    assert len(names) == 4
    assert all(str(uuid.UUID(name)) == name for name in names)


def test_what_other_programs_wrote_is_no_path() -> None:
    assert listed({"paths": ["/a", 5, None]}) == ["/a"]
    assert listed({"paths": "/a"}) == listed({}) == []


def test_uploads_are_known_by_job_number_and_name() -> None:
    assert end_of("/data/uploads/job/3/a.jpg") == "job/3/a.jpg"
    assert end_of("/a.jpg") == "/a.jpg"
