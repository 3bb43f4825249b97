"""What becomes of those that wait, when a claim ends: they go on a few at a time, fail with it, or one takes over."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from rules.claims.claim import Claim
from rules.claims.effects import (
    Decode,
    DropClaim,
    DropContent,
    DropWaiters,
    Effects,
    FailWithContent,
    Finish,
    Flush,
    PutAnswer,
    PutClaim,
    PutPath,
    Row,
    Send,
    Tell,
    Work,
)
from rules.claims.events import (
    Answered,
    ContentFailed,
    Ended,
    FailedToo,
    File,
    FileFailed,
    More,
    Promoted,
    SentOn,
)
from rules.claims.state import State, claim_of

# However many wait, so many go on in one step: bounds its time, and its memory.
WAITERS_AT_ONCE = 100


def answered(state: State, event: Answered) -> Effects:
    """Remember the answer, and let those that wait go on. Accepted in any state.

    Nobody waits for this content any more once that is written. A kill before all are sent on leaves this message, or
    the one that asks for the next few, unacked.
    """
    claim = (state.claim or Claim()).answered().with_first(event.scope, event.file_id)

    def rows(claim: Claim) -> tuple[Row, ...]:
        if not event.is_outdated:
            return (PutAnswer(claim, event.is_stored),)
        return (PutClaim(claim), PutPath()) if event.is_stored else (PutClaim(claim),)

    return _send_on(state, claim, -1, rows)


def more(state: State, after: int) -> Effects:
    """Let the next few go on whose content is known."""
    claim = claim_of(state) or Claim()
    if claim.owner is not None:
        return Effects()  # the content was forgotten meanwhile: they wait for its new owner
    if state.has_content:
        return _send_on(state, claim, after)
    return _next_owner(state, claim)


def _only(claim: Claim) -> tuple[Row, ...]:
    return (PutClaim(claim),)


def _send_on(state: State, claim: Claim, after: int, rows: Callable[[Claim], tuple[Row, ...]] = _only) -> Effects:
    """Let the next few go to Qdrant; `rows`: what to write, by the claim as it is then."""
    waiting, cancelled = _next(state, after, claim.promoted)
    files = []
    for file in waiting:
        claim = claim.with_first(file.scope, file.file_id)
        files.append((file.number, claim.known_outcome(file.scope, file.file_id)))
    work: tuple[Work, ...] = _skip(cancelled)
    if files:
        work += (Send(tuple(files)), Flush("store", tuple(number for number, _ in files)))
    numbers = _numbers(*waiting, *cancelled)
    return Effects(rows(claim), work, SentOn(numbers) if numbers else None)


def sent_on(state: State, numbers: tuple[int, ...]) -> Effects:
    """Clear those that went on, and ask for the next few."""
    more = (Tell(More(numbers[-1])),) if _is_left(state, numbers) else ()
    return Effects((DropWaiters(numbers),), more)


def content_failed(state: State, event: ContentFailed) -> Effects:
    """Fail the next few with their content. After the last the claim goes."""
    claim = claim_of(state)
    if claim is None or claim.owner != event.file_id:
        return Effects()
    waiting, cancelled = _next(state, event.after, claim.promoted)
    work: tuple[Work, ...] = _skip(cancelled)
    if waiting:
        work += (FailWithContent(_numbers(*waiting)),)
    return Effects(work=work, then=FailedToo(event.file_id, _numbers(*waiting, *cancelled)))


def failed_too(state: State, event: FailedToo) -> Effects:
    """Clear those that failed, and ask for the next few; behind the last, end the claim."""
    rows: tuple[Row, ...] = (DropWaiters(event.numbers),) if event.numbers else ()
    if _is_left(state, event.numbers):
        last = event.numbers[-1] if event.numbers else -1
        return Effects(rows, (Tell(ContentFailed(event.owner, last)),))
    claim = claim_of(state)
    return Effects((*rows, DropClaim()) if claim is not None and claim.owner == event.owner else rows)


def file_failed(state: State, event: FileFailed) -> Effects:
    """Let the next file own the claim, where the one that failed did; finish what a kill has cut off of that."""
    claim = claim_of(state)
    if claim is None:
        return Effects()
    if claim.owner == event.file_id and not (event.is_released and claim.promoted is not None):
        return _next_owner(state, claim.begun_again(event.begun).without_owner_as_first())
    if claim.promoted is None:
        return Effects()
    promoted = state.waiter(claim.promoted)
    if promoted is not None and promoted.file_id == event.file_id and not event.is_released:
        return Effects(_nobody_promoted(claim, claim.promoted))  # ML has answered meanwhile, for another
    # A kill has cut off what this event began: the file that was promoted may not be on its way to ML.
    if claim.owner is None and state.has_content:
        return _send_on(state, claim.with_nobody_promoted(), -1)
    return _next_owner(state, claim) if promoted is None else _promote(claim, promoted)


def _next_owner(state: State, claim: Claim) -> Effects:
    """Let the first that waits own the claim; without any, the claim goes."""
    # One that was promoted and failed before it was on its way to ML has its outcome.
    ended = () if claim.promoted is None else (DropWaiters((claim.promoted,)),)
    successor = next((file for file in _waiting(state, -1, claim.promoted) if not file.is_cancelled), None)
    return Effects((*ended, DropClaim())) if successor is None else _promote(claim, successor, ended)


def _promote(claim: Claim, file: File, before: Iterable[Row] = ()) -> Effects:
    """Make one that waits the owner. Until it is on its way to ML, it is a waiter too."""
    owned = claim.owned_by(file.file_id, file.scope, claim.begun, promoted=file.number)
    return Effects(
        (*before, PutClaim(owned)), (Decode(file.number), Flush("embed", (file.number,))), Promoted(file.number)
    )


def promoted(state: State, number: int) -> Effects:
    """Clear a file that waited until it was on its way to ML."""
    return Effects(_nobody_promoted(state.claim, number))


def _nobody_promoted(claim: Claim | None, number: int) -> tuple[Row, ...]:
    # In this order: a kill in between repeats the file; the other way round, its row would be missed.
    cleared = () if claim is None or claim.promoted != number else (PutClaim(claim.with_nobody_promoted()),)
    return (*cleared, DropWaiters((number,)))


def forgotten(state: State) -> Effects:
    """Let the next file be embedded. A content that is being embedded now is new enough."""
    claim = claim_of(state)
    if claim is None or claim.owner is not None:
        return Effects()
    return Effects((DropClaim(), DropContent()))


def cancelled(state: State, numbers: tuple[int, ...]) -> Effects:
    """End files that wait; what ML may have in hand is carried to its end."""
    promoted = None if state.claim is None else state.claim.promoted
    ended = tuple(number for number in numbers if number != promoted)
    return Effects(work=(Finish(ended, "skipped"),), then=Ended(ended)) if ended else Effects()


def _waiting(state: State, after: int, promoted: int | None) -> Iterator[File]:
    """Yield those that wait; one that is being promoted does so no more."""
    return (file for file in state.waiters(after) if file.number != promoted)


def _next(state: State, after: int, promoted: int | None) -> tuple[list[File], list[File]]:
    """Return the next few that wait, and those among them whose job is cancelled."""
    files = [*islice(_waiting(state, after, promoted), WAITERS_AT_ONCE)]
    if not files and after >= 0:  # where the topic was made anew, the last ones stand before those that were there
        files = [*islice(_waiting(state, -1, promoted), WAITERS_AT_ONCE)]
    return [file for file in files if not file.is_cancelled], [file for file in files if file.is_cancelled]


def _is_left(state: State, done: tuple[int, ...]) -> bool:
    """Tell whether more wait, behind the last ones or before them."""
    promoted = None if state.claim is None else state.claim.promoted
    after = done[-1] if done else -1
    waiting = chain(_waiting(state, after, promoted), _waiting(state, -1, promoted))
    return any(file.number not in done for file in waiting)


def _skip(files: list[File]) -> tuple[Work, ...]:
    return (Finish(_numbers(*files), "skipped"),) if files else ()


def _numbers(*files: File) -> tuple[int, ...]:
    return tuple(sorted(file.number for file in files))
