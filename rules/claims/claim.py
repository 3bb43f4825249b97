"""The claim on a content: its owner, who sends it to ML, and the files that were first in their jobs."""

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

# Whether a file is the first of its content in its job is remembered for this many jobs a content.
REMEMBERED_SCOPES = 8

Known = Literal["cached", "duplicate"]
"""The outcome of a file whose content is known: the first of its scope is cached, others are duplicates."""


class OfJob(Protocol):
    """A file of a job."""

    @property
    def job_id(self) -> str:
        """Of the job."""

    @property
    def collection(self) -> str:
        """That the job takes it into."""


def scope(file: OfJob) -> str:
    """Return the name under which a content's first file in a job is remembered."""
    return f"{file.job_id}/{file.collection}"


class Claim(BaseModel):
    """What prepare knows of a content under one model. `owner` (a file id) is None once ML has answered."""

    model_config = ConfigDict(frozen=True)

    owner: str | None = None
    owner_lot: str | None = None  # the owner's scope, under the name that rows have for it
    begun: int = 1  # how often the watchdog had the owner begin, as it came last
    promoted: int | None = None  # number of the waiter that became the owner, until it is on its way to ML
    firsts: dict[str, str] = {}  # scope (job and collection) → id of its first file with this content
    leaving: str | None = None  # the collection that the content is being taken from, until another file comes

    def row(self) -> bytes:
        """Return what is written of it: most claims are of contents that stay."""
        return self.model_dump_json(exclude={"leaving"} if self.leaving is None else None).encode()

    def owned_by(self, file_id: str, scope: str, begun: int, promoted: int | None = None) -> "Claim":
        """Return the claim with another owner."""
        new = {"owner": file_id, "owner_lot": scope, "promoted": promoted, "begun": begun}
        return self.model_copy(update=new).with_first(scope, file_id)

    def begun_again(self, begun: int) -> "Claim":
        """Return the claim of an owner that begins again."""
        return self if begun <= self.begun else self.model_copy(update={"begun": begun})

    def answered(self) -> "Claim":
        """Return the claim after ML has answered. A file that is being promoted goes its own way."""
        return self if self.owner is None else self.model_copy(update={"owner": None, "owner_lot": None})

    def with_nobody_promoted(self) -> "Claim":
        """Return the claim after the waiter that became the owner is on its way to ML, or has ended."""
        return self.model_copy(update={"promoted": None})

    def with_first(self, scope: str, file_id: str) -> "Claim":
        """Return the claim with a file as the first of its scope, unless there is one. With a file, nothing leaves."""
        if scope in self.firsts:
            return self if self.leaving is None else self.model_copy(update={"leaving": None})
        kept = list(self.firsts.items())[1 - REMEMBERED_SCOPES :]
        return self.model_copy(update={"firsts": dict([*kept, (scope, file_id)]), "leaving": None})

    def without_owner_as_first(self) -> "Claim":
        """Return the claim after its owner failed: the next file of the owner's scope is the first."""
        if self.scope_of_owner is None or self.firsts.get(self.scope_of_owner) != self.owner:
            return self
        return self.model_copy(update={"firsts": {k: v for k, v in self.firsts.items() if k != self.scope_of_owner}})

    def is_left_by_owner(self, begun: int, *, owners_job_has_ended: bool) -> bool:
        """Tell whether a file that waits, and begins again, for the `begun`th time, takes over.

        The watchdog has files begin again when no stage has a message left: nothing of the owner is on its way then.
        While its job runs, the owner begins again with those that wait for it, unless it has its outcome already and
        only the word of that is lost: so it is waited for once.
        """
        return owners_job_has_ended or begun > self.begun + 1

    @property
    def scope_of_owner(self) -> str | None:
        """The owner's scope; None where it is not known any more, as in an old row of a content of many scopes."""
        return self.owner_lot or next((scope for scope, first in self.firsts.items() if first == self.owner), None)

    @property
    def job_of_owner(self) -> str | None:
        """The owner's job; None where it is not known any more."""
        return None if self.scope_of_owner is None else self.scope_of_owner.partition("/")[0]

    @property
    def collection_of_owner(self) -> str | None:
        """The collection that the owner goes to; None where it is not known any more."""
        return None if self.scope_of_owner is None else self.scope_of_owner.partition("/")[2]

    def known_outcome(self, scope: str, file_id: str) -> Known:
        """Return the outcome of a file, as the content is known."""
        return "cached" if self.firsts.get(scope, file_id) == file_id else "duplicate"
