"""Why a picture was found: which word stands in which field of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rules.search import settings
from rules.search.folding import cut
from rules.search.lookup import BETWEEN, SAID, texts
from rules.search.query import Phrase, Query, Word

_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Reason:
    """A word of the query, the field of the payload that has it, and what stands there."""

    word: str
    field: str
    value: str


def of_words(query: Query, payload: Mapping[str, Any]) -> list[Reason]:
    """Return a reason for each word that a picture has, in the order of the query: the field that counts most."""
    fields = [(field, value, _cut(value)) for field, value in texts(payload)]
    named = {field: f" {' '.join(words)} " for field, words in settings.of_picture(payload).items()}
    found = []
    for one in query.sought:
        places = [(field, value) for field, value, words in fields if _has(one, words)]
        places += [(field, str(payload[field])) for field, words in named.items() if _has(one, words)]
        if places:
            field, value = min(places, key=lambda place: place[0] not in SAID)
            found.append(Reason(one.text, field, _around(value)))
    return found


def _cut(text: str) -> str:
    """Return the words that a text is found by, each with a space before and behind it."""
    found = cut(text)
    return f" {f' {BETWEEN} '.join(' '.join(run) for run in (found.words, found.beside, found.spelt))} "


def _has(sought: Word | Phrase, words: str) -> bool:
    if isinstance(sought, Phrase):
        return any(f" {some} " in words for some in (" ".join(sought.words), *sought.others))
    return any(all(f" {word}{'' if sought.is_begun else ' '}" in words for word in way) for way in sought.ways)


def _around(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
