"""What a decision asks for, as data. The shell carries it out in this order, which is what makes kills harmless.

1. `rows` are written before anything else of the content is decided. Only what must stand before a message leaves is
   here: claims and waiters, and a content that ML has answered for.
2. `work` is done, one after the other, each delivered before the next begins.
3. `then` is decided, by the rows as they are by that time: it clears, replaces or closes what was needed until then.
   Its own work comes behind its rows.

The message that caused it is acked when all of that is delivered. A kill before that repeats it from its begin.
"""

from dataclasses import dataclass
from typing import Literal

from rules.claims.claim import Claim, Known
from rules.claims.events import ContentFailed, FollowUp, More


@dataclass(frozen=True, slots=True)
class PutClaim:
    """Write the claim."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class DropClaim:
    """Delete the claim: the next file is the first of a new content."""


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """Write what ML has answered, the claim behind it, and, where Qdrant holds it, the file's path: all at once."""

    claim: Claim
    is_stored: bool


@dataclass(frozen=True, slots=True)
class DropContent:
    """Delete what ML has answered."""


@dataclass(frozen=True, slots=True)
class PutWaiter:
    """Write the file that has come as one that waits."""

    number: int


@dataclass(frozen=True, slots=True)
class DropWaiters:
    """Delete files that waited."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PutPath:
    """Write that Qdrant holds the file's path."""


Row = PutClaim | DropClaim | PutAnswer | DropContent | PutWaiter | DropWaiters | PutPath


@dataclass(frozen=True, slots=True)
class Decode:
    """Decode a file, and send it to ML. What is wrong with it ends it, and is told on image-outcome."""

    number: int


@dataclass(frozen=True, slots=True)
class Reread:
    """Decode a file of a known content. Where that succeeds, `HasRead` follows."""

    number: int


@dataclass(frozen=True, slots=True)
class SendDecoded:
    """Send a file that was read again to ML."""

    number: int


@dataclass(frozen=True, slots=True)
class SendReading:
    """Send what was read again to Qdrant, with ML's former answer, and tell on image-outcome that it is known."""

    number: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send files whose content is known to Qdrant, each with the outcome that it has when its path is there."""

    files: tuple[tuple[int, Known], ...]


@dataclass(frozen=True, slots=True)
class Flush:
    """Tell the next stage that no more files come with these, which waited: the word of their walks may have passed."""

    stage: Literal["embed", "store"]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """Report the outcome of files, for which there is nothing else to do."""

    numbers: tuple[int, ...]
    outcome: Literal["skipped", "unchanged"]


@dataclass(frozen=True, slots=True)
class FailWithContent:
    """Fail files whose content cannot be used."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FailWithoutCollection:
    """Fail a file whose collection does not exist; where it is the owner, tell so on image-outcome."""

    number: int
    is_owner: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Send an event to this content as a message, so that what concerns other contents comes in between."""

    event: More | ContentFailed


Work = (
    Decode | Reread | SendDecoded | SendReading | Send | Flush | Finish | FailWithContent | FailWithoutCollection | Tell
)


@dataclass(frozen=True, slots=True)
class Effects:
    """See above."""

    rows: tuple[Row, ...] = ()
    work: tuple[Work, ...] = ()
    then: FollowUp | None = None
