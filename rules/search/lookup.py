"""The words of a picture: what search looks through, stored beside its payload as texts that are folded and cut.

    text     all words in order; what people wrote on purpose (title, tags, people, label) several times, so that it
             counts more: Robertson, Zaragoza & Taylor, "Simple BM25 extension to multiple weighted fields", 2004
    marked   each word as `~raptors` where it is found by its beginning too, else as `=raptors`; and with the letter of
             its field before it, `Traptors` for a tag

Words have no capitals, so that a capital is a mark. Between texts stands a `|`, over which no phrase reaches.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from rules.search import settings
from rules.search.folding import chunks, cut

VERSION = 3
"""Of these words: a picture whose words are of an earlier version is looked through once more."""
WORDS = "words"
"""The field of the payload that holds them."""
BETWEEN = "|"
SAID = {"title": "I", "tags": "T", "people": "P", "label": "B"}
"""Fields of the payload, and the letter that marks their words."""
SHOWN = {
    "caption": "A",
    "description": "D",
    "filename": "N",
    "folder": "F",
    "camera": "C",
    "lens": "L",
    "format": "M",
}
LETTERS = SAID | SHOWN
WHOLE, BEGUN = "=", "~"
"""What marks a word of any field: one that must be whole, one that need not be."""
FOUND_BY_THEIR_START = frozenset({*SAID, "filename", "folder", "camera", "lens"})
"""The fields of such words: names. In captions one would find too much."""
TIMES_SAID = 4
_LONG = 200
"""Characters from which on a text is a picture's own: nobody else has it."""
_MOST_WORDS = 2000
"""Of a picture, in both: a picture of very many paths or a very long description is bounded."""


def lookup(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a picture, as they are stored."""
    text: list[str] = []
    marked: dict[str, None] = {}
    begun: set[str] = set()
    for field, written in texts(payload):
        words = _cut(written) if len(written) < _LONG else cut(written)
        beside = (*words.beside, *settings.of_lens(written)) if field == "lens" else words.beside
        runs = [[*run, BETWEEN] for run in (words.words, beside, words.spelt) if run]
        text += [word for run in runs for word in run] * (TIMES_SAID if field in SAID else 1)
        found = [word for run in runs for word in run[:-1]]
        marked |= dict.fromkeys(f"{LETTERS[field]}{word}" for word in found)
        if field in FOUND_BY_THEIR_START:
            begun.update(found)
    for some in settings.of_picture(payload).values():
        text += some
    text = text[:_MOST_WORDS]
    anywhere = dict.fromkeys(f"{BEGUN if word in begun else WHOLE}{word}" for word in text if word != BETWEEN)
    return {"v": VERSION, "text": " ".join(text), "marked": [*anywhere, *list(marked)[:_MOST_WORDS]]}


def texts(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a picture that are looked through, each with the field that it belongs to."""
    for field in ("title", "tags", "people", "label", "caption", "description"):
        yield from ((field, text) for text in _some(payload.get(field)))
    # In an order that does not tell which copy came first.
    paths = sorted({*_some(payload.get("full_path")), *_some(payload.get("paths"))})
    names = {*_some(payload.get("filename")), *(path.rpartition("/")[2] for path in paths)}
    yield from (("filename", name) for name in sorted(names) if name)
    folders = (folder for path in paths for folder in path.split("/")[:-1])
    yield from (("folder", folder) for folder in dict.fromkeys(folders) if folder)
    camera = " ".join([*_some(payload.get("camera_make")), *_some(payload.get("camera_model"))])
    yield from (("camera", text) for text in _some(camera))
    yield from (("lens", text) for text in _some(payload.get("lens")))
    yield from (("format", text) for text in _some(payload.get("format")))


def _some(value: Any) -> list[str]:
    """Return the texts of a value that any program may have written."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str) and one]
    return [value] if isinstance(value, str) and value else []


_cut = lru_cache(maxsize=2048)(cut)  # pictures of a folder have its names, a camera and some tags in common


def ways_of(text: str) -> Iterable[tuple[str, ...]]:
    """Return the words of each chunk of a text, and each other way to write it."""
    return [way for chunk in chunks(text) for way in (chunk.parts, *chunk.others)]
