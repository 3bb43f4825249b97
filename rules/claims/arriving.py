"""What a file asks for that comes in, or that was read again."""

from collections.abc import Iterable
from itertools import islice

from rules.claims.claim import Claim
from rules.claims.effects import (
    Decode,
    DropContent,
    DropWaiters,
    Effects,
    FailWithoutCollection,
    Finish,
    PutClaim,
    PutWaiter,
    Reread,
    Row,
    Send,
    SendDecoded,
    SendReading,
)
from rules.claims.events import Arrived, File, HasRead
from rules.claims.state import State, claim_of

# Of many that wait for one content, and of which one begins again and takes over.
WAITERS_LOOKED_AT = 1000


def arrived(state: State, event: Arrived) -> Effects:
    """Decide what a file costs: ML, a wait for another's answer, Qdrant alone, or nothing."""
    file, claim = event.file, claim_of(state)
    is_owner = claim is not None and claim.owner == file.file_id
    if not event.has_collection:
        return Effects(work=(FailWithoutCollection(file.number, is_owner),))
    if file.is_cancelled and not is_owner:
        return Effects(work=(Finish((file.number,), "skipped"),))
    if claim is None:
        forgotten = (DropContent(),) if state.has_content else ()
        return _owns(Claim(), event, before=forgotten)
    if event.first_unchanged is not None:
        claim = claim.with_first(file.scope, event.first_unchanged)
    if is_owner:
        return _owns(claim, event)
    if claim.owner is not None:
        numbers = _takes_over(state, claim, event)
        if numbers:
            return _owns(claim.without_owner_as_first(), event, behind=(DropWaiters(numbers),))
        return _waits(state, claim, file)
    if event.rereads and state.has_content:
        return Effects(_noted(state, claim, file), (Reread(file.number),))
    if event.is_confirmed:
        return Effects(work=(Finish((file.number,), "unchanged"),))
    if not state.has_content:
        # The claim says that ML has answered, but the answer is gone: ask again.
        return _owns(Claim(), event)
    outcome = claim.known_outcome(file.scope, file.file_id)
    return Effects(_noted(state, claim, file), (Send(((file.number, outcome),)),))


def _owns(claim: Claim, event: Arrived, before: Iterable[Row] = (), behind: Iterable[Row] = ()) -> Effects:
    """Make a file that has come the owner, and send it to ML; an owner that comes again is sent again."""
    file = event.file
    if claim.owner != file.file_id:
        claim = claim.owned_by(file.file_id, file.scope, event.begun)
    claim = claim.begun_again(event.begun).with_first(file.scope, file.file_id)
    return Effects((*before, PutClaim(claim), *behind), (Decode(file.number),))


def _waits(state: State, claim: Claim, file: File) -> Effects:
    return Effects((PutWaiter(file.number), *_noted(state, claim, file)))


def _noted(state: State, claim: Claim, file: File) -> tuple[Row, ...]:
    """Note a file as the first of its scope, unless there is one."""
    noted = claim.with_first(file.scope, file.file_id)
    return () if noted == state.claim else (PutClaim(noted),)


def _takes_over(state: State, claim: Claim, event: Arrived) -> tuple[int, ...]:
    """Return under which numbers a file waits that takes over from an owner that is lost; else nothing."""
    if event.begun == 1 or not claim.is_left_by_owner(event.begun, owners_job_has_ended=state.owners_job_has_ended):
        return ()
    waiting = islice(state.waiters(), WAITERS_LOOKED_AT)
    numbers = tuple(waiter.number for waiter in waiting if waiter.file_id == event.file.file_id)
    # Alone, its own number says that it does not begin again: its message does.
    return numbers if any(number != event.file.number for number in numbers) else ()


def has_read(state: State, event: HasRead) -> Effects:
    """Of several files that are read again at a time, one goes to ML."""
    file, claim = event.file, claim_of(state) or Claim()
    if claim.owner not in {None, file.file_id}:
        return _waits(state, claim, file)
    if event.is_same:
        return Effects(work=(SendReading(file.number),))
    owned = claim.owned_by(file.file_id, file.scope, event.begun)
    # In this order: after a kill in between it is read again, and the answer tells still whether it had a caption.
    return Effects((PutClaim(owned), DropContent()), (SendDecoded(file.number),))
