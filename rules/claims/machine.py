"""What an event does to a content: `decide` is the whole of prepare's logic, and reads nothing but its arguments.

The rows of a content say where it stands:

    claim           content   waiters
    none            none      none      new: its next file owns the claim
    owner           none      any       the owner is on its way to ML, or a message that says how it ended
    owner None      there     some      ML has answered; they go on a few at a time
    owner None      there     none      known
    promoted        any       that one  a waiter became the owner, and is not yet on its way to ML

So whoever waits has an owner that is in flight, or a message to prepare that lets it go on. What a kill cuts off is
begun again by the same message; where it finds a part done already, it does the rest, or does it again.
"""

from rules.claims import arriving, ending
from rules.claims.effects import DropWaiters, Effects, PutPath
from rules.claims.events import (
    Answered,
    Arrived,
    Cancelled,
    Confirmed,
    ContentFailed,
    Ended,
    Event,
    FailedToo,
    FileFailed,
    FollowUp,
    Forgotten,
    HasRead,
    More,
    Promoted,
    SentOn,
)
from rules.claims.state import State


def decide(state: State, event: Event | FollowUp) -> Effects:
    """Return what an event asks for."""
    match event:
        case Arrived():
            return arriving.arrived(state, event)
        case HasRead():
            return arriving.has_read(state, event)
        case Answered():
            return ending.answered(state, event)
        case Confirmed():
            return Effects((PutPath(),))
        case More():
            return ending.more(state, event.after)
        case ContentFailed():
            return ending.content_failed(state, event)
        case FileFailed():
            return ending.file_failed(state, event)
        case Forgotten():
            return ending.forgotten(state)
        case Cancelled():
            return ending.cancelled(state, event.numbers)
        case _:
            return _follow_up(state, event)


def _follow_up(state: State, event: FollowUp) -> Effects:
    match event:
        case SentOn():
            return ending.sent_on(state, event.numbers)
        case FailedToo():
            return ending.failed_too(state, event)
        case Promoted():
            return ending.promoted(state, event.number)
        case Ended():
            return Effects((DropWaiters(event.numbers),))
