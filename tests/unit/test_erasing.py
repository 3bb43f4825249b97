"""What is decided as pictures leave for good."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.claims.claim import Claim
from rules.erasing import Word, goes, is_known_no_more
from rules.gone import FOR_GOOD, keep_until, purge_at

GONE = "2026-01-01T00:00:00+00:00"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("point", "is_purged"),
    [
        ({"gone_at": GONE, "paths": []}, True),
        ({"gone_at": "2026-02-01T00:00:00+00:00", "paths": []}, False),
        ({"paths": ["/a"]}, False),
        ({"gone_at": GONE, "paths": ["/a"]}, False),
        ({"gone_at": GONE, "paths": [], "keep_until": "2026-03-02T00:00:00+00:00"}, False),
        ({"gone_at": GONE, "paths": [], "keep_until": "2026-03-01T01:00:00+01:00"}, True),
        ({"gone_at": GONE, "paths": [], "keep_until": FOR_GOOD.isoformat()}, False),
        ({"paths": []}, False),
    ],
    ids=["gone", "gone-again", "there", "came-back", "kept", "kept-until-now", "kept-for-good", "archived"],
)
def test_only_what_is_gone_as_it_is_meant_is_purged(point: dict[str, Any], is_purged: bool) -> None:
    assert goes("purge", GONE, NOW.timestamp(), point) is is_purged
    assert goes("forget", None, NOW.timestamp(), point)
    # It may be of a collection that was made anew.
    assert not goes("collection", None, NOW.timestamp(), point)


@given(MOMENTS, MOMENTS, st.lists(st.one_of(st.none(), st.integers(1, 36_500)), max_size=4), st.floats(0.1, 36_500))
def test_who_keeps_a_picture_longer_keeps_it_longer(
    gone_at: datetime, now: datetime, asked: list[int | None], after_days: float
) -> None:
    payload: dict[str, Any] = {"gone_at": gone_at.isoformat()}
    before = purge_at(payload, after_days)
    for days in asked:
        payload["keep_until"] = keep_until(payload, after_days, days, now).isoformat()
        after = purge_at(payload, after_days)
        if days is None or before is None:
            assert after is None
        else:
            assert after is None or after >= max(before, now) + timedelta(days=days)
        before = after


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=12))
def test_a_word_that_comes_again_says_nothing_new(said: list[tuple[int, bool]]) -> None:
    """Of words in any order, some repeated by a kill: one that a later word has undone changes nothing."""
    word: Word | None = None
    for at, forgets in said:
        if forgets:
            if word is None or word.forgotten(at):
                word = Word(at, is_forgotten=True)
        elif word is not None and word.is_forgotten:
            word = Word(max(at, word.at), is_forgotten=False)
        if word is not None:
            assert Word.read(word.row()) == word
            if not word.is_forgotten:
                assert not word.forgotten(word.at)


KNOWN = Claim(firsts={"j/c": "f"})


def test_a_file_that_comes_takes_the_leave_from_a_claim() -> None:
    leaving = KNOWN.model_copy(update={"leaving": "c"})
    assert Claim.model_validate_json(leaving.row()) == leaving
    assert leaving.with_first("j/c", "f2") == KNOWN
    assert leaving.with_first("j2/d", "f2").leaving is None
    assert leaving.owned_by("f2", "j2/d", 1).leaving is None


@pytest.mark.parametrize("claim", [KNOWN.model_copy(update={"leaving": "c"}), None], ids=["leaving", "no-claim"])
def test_what_nobody_holds_is_known_no_more(claim: Claim | None) -> None:
    nothing = {"has_paths": False, "has_waiters": False}
    assert is_known_no_more(claim, "c", "m", [], **nothing)
    assert is_known_no_more(claim, "c", "m", ["other"], **nothing)
    assert not is_known_no_more(claim, "c", "m", ["m"], **nothing)
    assert not is_known_no_more(claim, "c", "m", [], **nothing | {"has_paths": True})
    assert not is_known_no_more(claim, "c", "m", [], **nothing | {"has_waiters": True})


@pytest.mark.parametrize(
    "claim",
    [
        KNOWN,
        KNOWN.model_copy(update={"leaving": "another"}),
        KNOWN.owned_by("f2", "j2/d", 1).model_copy(update={"leaving": "c"}),
    ],
    ids=["a-file-came", "it-leaves-another", "on-its-way"],
)
def test_what_somebody_wants_stays_known(claim: Claim) -> None:
    assert not is_known_no_more(claim, "c", "m", [], has_paths=False, has_waiters=False)
