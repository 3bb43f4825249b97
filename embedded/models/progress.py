"""What is told of a model that comes."""

from typing import Protocol


class Progress(Protocol):
    """Who is told how it goes."""

    def begin(self, total: int, done: int) -> None:
        """`total` bytes are to come, of which `done` are here from an earlier try."""

    def advance(self, count: int) -> None:
        """So many bytes more came, or fewer, where a part has to come again."""
