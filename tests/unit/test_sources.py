"""When a source is looked at, and what is read of its topics."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestError
from rules.sources import (
    CLOCKS_DIFFER_SECONDS,
    due,
    following,
    in_words,
    name_for,
    overtakes,
    scheduled_job,
    seconds_of,
)
from topics.files import JOB_ID
from topics.source import LEAST_SECONDS, MOST_SECONDS, SOURCE_NAME

times = st.floats(0, 4e9)
everies = st.integers(LEAST_SECONDS, MOST_SECONDS)


@pytest.mark.parametrize(
    ("every", "done", "now", "moment"),
    [
        (None, None, 100.0, 100.0),  # as it is added
        (None, 100.0, 1e6, None),  # and never again by itself
        (60, None, 100.0, 100.0),
        (60, 100.0, 159.9, None),
        (60, 100.0, 160.0, 160.0),
        (60, 160.0, 219.0, None),
        (60, 160.0, 100.0 + 3600, 100.0 + 3600),  # an hour of outage is made up for once
        (60, 100.0 + 3600, 100.0 + 3601, None),
        (60, 90.0, 100.0, 100.0),  # it was changed
        (60, None, 40.0, 100.0),  # this clock is behind Kafka's
        (60, 220.0, 219.0, None),  # another's is ahead of this one, as clocks are
        (60, 9e10, 165.0, 160.0),  # ... and as one that was wrong
        (None, 9e10, 165.0, 100.0),
        (60, 100.0, 10.0, None),
    ],
)
def test_a_source_is_looked_at_when_it_is_due(every: int | None, done: float | None, now: float, moment: float) -> None:
    assert due(100.0, every, done, now) == moment


@given(times, everies, times, st.lists(st.tuples(st.floats(0, 1e6), st.floats(-25, 25)), min_size=1, max_size=20))
def test_each_time_is_acted_on_once_however_often_one_looks(
    wanted_at: float, every: int, now: float, looks: list[tuple[float, float]]
) -> None:
    done: float | None = None
    acted: list[float] = []
    for later, off in looks:
        now += later
        moment = due(wanted_at, every, done, now + off)  # clocks differ
        if moment is not None:
            acted.append(moment)
            done = moment
            assert due(wanted_at, every, done, now + off) is None
    assert acted == sorted(set(acted))
    assert acted[0] >= wanted_at


@given(times, everies, st.lists(times, min_size=1, max_size=20))
def test_a_clock_that_was_wrong_holds_up_no_look(wanted_at: float, every: int, looks: list[float]) -> None:
    done: float | None = None
    for now in looks:
        moment = due(wanted_at, every, done, now)
        done = done if moment is None else moment
        assert done is not None
        assert now - every <= max(done, now - every) <= max(now, wanted_at) + CLOCKS_DIFFER_SECONDS
        assert due(wanted_at, every, done, now) is None


@given(times, everies, times)
def test_the_next_time_is_the_one_that_is_acted_on_then(wanted_at: float, every: int, now: float) -> None:
    after = following(wanted_at, every, now)
    assert after is not None
    assert after > now or after == wanted_at
    acted = due(wanted_at, every, None, after)
    assert acted == pytest.approx(after, abs=every * 1e-6)
    assert following(wanted_at, None, now) is None


@given(st.from_regex(SOURCE_NAME, fullmatch=True), times)
def test_the_job_of_a_time_has_one_name(name: str, moment: float) -> None:
    job_id = scheduled_job(name, moment)
    assert job_id == scheduled_job(name, moment)
    assert re.match(JOB_ID, job_id)


def test_the_job_of_a_time_says_when_that_was() -> None:
    moment = datetime(2026, 11, 28, 22, 15, 30, 250_000, UTC).timestamp()
    assert scheduled_job("home", moment) == "sync-home-20261128T221530250"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("6h", 21_600), ("1d", 86_400), ("2w", 1_209_600), (" 6 H ", 21_600)],
)
def test_times_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds
    assert seconds_of(in_words(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "6x", "-1h", "1.5h", "6h 30m", "\u0661h"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(RequestError, match="such as 30m, 6h or 1d"):
        seconds_of(text)


def test_a_source_is_called_as_its_folder() -> None:
    assert name_for("/home/ann/Photos", set()) == "Photos"
    assert name_for("/home/bob/Photos/", {"Photos"}) == "Photos-2"
    assert name_for("/mnt/Ferien Süd 2024", set()) == "Ferien-S-d-2024"
    assert name_for("/", set()) == "source"
    assert name_for("/mnt/日本", {"source"}) == "source-2"


@given(st.text(max_size=80), st.sets(st.sampled_from(["a", "source", "source-2", "a-2"])))
def test_any_folder_has_a_name_that_is_free(folder: str, taken: set[str]) -> None:
    name = name_for(f"/{folder}", taken)
    assert re.match(SOURCE_NAME, name)
    assert name not in taken


@pytest.mark.parametrize(
    ("newer", "older", "sees_all"),
    [
        (["/p"], ["/p"], True),
        (["/p"], ["/p/a", "/p/b/c.jpg"], True),
        (["/p/a"], ["/p/a", "/p/b"], False),
        (["/p/a"], ["/p"], False),
        (["/p/a"], ["/p/ab"], False),
        (["/p/b", "/p/a"], ["/p/a/"], True),
    ],
)
def test_a_look_takes_over_what_it_sees_all_of(newer: list[str], older: list[str], sees_all: bool) -> None:
    assert overtakes(newer, older) is sees_all
