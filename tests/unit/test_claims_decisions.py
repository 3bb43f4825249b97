"""What is decided where a worker was killed, or had lost the partition: what comes again, and rows left behind."""

from rules.claims.claim import Claim
from rules.claims.effects import Decode, DropWaiters, Effects, Finish, Flush, PutClaim, PutWaiter, Reread, Send
from rules.claims.events import Answered, Arrived, Cancelled, Ended, File, FileFailed, More, Promoted, SentOn
from rules.claims.machine import decide
from tests.unit.claims_world import Rows, World

A, B, C = ("j1", "1"), ("j1", "2"), ("j2", "3")
OWNED = Claim().owned_by("j11", "j1/c", begun=1)
PROMOTED = Claim().owned_by("j12", "j1/c", begun=1, promoted=2)
ANSWERED = Claim(firsts={"j1/c": "j11"})


def rows(claim: Claim | None, *waiting: int, content: bool = False) -> Rows:
    """Return the rows of a content that these files wait for: 1 is A, 2 is B, 3 is C."""
    world = World()
    world.known = {1: (A, 1), 2: (B, 1), 3: (C, 1)}
    world.rows = {("waiter", "A", number): True for number in waiting}
    if claim is not None:
        world.rows["claim", "A"] = claim
    if content:
        world.rows["content", "A"] = True
    return Rows(world, "A")


def file(number: int, path: tuple[str, str]) -> File:
    return File(number, "".join(path), f"{path[0]}/c")


def test_its_owner_seen_again_is_sent_again() -> None:
    assert decide(rows(None), Arrived(file(1, A))) == Effects((PutClaim(OWNED),), (Decode(1),))
    assert decide(rows(OWNED), Arrived(file(1, A))) == Effects((PutClaim(OWNED),), (Decode(1),))


def test_where_the_answer_is_there_nobody_owns_the_claim() -> None:
    state = rows(OWNED, content=True)  # a kill came between the row of the content and that of the claim
    assert decide(state, Arrived(file(3, C))).work == (Send(((3, "cached"),)),)
    assert decide(state, Arrived(file(3, C), is_confirmed=True)).work == (Finish((3,), "unchanged"),)
    assert decide(state, Arrived(file(1, A), rereads=True)).work == (Reread(1),)
    assert decide(rows(OWNED, 3, content=True), More(-1)).then == SentOn((3,))
    assert decide(state, FileFailed("j11")) == Effects()


def test_one_that_takes_over_owns_the_claim_before_it_waits_no_more() -> None:
    begun = Arrived(file(5, C), begun=3)
    claim = Claim().owned_by("j23", "j2/c", begun=3)
    assert decide(rows(OWNED, 2, 3), begun) == Effects((PutClaim(claim), DropWaiters((3,))), (Decode(5),))
    # Once more, after a kill between the two: it is the owner.
    assert decide(rows(claim, 2, 3), begun).work == (Decode(5),)
    # The message alone does not say that it begins again: it waits under this number because of it.
    assert decide(rows(OWNED, 2), begun).rows[0] == PutWaiter(5)


def test_one_that_is_promoted_is_cleared_only_when_it_is_on_its_way() -> None:
    effects = decide(rows(OWNED, 2, 3), FileFailed("j11"))
    assert effects == Effects((PutClaim(PROMOTED),), (Decode(2), Flush("embed", (2,))), Promoted(2))
    assert decide(rows(PROMOTED, 2, 3), FileFailed("j11")) == effects
    assert decide(rows(PROMOTED, 2, 3), Promoted(2)).rows == (
        PutClaim(PROMOTED.with_nobody_promoted()),
        DropWaiters((2,)),
    )


def test_a_claim_that_is_voided_while_its_owner_is_promoted_is_not_taken_from_it() -> None:
    effects = decide(rows(PROMOTED, 2, 3), FileFailed("j12", is_released=True))
    assert effects.work[0] == Decode(2)


def test_where_the_row_of_one_that_was_promoted_is_gone_the_next_one_is() -> None:
    assert decide(rows(PROMOTED, 3), FileFailed("j11")).work[0] == Decode(3)


def test_where_ml_has_answered_meanwhile_one_that_was_promoted_goes_on_without() -> None:
    answered = PROMOTED.answered()
    assert decide(rows(answered, 2, 3, content=True), FileFailed("j11")).work[0] == Send(((2, "cached"), (3, "cached")))
    # Not where that one failed by itself.
    failed = decide(rows(answered, 2, 3, content=True), FileFailed("j12"))
    assert failed == Effects((PutClaim(answered.with_nobody_promoted()), DropWaiters((2,))))


def test_one_that_is_promoted_is_not_skipped_with_its_job() -> None:
    assert decide(rows(PROMOTED, 2, 3), Cancelled((2, 3))) == Effects((), (Finish((3,), "skipped"),), Ended((3,)))
    assert decide(rows(PROMOTED, 2), Cancelled((2,))) == Effects()


def test_those_that_stand_before_the_last_go_on_too_as_where_the_topic_was_made_anew() -> None:
    assert decide(rows(ANSWERED, 1, 2, content=True), SentOn((2, 3))).work != ()
    assert decide(rows(ANSWERED, 1, content=True), More(3)).then == SentOn((1,))


def test_an_answer_is_taken_in_any_state() -> None:
    for claim in (None, OWNED, PROMOTED, ANSWERED):
        effects = decide(rows(claim, 3), Answered("j11", "j1/c"))
        assert effects.work[0] == Send(((3, "cached"),))
        assert effects.then == SentOn((3,))
