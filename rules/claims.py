"""Who may send a content to ML: the decision that makes equal content cost one ML call.

The first file of a new content becomes the *owner* of a claim; further files wait until ML's
answer is known, and then go to Qdrant without ML.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

# Whether a file is the first of its content in its job is remembered for this many jobs a content.
REMEMBERED_LOTS = 8


class Claim(BaseModel):
    """What prepare knows of a content under one model. `owner` (a file id) is None once ML has answered."""

    owner: str | None
    owner_lot: str | None = None
    begun: int = 1  # how often the watchdog had the owner begin, as it came last
    promoted: int | None = None  # number of the waiter that became the owner, until it is on its way to ML
    firsts: dict[str, str] = {}  # lot (job and collection) → id of its first file with this content

    def own(self, file_id: str, lot: str, begun: int, promoted: int | None = None) -> None:
        """Make a file the owner."""
        self.owner, self.owner_lot, self.promoted, self.begun = file_id, lot, promoted, begun
        self.remember_first(lot, file_id)

    def begin_again(self, begun: int) -> None:
        """Note that the owner begins again."""
        self.begun = max(self.begun, begun)

    def is_left_by_owner(self, begun: int, *, owners_job_has_ended: bool) -> bool:
        """Tell whether a file that waits, and begins for the `begun`th time, takes over.

        The watchdog has files begin again when no stage has a message left: nothing of the owner is on its way then.
        While its job runs, the owner begins again with those that wait for it, unless it has its outcome already and
        only the word of that is lost: so it is waited for once.
        """
        return begun > 1 and (owners_job_has_ended or begun > self.begun + 1)

    def answer(self) -> None:
        """Note that ML has answered. One that is being promoted goes its own way."""
        self.owner = self.owner_lot = None

    @property
    def lot_of_owner(self) -> str | None:
        """The owner's lot; None where it is not known any more, as in an old row of a content of many lots."""
        return self.owner_lot or next((lot for lot, first in self.firsts.items() if first == self.owner), None)

    def remember_first(self, lot: str, file_id: str) -> bool:
        """Note a file as the first of its lot, unless there is one. Tell whether that changed anything."""
        if lot in self.firsts:
            return False
        kept = list(self.firsts.items())[1 - REMEMBERED_LOTS :]
        self.firsts = dict([*kept, (lot, file_id)])
        return True

    def forget_first(self, lot: str, file_id: str) -> None:
        """Let the next file of a lot be its first, as this one cannot be used."""
        if self.firsts.get(lot) == file_id:
            del self.firsts[lot]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a file.

    embed: it owns the claim, decode it and send it to ML. wait: another file owns the claim.
    write: ML's answer is known, confirm the file with `outcome`. unchanged: nothing to do.
    """

    action: Literal["embed", "wait", "write", "unchanged"]
    outcome: Literal["cached", "duplicate"] = "cached"


def decide(claim: Claim | None, file_id: str, lot: str, *, is_confirmed: bool) -> Decision:
    """Decide on a file whose content has this claim, or none.

    `is_confirmed`: this path with this content is in the present incarnation of the collection.
    """
    if claim is None or claim.owner == file_id:
        return Decision("embed")
    if claim.owner is not None:
        return Decision("wait")
    if is_confirmed:
        return Decision("unchanged")
    return Decision("write", known_outcome(claim, file_id, lot))


def known_outcome(claim: Claim, file_id: str, lot: str) -> Literal["cached", "duplicate"]:
    """Return the outcome of a file whose content is known: the first of its lot is cached, others are duplicates."""
    return "cached" if claim.firsts.get(lot, file_id) == file_id else "duplicate"
