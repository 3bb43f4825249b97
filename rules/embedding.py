"""What ML may be asked, and what follows from its answers: the decisions of embed.

Each `..._problem` is None where all is well, or the error that says whether to wait (MLUnavailableError) or to fail
the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from core.errors import FileError, MLOutOfMemoryError, MLUnavailableError
from rules.batching import halves

I = TypeVar("I")  # noqa: E741 - item


class Asks(Protocol):
    """A file that asks for an embedding."""

    @property
    def path(self) -> str:
        """Of the file."""

    @property
    def collection(self) -> str:
        """Where it goes."""

    @property
    def model_id(self) -> str:
        """The model that it asks for."""


class Known(Protocol):
    """What is known of a collection."""

    @property
    def model_id(self) -> str | None:
        """Its model."""

    @property
    def dimension(self) -> int:
        """Of its vectors."""


def model_problem(offered: str, file: Asks, collection: Known | None) -> FileError | MLUnavailableError | None:
    """Compare the model that ML serves with the one that a file asks for; `collection`: None where there is none.

    ML is waited for, as it may come back with that model, but not for a file that fits no collection.
    """
    if file.model_id == offered:
        return None
    if collection is None or collection.model_id != file.model_id:
        return FileError(
            f"{file.path} asks for model {file.model_id}, but there is no collection {file.collection} of that model "
            "(any more)."
        )
    return MLUnavailableError(f"ML serves model {offered}, but {file.path} needs {file.model_id}.")


def dimension_problem(offered: int, name: str, collection: Known | None) -> MLUnavailableError | None:
    """Compare the length of ML's vectors with that of a collection: its model may have changed, and kept its name."""
    if collection is None or collection.dimension == offered:
        return None
    return MLUnavailableError(
        f"ML makes vectors of {offered} dimensions, but collection {name} holds {collection.dimension}: its model "
        "changed. Bring the former model back, or ingest into a new collection."
    )


def answer_problem(offered: str, answered: str | None) -> MLUnavailableError | None:
    """Compare the model that ML offered with the one that an answer names: it may have been started anew since."""
    if answered in {None, offered}:
        return None
    return MLUnavailableError(f"ML answers with model {answered}, but offered {offered}.")


@dataclass(frozen=True, slots=True)
class Fail(Generic[I]):
    """One fails alone: its path where the error is a FileError, else its content."""

    item: I


@dataclass(frozen=True, slots=True)
class Again(Generic[I]):
    """These are asked for again, one part after the other; `limit`: no batch is larger from now on."""

    parts: tuple[Sequence[I], ...]
    limit: int | None


def after_error(items: Sequence[I], error: Exception) -> Fail[I] | Again[I]:
    """Decide what becomes of a batch that ML refuses as a whole: it is halved until the guilty one stands alone."""
    if len(items) == 1:
        return Fail(items[0])
    limit = max(1, len(items) // 2) if isinstance(error, MLOutOfMemoryError) else None
    return Again(halves(items), limit)
