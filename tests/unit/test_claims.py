"""Who may send a content to ML, and what the others end as."""

from hypothesis import given
from hypothesis import strategies as st

from rules.claims import REMEMBERED_LOTS, Claim, Decision, decide, known_outcome


def test_the_first_file_of_a_content_embeds_it() -> None:
    assert decide(None, "f1", "lot", is_confirmed=False).action == "embed"


def test_its_owner_seen_again_embeds_it_again() -> None:
    assert decide(Claim(owner="f1"), "f1", "lot", is_confirmed=False).action == "embed"


def test_another_file_waits_even_where_it_was_stored_once() -> None:
    for is_confirmed in (False, True):
        assert decide(Claim(owner="f1"), "f2", "lot", is_confirmed=is_confirmed).action == "wait"


def test_a_known_content_is_written_without_ml() -> None:
    known = Claim(owner=None, firsts={"lot": "f1"})
    assert decide(known, "f1", "lot", is_confirmed=False) == Decision("write", "cached")
    assert decide(known, "f2", "lot", is_confirmed=False) == Decision("write", "duplicate")
    assert decide(known, "f3", "other lot", is_confirmed=False) == Decision("write", "cached")


def test_what_is_in_the_collection_already_is_unchanged() -> None:
    assert decide(Claim(owner=None), "f1", "lot", is_confirmed=True).action == "unchanged"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=30))
def test_each_lot_has_one_first_file_however_often_files_come(files: list[tuple[str, int]]) -> None:
    claim = Claim(owner=None)
    cached: dict[str, set[str]] = {}
    for lot, number in files:
        claim.remember_first(lot, f"{lot}{number}")
        if known_outcome(claim, f"{lot}{number}", lot) == "cached":
            cached.setdefault(lot, set()).add(f"{lot}{number}")
    firsts = {lot: f"{lot}{number}" for lot, number in reversed(files)}
    assert cached == {lot: {first} for lot, first in firsts.items()}


def test_the_oldest_lots_are_forgotten() -> None:
    claim = Claim(owner=None)
    for number in range(REMEMBERED_LOTS + 3):
        assert claim.remember_first(f"lot{number}", "f")
    assert list(claim.firsts) == [f"lot{number}" for number in range(3, REMEMBERED_LOTS + 3)]


def test_a_first_file_that_cannot_be_used_makes_room() -> None:
    claim = Claim(owner="f1", firsts={"lot": "f1", "other": "f9"})
    claim.forget_first("lot", "f2")
    claim.forget_first("other", "f1")
    assert claim.firsts == {"lot": "f1", "other": "f9"}
    claim.forget_first("lot", "f1")
    assert claim.remember_first("lot", "f2")
    assert claim.firsts == {"other": "f9", "lot": "f2"}


def test_claims_do_not_share_what_they_remember() -> None:
    Claim(owner=None).remember_first("lot", "f1")
    assert Claim(owner=None).firsts == {}


def test_who_waits_takes_over_once_the_owner_did_not_begin_again() -> None:
    claim = Claim(owner="f1")
    assert [claim.is_left_by_owner(begun, owners_job_has_ended=False) for begun in (1, 2, 3)] == [False, False, True]
    assert [claim.is_left_by_owner(begun, owners_job_has_ended=True) for begun in (1, 2, 3)] == [False, True, True]
    claim.own("f2", "lot", begun=3)
    assert not claim.is_left_by_owner(3, owners_job_has_ended=False)  # of the same round
    claim.begin_again(2)
    claim.begin_again(4)
    assert not claim.is_left_by_owner(5, owners_job_has_ended=False)
