"""What a decision sees of a content: its rows, and what is known of jobs."""

from collections.abc import Iterator
from typing import Protocol

from rules.claims.claim import Claim
from rules.claims.events import File


class State(Protocol):
    """The rows of one content, read as far as a decision asks; they do not change meanwhile."""

    @property
    def claim(self) -> Claim | None:
        """The claim."""

    @property
    def has_content(self) -> bool:
        """Whether ML's answer is there."""

    @property
    def owners_job_has_ended(self) -> bool:
        """Whether the job of the claim's owner has ended, is cancelled, or is not known any more."""

    def waiters(self, after: int = -1) -> Iterator[File]:
        """Yield the files that wait, in the order of arrival, from behind a number."""

    def waiter(self, number: int) -> File | None:
        """Return the file that waits under a number, or None."""


def claim_of(state: State) -> Claim | None:
    """Return the claim as it counts: where ML's answer is there, nobody owns it any more.

    A row that says otherwise is of a worker that had lost the partition and did not know it yet, or of one that was
    killed between this row and that of the content.
    """
    claim = state.claim
    return claim.answered() if claim is not None and claim.owner is not None and state.has_content else claim
