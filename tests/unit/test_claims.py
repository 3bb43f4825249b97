"""The row of a claim: whose it is, who takes over, and who was first."""

from hypothesis import given
from hypothesis import strategies as st

from rules.claims.claim import REMEMBERED_SCOPES, Claim


def test_its_form_is_that_of_the_rows_that_there_are() -> None:
    row = b'{"owner":"f2","owner_lot":"j1/c","begun":1,"promoted":7,"firsts":{"j1/c":"f1"}}'
    claim = Claim.model_validate_json(row)
    assert claim.row() == row
    assert Claim(firsts={"j1/c": "f1"}).owned_by("f2", "j1/c", begun=1, promoted=7) == claim
    # A row of version 0.1.0.
    assert Claim.model_validate_json('{"owner":"f1","firsts":{"j1/c":"f1"}}').scope_of_owner == "j1/c"


def test_the_first_file_of_a_job_with_a_known_content_is_cached() -> None:
    known = Claim(firsts={"scope": "f1"})
    assert known.known_outcome("scope", "f1") == "cached"
    assert known.known_outcome("scope", "f2") == "duplicate"
    assert known.known_outcome("other scope", "f3") == "cached"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=30))
def test_each_lot_has_one_first_file_however_often_files_come(files: list[tuple[str, int]]) -> None:
    claim = Claim()
    cached: dict[str, set[str]] = {}
    for scope, number in files:
        claim = claim.with_first(scope, f"{scope}{number}")
        if claim.known_outcome(scope, f"{scope}{number}") == "cached":
            cached.setdefault(scope, set()).add(f"{scope}{number}")
    firsts = {scope: f"{scope}{number}" for scope, number in reversed(files)}
    assert cached == {scope: {first} for scope, first in firsts.items()}


def test_the_oldest_lots_are_forgotten() -> None:
    claim = Claim()
    for number in range(REMEMBERED_SCOPES + 3):
        claim = claim.with_first(f"scope{number}", "f")
    assert list(claim.firsts) == [f"scope{number}" for number in range(3, REMEMBERED_SCOPES + 3)]


def test_a_first_file_that_cannot_be_used_makes_room() -> None:
    claim = Claim(owner="f1", owner_lot="scope", firsts={"scope": "f1", "other": "f9"})
    left = claim.without_owner_as_first()
    assert left.firsts == {"other": "f9"}
    assert claim.firsts == {"scope": "f1", "other": "f9"}
    assert left.with_first("scope", "f2").firsts == {"other": "f9", "scope": "f2"}
    waited = Claim(owner="f2", owner_lot="scope", firsts={"scope": "f1"})
    assert waited.without_owner_as_first() == waited


def test_who_waits_takes_over_once_the_owner_did_not_begin_again() -> None:
    claim = Claim(owner="f1")
    assert [claim.is_left_by_owner(begun, owners_job_has_ended=False) for begun in (2, 3)] == [False, True]
    assert claim.is_left_by_owner(2, owners_job_has_ended=True)
    claim = claim.owned_by("f2", "scope", begun=3)
    assert not claim.is_left_by_owner(3, owners_job_has_ended=False)  # of the same round
    claim = claim.begun_again(2).begun_again(4)
    assert not claim.is_left_by_owner(5, owners_job_has_ended=False)
