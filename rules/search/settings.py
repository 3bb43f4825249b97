"""What people write of a camera's settings and of time, and the words that stand for it beside a picture.

A picture at ISO 100, 50 mm, f/2.8 and 1/250 s of 5 October 2018 has the words `iso100`, `50mm`, `f2.8`, `1/250`,
`2018`, `2018-10`, `2018-10-05` and `m10`, whatever people call the month.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from rules import camera_clock
from rules.search.folding import fold

# In the languages that write the same letters, folded. Short forms are written with a year only.
_MONTHS = (
    "january januar janvier enero gennaio januari janeiro",
    "february februar fevrier febrero febbraio februari fevereiro",
    "march marz mars marzo maart marco maerz",
    "april avril abril aprile",
    "may mai mayo maggio mei maio",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august aout agosto augustus",
    "september septembre septiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember decembre diciembre dicembre dezembro",
)
MONTHS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_SHORT = {
    **{name[:3]: number for number, names in enumerate(_MONTHS, 1) for name in names.split()[:1]},
    "sept": 9,
    "okt": 10,
    "oct": 10,
    "dez": 12,
    "mai": 5,
    "janv": 1,
    "fevr": 2,
    "juil": 7,
    "ene": 1,
    "ago": 8,
}
# Months that are words of their own: they mean the month where a day or year stands beside them.
_AMBIGUOUS = frozenset({"may", "march", "mars", "mai", "mei", "marco", "august"})

_YEAR = r"(?P<year>(?:1[89]|20)\d\d)"
_NAME = r"(?P<name>[^\W\d_]{3,12})\.?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|\.|er)?"
_NUMBER = r"\d+(?:[.,]\d+)?"
_END = r"(?=[\s,;)!?]|\.(?:\s|$)|$)"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text + _END, re.IGNORECASE)


def _date(found: re.Match[str]) -> str | None:
    parts = found.groupdict()
    name = parts.get("name")
    month = parts["month"] if name is None else str(month_of(name) or 0)
    if parts.get("day"):
        return _day(parts["year"], month, parts["day"])
    day = _day(parts["year"], month, "1")
    return day and day[:7]


def _day(year: str, month: str, day: str) -> str | None:
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def month_of(name: str) -> int | None:
    """Return the number of a month by its name, or a short form of it."""
    folded = fold(name).rstrip(".")
    return MONTHS.get(folded) or _SHORT.get(folded)


def _number(text: str) -> str:
    return f"{float(text.replace(',', '.')):g}"


_DATES = [
    _pattern(text)
    for text in (
        rf"{_DAY}\s+(?:of\s+|de\s+)?{_NAME}\s*,?\s+(?:de\s+)?{_YEAR}",
        rf"{_NAME}\s+{_DAY}\s*,?\s+{_YEAR}",
        rf"{_NAME}(?:\s*,?\s+|-)(?:of\s+|de\s+)?{_YEAR}",
        rf"{_YEAR}\s+{_NAME}",
        rf"{_YEAR}[-/.:](?P<month>\d\d?)[-/.:]{_DAY}",
        rf"{_YEAR}[-/.](?P<month>\d\d?)",
        rf"{_DAY}\.\s?(?P<month>\d\d?)\.\s?{_YEAR}",
        rf"(?P<month>\d\d?)[-/.]{_YEAR}",
    )
]
_YEAR_ALONE = re.compile(rf"{_YEAR}\s")
_EITHER = _pattern(rf"(?P<one>\d\d?)[-/](?P<other>\d\d?)[-/]{_YEAR}")
_LENGTHS = re.compile(r"(\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?)\s?mm", re.IGNORECASE)
_STOPS = re.compile(r"(?:(?<![a-z])|(?<=mm))f/?\s?(\d+(?:\.\d+)?)", re.IGNORECASE)
_SETTINGS: list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = [
    (_pattern(r"iso[\s-]?(\d{1,7})"), lambda found: f"iso{int(found[1])}"),
    (_pattern(rf"({_NUMBER})\s?mm"), lambda found: f"{_number(found[1])}mm"),
    (_pattern(rf"[fƒ]\s?/?\s?({_NUMBER})"), lambda found: f"f{_number(found[1])}"),
    (_pattern(r"1/(\d{1,6})(?:\s?(?:s|sec|secs|seconds?))?"), lambda found: f"1/{int(found[1])}"),
    (_pattern(rf"({_NUMBER})\s?(?:s|sec|secs|seconds?)"), lambda found: f"{_number(found[1])}s"),
]


def written(text: str, at: int) -> tuple[int, tuple[str, ...]] | None:
    """Return where what people write of settings or time ends, if it begins at a place, and the words for it.

    Several where it can be read in several ways: 05/10/2018 is a day of May or of October.
    """
    for pattern in _DATES:
        if (found := pattern.match(text, at)) and (day := _date(found)):
            return found.end(), (day,)
    if found := _EITHER.match(text, at):
        days = [_day(found["year"], found[month], found[day]) for day, month in (("one", "other"), ("other", "one"))]
        if known := tuple(dict.fromkeys(day for day in days if day)):
            return found.end(), known
    for setting, word in _SETTINGS:
        if found := setting.match(text, at):
            return found.end(), (word(found),)
    return None


def date_length(text: str, at: int) -> int:
    """Return how long a date is that begins at a place and has spaces within, as `5 October 2018`; 0 for another.

    A year is a date without what follows it: behind `2024`, `may` may be a word.
    """
    if _YEAR_ALONE.match(text, at):
        return 0
    lengths = [found.end() - at for pattern in _DATES if (found := pattern.match(text, at)) and _date(found)]
    return next((length for length in lengths if " " in text[at : at + length].strip()), 0)


def of_lens(name: str) -> list[str]:
    """Return the words for focal lengths and apertures in the name of a lens, such as `XF50mmF2 R WR`."""
    found = [f"{_number(mm)}mm" for lengths in _LENGTHS.findall(name) for mm in lengths.split("-")]
    return list(dict.fromkeys([*found, *(f"f{_number(stop)}" for stop in _STOPS.findall(name))]))


def month_word(part: str) -> str | None:
    """Return the word for a month that is named without a year; None where it may well be another word."""
    number = MONTHS.get(part)
    return None if number is None or part in _AMBIGUOUS else f"m{number:02}"


def of_picture(payload: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the words for settings and time of a picture, by the field of its payload."""
    found = {
        "iso": _words(payload.get("iso"), lambda iso: [f"iso{iso:g}"]),
        "focal_length": _words(
            payload.get("focal_length"), lambda mm: [f"{round(mm, digits):g}mm" for digits in (2, 1, 0)]
        ),
        "aperture": _words(payload.get("aperture"), lambda f: [f"f{f:g}", f"f{round(f, 1):g}"]),
        "exposure_time": _words(payload.get("exposure_time"), _exposure),
        "taken_at": _time(payload.get("taken_at")),
    }
    return {field: list(dict.fromkeys(some)) for field, some in found.items() if some}


def _words(value: Any, spelt: Callable[[float], list[str]]) -> list[str]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return spelt(value) if is_number and math.isfinite(value) and 0 < value < 1e9 else []


def _exposure(seconds: float) -> list[str]:
    if seconds > 0.3:  # cameras show fractions below
        return [f"{seconds:g}s", f"{round(seconds, 1):g}s"]
    return [f"1/{round(1 / seconds)}"] if seconds > 1e-6 else []


def _time(taken_at: Any) -> list[str]:
    if not isinstance(taken_at, str):
        return []
    try:
        first, last = camera_clock.span(taken_at)
    except (ValueError, OverflowError):
        return []
    year, month, day = (first.isoformat()[:length] for length in (4, 7, 10))
    if first.month != last.month:
        return [year]
    return [year, month, f"m{first.month:02}"] + ([day] if first.day == last.day else [])
