"""One message about one content, while prepare has it in work, and the rows of the content as a decision sees them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from agents.jobs_watch import JobsWatch
from imaging.prepared import Prepared
from rules.claims.claim import Claim
from rules.claims.events import File
from streams import messages
from streams.item import Item
from tables.known_images import KnownImages, OfContent, Waiter
from topics.content import Content
from topics.hashed_file import HashedFile
from topics.image_outcome import AnyImageOutcome


@dataclass(slots=True)
class Case:
    """One message about one content, while it is in work.

    `files`: those that effects may name, by number: the one that has come, and those that wait, as far as they were
    read. `content`: ML's answer, where it was read. `outcome`: what the message says, where it came on image-outcome.
    """

    event: messages.Event
    of: OfContent
    files: dict[int, Item[HashedFile]] = field(default_factory=dict)
    outcome: AnyImageOutcome | None = None
    content: Content | None = None
    prepared: Prepared | None = None

    def take_in(self, number: int, waiter: Waiter) -> None:
        """Note a file that waits."""
        self.files[number] = Item(self.event, waiter, waiter.received)


class RowsOf:
    """The rows of a content, as a decision sees them (`rules.claims.state.State`)."""

    def __init__(
        self, case: Case, images: KnownImages, jobs: JobsWatch, file: Callable[[int, HashedFile], File]
    ) -> None:
        self._case = case
        self._images = images
        self._jobs = jobs
        self._as_file = file

    @cached_property
    def claim(self) -> Claim | None:
        """The claim."""
        return self._images.claim(self._case.of)

    @cached_property
    def has_content(self) -> bool:
        """Whether ML's answer is there."""
        return self._images.has_content(self._case.of)

    @property
    def owners_job_has_ended(self) -> bool:
        """Whether the job of the claim's owner has ended, is cancelled, or is not known any more."""
        job_id = (self.claim and self.claim.job_of_owner) or ""
        return self._jobs.status(job_id) is None or self._jobs.is_cancelled(job_id)

    def waiters(self, after: int = -1) -> Iterator[File]:
        """Yield the files that wait, from behind a number."""
        for number, row in self._images.waiters(self._case.of, after):
            yield self._file(number, row)

    def waiter(self, number: int) -> File | None:
        """Return the file that waits under a number, or None."""
        row = self._images.waiter(self._case.of, number)
        return None if row is None else self._file(number, row)

    def _file(self, number: int, row: bytes) -> File:
        if number not in self._case.files:
            self._case.take_in(number, Waiter.model_validate_json(row))
        return self._as_file(number, self._case.files[number].record)
