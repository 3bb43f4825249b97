"""A query, as it was read: what must be, what must not be, what is looked for."""

from dataclasses import dataclass
from typing import Any

from core.errors import RequestError


@dataclass(frozen=True, slots=True)
class Word:
    """A word that is looked for, as it was written, with all ways to write it; one of them must be there whole."""

    text: str
    ways: tuple[tuple[str, ...], ...]
    is_begun: bool = False
    """Whether words that only begin so are meant too."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand side by side, or one of the words that stand for them: of `"iso 100"`, `iso100`."""

    text: str
    words: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InField:
    """Words of one field of the payload, by its name in `lookup.LETTERS`; of several ways one."""

    field: str
    ways: tuple[tuple[str, ...], ...]
    is_begun: bool = False
    is_phrase: bool = False
    """Whether they stand side by side, in one of the field's texts: `person:"Ann Lee"` is one person."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a field of the payload must be, as a filter of the API says it; of several values one."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """Whether one of these fields of the payload is there."""

    fields: tuple[str, ...]


Condition = Word | Phrase | InField | Wanted | Known


@dataclass(frozen=True, slots=True)
class Named:
    """A condition with the text that it was written as."""

    text: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for.

    `words` make a picture a hit, each of them; `must` and `must_not` hold for every hit. `text`: what a model is to
    compare, without what only filters. `like` and `unlike`: ids of pictures.
    """

    words: tuple[Word, ...] = ()
    must: tuple[Named, ...] = ()
    must_not: tuple[Named, ...] = ()
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    text: str = ""

    @property
    def sought(self) -> tuple[Word | Phrase, ...]:
        """Return what hits are ranked by: words, and phrases that must be there."""
        return (*self.words, *(one.condition for one in self.must if isinstance(one.condition, Phrase)))


class QueryError(RequestError):
    """A text that cannot be read as a query.

    `position` and `length` are characters of the text; `expected` says what may stand there, `example` shows it.
    """

    def __init__(self, position: int, length: int, expected: str, example: str) -> None:
        super().__init__(f"At character {position + 1} of the query: {expected}, as in {example}", status=422)
        self.position = position
        self.length = length
        self.expected = expected
        self.example = example
