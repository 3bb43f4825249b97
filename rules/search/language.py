"""The language of the search box.

    boats at sunset          words: what has more of them, and rarer ones, comes first
    "red roof"               these words side by side
    -dog  -"red roof"        not with these
    rapt*                    words that begin so, also whole ones only otherwise
    camera:canon,nikon       a field; of several values one
    date:2024-05..2024-08    from the start of the one to the end of the other; also `2024`, `..2023`, `>=2024-05-04`
    rating:>=4  iso:100..800 has:gps  near:48.86,2.35,5 (km)
    like:ID  -like:ID        pictures like one that is stored, and unlike another
    iso 100, 50mm, f/2.8, 1/250, October 2018   as people write them, also in quotes

Everything may stand behind a `-`. What is no query says where, what was expected there, and an example.
"""

import re
from dataclasses import dataclass, field

from rules.search import settings
from rules.search.field_names import COMPARED, NAMES, field_named
from rules.search.fields import read_value, written_ways
from rules.search.folding import chunks, fold, is_unspaced, words
from rules.search.query import Condition, Named, Phrase, Query, QueryError, Word

MOST_WORDS = 32
"""Words that are looked up; those behind them of a long text only a model compares."""

MOST_CONDITIONS = 64
"""Conditions of a query: nobody types more, and Qdrant looks at each of them for every picture."""

_QUOTES = {
    '"': '"', "“": "”", "”": "”", "„": "“”", "«": "»", "»": "«", "\uff02": "\uff02", "「": "」", "『": "』"
}  # fmt: skip
_ANY_QUOTE = '"“”\uff02'
"""What closes a double quote whose own is missing: a keyboard and a word processor do not agree."""
# What only says in which direction a text runs; each is a space here, so that places stay as they are.
_DIRECTIONS = dict.fromkeys(
    [0x61C, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF], " "
)
_FIELD = re.compile(r"([^\W\d_][\w]+|f)[:\uff1a](?!//)")
_COMPARED = re.compile(r"([^\W\d_][\w]+|f)(?=\s?[<>=≤≥])")
_WORD = re.compile(r"(?:[^\s,;]|(?<=\d)[,;](?=\d))+[,;]*")
_ENDS_IN_A_SIGN = re.compile("^[<>=≤≥]+$")
_RANGE_GOES_ON = re.compile(r"\s+(?:\.\.+|…)\s*(?=\S)")
_MINUSES = "-\u2212\u2013\uff0d"
_STOP = frozenset(
    # English, German, French, Spanish, Italian: words that say nothing by themselves in any of these.
    """
    a an and any are as at be by for from had has have he her his i in into is it its my near of on or our she so
    some than that the their them then there these they this those to was we were what where which who with you your
    der das den dem des ein eine einen einem einer und im am mit von vom zu zum zur auf aus bei ist sind ich wir
    le la les un une et du de en dans au aux avec sur el los las una y del con por para il lo gli di da e nel della
    """.split()  # noqa: SIM905 - thirty lines of one word each say no more
)


def read(text: str) -> Query:
    """Read a query. Raises QueryError."""
    return _Reader(text.translate(_DIRECTIONS)).read()


