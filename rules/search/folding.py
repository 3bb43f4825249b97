"""Text without regard to case and accents, cut into words; the same for what is stored and for what is asked.

`Zoë Ångström` and `zoe angstrom` are the same words, and so are `X-T4` and `xt4`. Scripts without spaces are cut into
pairs of characters, so that 京都 is found within 東京都庁 only where both stand side by side.
"""

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 64
"""Characters of a word that count: what is longer is no word that a person would type."""

# Marks on Latin, Greek and Cyrillic letters, and vowel points of Hebrew and Arabic. Marks of other scripts are letters.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u064b-\u0652\u0670]")
_LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "ħ": "h",
        "\u0131": "i",
        "þ": "th",
        "ŋ": "n",
        "ƒ": "f",
    }
)
# As these letters are written where a keyboard has none of them.
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_SPELT_LETTERS = re.compile("[äöüåø]")
_ASCII_PARTS = re.compile("[0-9a-z]+")
# Runs of scripts without spaces: kana, Han and Thai, Lao, Khmer, Burmese.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_CHANGES = re.compile("[0-9]+|[^0-9]+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between spaces: its words in order, and other ways to write some of them."""

    parts: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    """Ways to write the whole chunk, each of them some words."""


def fold(text: str) -> str:
    """Return the text without regard to case, accents and widths of letters."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", apart))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def chunks(text: str) -> list[Chunk]:
    """Cut a text into chunks; those without a letter or digit are left out."""
    return [chunk for one in text.split() if (chunk := _chunk(one)).parts]


def words(text: str) -> list[str]:
    """Return the words of a text in order."""
    return [part for chunk in chunks(text) for part in chunk.parts]


def _chunk(text: str) -> Chunk:
    parts = _parts(fold(text))
    others: list[tuple[str, ...]] = []
    if len(parts) > 1 and not any(map(is_unspaced, parts)) and len(joined := "".join(parts)) <= LONGEST:
        others.append((joined,))
    apart = tuple(piece for part in parts for piece in _apart(part))
    if apart != parts:
        others.append(apart)
    if not text.isascii():
        composed = unicodedata.normalize("NFC", text).casefold()
        if _SPELT_LETTERS.search(composed):
            others.append(_parts(fold(composed.translate(_SPELT_OUT))))
    return Chunk(parts, tuple(others))


def _parts(folded: str) -> tuple[str, ...]:
    if folded.isascii():
        return tuple(part[:LONGEST] for part in _ASCII_PARTS.findall(folded))
    spaced = "".join(
        letter if letter.isalnum() or unicodedata.category(letter) in ("Mn", "Mc") else " " for letter in folded
    )
    return tuple(piece for run in spaced.split() for part in _RUNS.findall(run) for piece in _pairs(part[:LONGEST]))


def _pairs(part: str) -> list[str]:
    """Return the pairs of characters of a run without spaces; of another script, the run."""
    if not is_unspaced(part) or len(part) == 1:
        return [part]
    return [part[at : at + 2] for at in range(len(part) - 1)]


def is_unspaced(part: str) -> bool:
    """Tell whether a word is of a script that puts no spaces between words."""
    return not part.isascii() and _IS_UNSPACED.match(part) is not None


def _apart(part: str) -> list[str]:
    """Cut `dsc01234` into letters and digits; one letter or digit stays with its neighbour, as in `d850` and `5d`."""
    pieces = _CHANGES.findall(part)
    return pieces if len(pieces) > 1 and all(len(piece) > 1 for piece in pieces) else [part]
