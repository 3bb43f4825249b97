"""Text without regard to case and accents, cut into words; the same for what is stored and for what is asked.

`Zoë Ångström` and `zoe angstrom` are the same words, and so are `X-T4` and `xt4`. Scripts without spaces are cut into
pairs of characters, so that 京都 is found within 東京都庁 only where both stand side by side; 猫 alone is found within
黒猫 too. Emoji are words, whatever their skin.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise

LONGEST = 64
"""Characters of a word that count: what is longer is no word that a person would type."""

# What nobody sees: where a word may be parted or joined, directions, how an emoji is drawn, a stretched Arabic letter.
_UNSEEN = re.compile("[\u00ad\u0640\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff]")
# Marks on Latin, Greek and Cyrillic letters, and those of Hebrew and Arabic: vowel points, hamza and madda. Marks of
# other scripts are letters.
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u064b-\u0655\u0670]")
# Digits of all scripts, which people mix.
_DIGITS = {code: str(unicodedata.decimal(chr(code))) for code in range(0x660, 0x1A9A) if chr(code).isdecimal()}
_LETTERS = _DIGITS | str.maketrans(
    {
        # Arabic and Persian write the same letter in two ways.
        "\u0649": "\u064a",
        "\u06cc": "\u064a",
        "\u06a9": "\u0643",
        "\u0629": "\u0647",
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
_HAS_SENSE_ALONE = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")  # kana, Han
_FLAGS = re.compile("([\U0001f1e6-\U0001f1ff]{2})")
_FLAG_LETTERS = ("\U0001f1e6", "\U0001f1ff")
_EMOJI = "\u2600"
"""The first of the symbols that are pictures."""
_RUNS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_CHANGES = re.compile("[0-9]+|[^0-9]+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """What stands between spaces: its words in order, and other ways to write some of them."""

    parts: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()
    """Ways to write the whole chunk, each of them some words."""
    spelt: tuple[str, ...] = ()
    """The one of these ways that spells letters out: `mueller` of `Müller`."""
    letters: tuple[str, ...] = ()
    """Characters that are words too, of scripts without spaces."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A text in words: all in order, other words that it is found by, and all in order with letters spelt out."""

    words: tuple[str, ...]
    beside: tuple[str, ...] = ()
    spelt: tuple[str, ...] = ()


def fold(text: str) -> str:
    """Return the text without regard to case, accents and widths of letters."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", _UNSEEN.sub("", text)).casefold()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", apart))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS)


def chunks(text: str) -> list[Chunk]:
    """Cut a text into chunks; those without a letter, digit or emoji are left out."""
    return [chunk for one in text.split() if (chunk := _chunk(one)).parts]


def words(text: str) -> list[str]:
    """Return the words of a text in order."""
    return [part for chunk in chunks(text) for part in chunk.parts]


def cut(text: str) -> Cut:
    """Cut a text as it is stored."""
    found = chunks(text)
    is_spelt = any(chunk.spelt for chunk in found)
    others = (word for chunk in found for way in (*chunk.others, chunk.letters) if way != chunk.spelt for word in way)
    return Cut(
        tuple(part for chunk in found for part in chunk.parts),
        tuple(dict.fromkeys(others)),
        tuple(part for chunk in found for part in chunk.spelt or chunk.parts) if is_spelt else (),
    )


def _chunk(text: str) -> Chunk:
    parts = _parts(fold(text))
    others: list[tuple[str, ...]] = []
    spelt: tuple[str, ...] = ()
    if _may_be_joined(parts) and len(joined := "".join(parts)) <= LONGEST:
        others.append((joined,))
    apart = tuple(piece for part in parts for piece in _apart(part))
    if apart != parts:
        others.append(apart)
    if not text.isascii():
        composed = unicodedata.normalize("NFC", text).casefold()
        if _SPELT_LETTERS.search(composed):
            spelt = _parts(fold(composed.translate(_SPELT_OUT)))
            others.append(spelt)
    return Chunk(parts, tuple(others), spelt, tuple(letter for part in parts for letter in _letters(part)))


def _may_be_joined(parts: tuple[str, ...]) -> bool:
    """Tell whether people write a chunk without what parts it: `x-t4`, not `f/1.6`, which would be f/16."""
    if len(parts) < 2 or any(map(is_unspaced, parts)):
        return False
    return not any(one[-1].isdigit() and other[0].isdigit() for one, other in pairwise(parts))


def _parts(folded: str) -> tuple[str, ...]:
    if folded.isascii():
        return tuple(part[:LONGEST] for part in _ASCII_PARTS.findall(folded))
    spaced = _FLAGS.sub(r" \1 ", "".join(map(_spaced, folded)))
    return tuple(piece for run in spaced.split() for part in _RUNS.findall(run) for piece in _pairs(part[:LONGEST]))


def _spaced(letter: str) -> str:
    if letter.isalnum():
        return letter
    category = unicodedata.category(letter)
    if category in ("Mn", "Mc") or _FLAG_LETTERS[0] <= letter <= _FLAG_LETTERS[1]:
        return letter
    return f" {letter} " if category == "So" and letter >= _EMOJI else " "


def _letters(part: str) -> list[str]:
    return [letter for letter in part if _HAS_SENSE_ALONE.match(letter)] if len(part) > 1 and is_unspaced(part) else []


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