@dataclass
class _Reader:
    text: str
    at: int = 0
    found: list[tuple[Word, bool]] = field(default_factory=list)
    must: list[Named] = field(default_factory=list)
    must_not: list[Named] = field(default_factory=list)
    like: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def read(self) -> Query:
        while self._skip_spaces():
            self._term()
        chosen = [word for word, is_stop in self.found if not is_stop] or [word for word, _ in self.found]
        query = Query(
            words=tuple({word.ways[0]: word for word in chosen}.values())[:MOST_WORDS],
            must=tuple(self.must),
            must_not=tuple(self.must_not),
            like=tuple(dict.fromkeys(self.like)),
            unlike=tuple(dict.fromkeys(self.unlike)),
            text=" ".join(self.said),
        )
        if not (query.words or query.must or query.must_not or query.like or query.unlike):
            raise QueryError(0, max(1, len(self.text)), "a word to look for is expected", "boats at sunset")
        return query

    def _skip_spaces(self) -> bool:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def _term(self) -> None:
        start = self.at
        is_not = self.text[start] in _MINUSES and start + 1 < len(self.text) and not self.text[start + 1].isspace()
        if is_not:
            self.at += 1
        if self.text[self.at] in _QUOTES:
            self._phrase(is_not, start)
        elif (found := _FIELD.match(self.text, self.at)) and (fold(found[1]) in NAMES or self._goes_on(found.end())):
            self.at += len(found[0])
            self._field(found[1], is_not, start)
        elif (found := _COMPARED.match(self.text, self.at)) and NAMES.get(fold(found[1])) in COMPARED:
            self.at += len(found[0])
            self._skip_spaces()
            self._field(found[1], is_not, start)
        else:
            self._word(is_not, start)

    def _phrase(self, is_not: bool, start: int) -> None:
        quoted, place = self._quoted()
        parts = tuple(words(quoted))
        if not parts:
            raise QueryError(place, max(1, len(quoted)), "words must stand between the quotes", '"red roof"')
        self._add(Phrase(quoted, parts, _as_setting(quoted)), is_not, start)
        if not is_not:
            self.said.append(quoted.strip())

    def _quoted(self) -> tuple[str, int]:
        """Take what stands in quotes; return it, and where it begins."""
        opening = self.at
        own = _QUOTES[self.text[opening]]
        end = self._next(own)
        if end is None and own in _ANY_QUOTE:
            end = self._next(_ANY_QUOTE)
        if end is None:
            raise QueryError(opening, 1, "a quote that is opened here must be closed", '"red roof"')
        self.at = end + 1
        return self.text[opening + 1 : end], opening + 1

    def _next(self, closing: str) -> int | None:
        return next((at for at in range(self.at + 1, len(self.text)) if self.text[at] in closing), None)

    def _field(self, name: str, is_not: bool, start: int) -> None:
        known = field_named(name, start + is_not)
        place = self.at
        quoted = self.at < len(self.text) and self.text[self.at] in _QUOTES
        if quoted:
            value, place = self._quoted()
        else:
            value = self._value(known)
        read = read_value(known, value, place, quoted=quoted)
        if isinstance(read, tuple):
            self._check_number(start)
            (self.unlike if is_not else self.like).extend(read)
        else:
            self._add(read, is_not, start)

    def _value(self, field: str) -> str:
        """Take the value of a field: up to a space, or further where people put spaces within one."""
        place = self.at
        if field == "date" and (length := settings.date_length(self.text, place)):
            self.at += length
        self._up_to_space()
        # As maps write it: 48.86, 2.35
        while field == "near" and self.text[self.at - 1] == "," and self._skip_spaces():
            self._up_to_space()
        if field in COMPARED:
            while _ENDS_IN_A_SIGN.search(self.text[place : self.at]) and self._skip_spaces():
                self._up_to_space()
            if self.at > place and (found := _RANGE_GOES_ON.match(self.text, self.at)):
                self.at = found.end()
                self._up_to_space()
        return self.text[place : self.at]

    def _goes_on(self, at: int) -> bool:
        """Tell whether something stands right behind a colon: `Rome: the market` is text."""
        return at < len(self.text) and not self.text[at].isspace()

    def _up_to_space(self) -> str:
        start = self.at
        while self.at < len(self.text) and not self.text[self.at].isspace():
            self.at += 1
        return self.text[start : self.at]

    def _up_to_the_next_word(self) -> str:
        """Take what stands before a space, or before a comma that is not part of a number."""
        found = _WORD.match(self.text, self.at)
        start, self.at = self.at, found.end() if found else self.at + 1
        return self.text[start : self.at]

    def _word(self, is_not: bool, start: int) -> None:
        begin = self.at
        written = settings.written(self.text, begin)
        if written is None:
            text = self._up_to_the_next_word()
            word = _word(text)
            if not is_not:
                self.said.append(text)
            if word is None:
                return
        else:
            self.at, special = written
            text = self.text[begin : self.at]
            word = Word(text, tuple(dict.fromkeys([*((one,) for one in special), *written_ways(text)])))
            if not is_not:
                self.said.append(text)
        if is_not:
            self._add(Word(word.text, word.ways, text.endswith("*")), is_not, start)
        else:
            self.found.append((word, word.ways[0][0] in _STOP and len(word.ways[0]) == 1 and not text.endswith("*")))

    def _add(self, condition: Condition, is_not: bool, start: int) -> None:
        self._check_number(start)
        (self.must_not if is_not else self.must).append(Named(self.text[start : self.at], condition))

    def _check_number(self, start: int) -> None:
        """Refuse one condition too many."""
        if len(self.must) + len(self.must_not) + len(self.like) + len(self.unlike) >= MOST_CONDITIONS:
            expected = f"no more than {MOST_CONDITIONS} conditions are expected"
            raise QueryError(start, self.at - start, expected, "boats camera:canon,nikon -dog")


def _as_setting(quoted: str) -> tuple[str, ...]:
    """Return the words that stand for a text, where it says a setting or a date and nothing else."""
    text = quoted.strip()
    written = settings.written(text, 0)
    return written[1] if written and written[0] == len(text) else ()


def _word(text: str) -> Word | None:
    """Return a word as it is looked for; None where it has neither letter nor digit nor emoji."""
    found = chunks(text)
    if not found:
        return None
    parts = found[0].parts
    # One letter begins very many words; behind others, as in IMG_2, it is the beginning of a number.
    is_begun = len(parts) > 1 or len(parts[0]) > 1 or is_unspaced(parts[0]) or text.endswith("*")
    month = settings.month_word(parts[0]) if len(parts) == 1 else None
    ways = (parts, *found[0].others, *_one_or_many(parts), *([(month,)] if month else []))
    return Word(text.strip(".,;!?()*"), ways, is_begun)


def _one_or_many(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return a word with or without the `s` that makes it many in most languages of western Europe."""
    if len(parts) > 1 or len(parts[0]) < 4 or not parts[0].isalpha() or not parts[0].isascii():
        return []
    word = parts[0]
    return [] if word.endswith("ss") else [(word[:-1],)] if word.endswith("s") else [(f"{word}s",)]
