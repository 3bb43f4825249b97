"""One file of a message, as a stage takes it."""

from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from faust import Event

from streams.window import Permits
from topics.bundle import MAX_FILES_READ
from topics.record import Headers

R = TypeVar("R")
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """A file, the message that it came with, and what that says of it. `index`: of the `of` files of the message."""

    event: Event
    record: R
    headers: Headers
    index: int = 0
    of: int = 1
    span: Any = None

    @property
    def number(self) -> int:
        """A number that no other file of the partition has, and that grows; also above every offset before it."""
        return int(self.event.message.offset) * MAX_FILES_READ + self.index

    def permits(self) -> Permits:
        """Return the room that this file takes of its message."""
        return Permits(1, self.of)

    def about(self, record: S, headers: Headers | None = None) -> "Item[S]":
        """Return the same for another record that follows from it."""
        return replace(self, record=record, headers=headers or self.headers)  # type: ignore[arg-type,return-value]
