"""What hash decides: whether a file is read, and what follows from what it holds.

The answer is effects, as data. The shell carries them out in their order, each delivered before the next begins, behind
the word that the file was seen; a row is written in the order of arrival. A kill before the ack repeats all of it.
"""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from core.errors import FileError

# A file that is being written is read again until it keeps still: a copy over a network pauses between its parts.
STILL_SECONDS = 0.5
STILL_ATTEMPTS = 10


class Holds(Protocol):
    """What a path holds, as far as it matters here."""

    @property
    def sha256(self) -> str:
        """Of all bytes."""


F = TypeVar("F", bound=Holds)


@dataclass(frozen=True, slots=True)
class Arrived(Generic[F]):
    """A file has come, for its `attempt`: the first is 1.

    `held`: what its path held when it was last read. `wanted`: SHA-256 of what is stored, where the file is to be read
    again for what a newer version sees in it.
    """

    path: str
    attempt: int = 1
    is_cancelled: bool = False  # its job is
    held: F | None = None
    wanted: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """Look at the file. `trusts_stamp`: with the size and time of change that it had, it need not be read again."""

    trusts_stamp: bool


@dataclass(frozen=True, slots=True)
class Skip:
    """Report the file as skipped."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail the file."""

    error: Exception


@dataclass(frozen=True, slots=True)
class HandOn(Generic[F]):
    """Send the file to prepare, by its content."""

    content: F


@dataclass(frozen=True, slots=True)
class LetGo(Generic[F]):
    """Tell prepare that the file goes on no further with what it held before."""

    held: F
    reason: str


@dataclass(frozen=True, slots=True)
class Remember(Generic[F]):
    """Have the row of the path say what it holds, and that it was handed on."""

    content: F


Effect = Skip | Fail | HandOn[F] | LetGo[F] | Remember[F]
Effects = tuple[Effect[F], ...]


def arrived(file: Arrived[F]) -> Look | Effects[F]:
    """Decide whether a file is looked at."""
    if file.is_cancelled:
        return Skip("job cancelled"), *_let_go(file, "its job was cancelled")
    # What comes again may have other bytes under the same size and time of change.
    return Look(trusts_stamp=file.attempt == 1)


def go_together(first: Arrived[F]) -> bool:
    """Tell whether those files of a message that have kept their size and time of change go on as one, unread.

    `first`: one of them; all share its job and its attempt, and whether they are to be read again.
    """
    return first.wanted is None and arrived(first) == Look(trusts_stamp=True)


def seen_by_outcome(walk_id: str | None, *, is_counted: bool) -> str | None:
    """Return the walk of files that go on as one, where it is their outcome that says that they were seen; else None.

    Where its end markers count them (`is_counted`), none of them is missed: the job does not end before.
    """
    return walk_id if is_counted else None


def found(file: Arrived[F], content: F) -> Effects[F]:
    """Decide what follows from what a file holds."""
    if file.wanted not in {None, content.sha256}:
        error = FileError(f"{file.path} holds another picture than the one that is stored: ingest its folder.")
        return failed(file, error, str(error))
    has_changed = file.held is not None and file.held.sha256 != content.sha256
    let_go = _let_go(file, "its content has changed") if has_changed else ()
    return HandOn(content), *let_go, Remember(content)


def failed(file: Arrived[F], error: Exception, reason: str) -> Effects[F]:
    """Decide what follows where a file cannot be taken; `reason`: the error as a person reads it."""
    return Fail(error), *_let_go(file, reason)


def does_without(error: Exception) -> bool:
    """Tell whether a task goes on with what is kept of a picture: where its file is gone, it does."""
    return isinstance(error, FileError)


def kept(held: F) -> Effects[F]:
    """Decide what follows where a file is not read: what is kept of it tells nothing of what lies at its path."""
    return (HandOn(held),)


def _let_go(file: Arrived[F], reason: str) -> tuple[LetGo[F], ...]:
    """Return that a file which begins again lets go of what it held: it may own the claim on that, and others wait.

    A file that comes for the first time lets go of nothing: a kill may have it taken up twice, while it is on its way
    to ML.
    """
    return () if file.held is None or file.attempt == 1 else (LetGo(file.held, reason),)


def seconds_until_still(age: float) -> float:
    """Return how long a file is watched that was changed `age` seconds ago, 0 for one that has kept still for long.

    An age below 0, of another machine's clock, says nothing.
    """
    return max(0.0, STILL_SECONDS - max(0.0, age))
