"""What is asked of a field: `camera:canon`, `date:2024-05..2024-08`, `rating:>=4`, `has:gps`, `near:48.86,2.35,5`."""

import math
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from rules import camera_clock
from rules.search import settings
from rules.search.field_names import wrong
from rules.search.folding import fold
from rules.search.lookup import ways_of
from rules.search.query import Condition, InField, Known, Wanted

_IN_FIELD = {
    "camera": "camera",
    "lens": "lens",
    "tag": "tags",
    "person": "people",
    "title": "title",
    "caption": "caption",
    "description": "description",
    "name": "filename",
    "folder": "folder",
    "label": "label",
    "format": "format",
}
# Of the others people remember words, and not how they are written together: `lens:"50mm f/1.8"` is an EF50mm f/1.8.
_OF_PROSE = frozenset({"tag", "person", "title", "caption", "description", "label"})
_HAS = {
    **dict.fromkeys(("gps", "location", "place", "position"), ("gps",)),
    **dict.fromkeys(("date", "time", "taken"), ("taken_at",)),
    **dict.fromkeys(("tag", "tags", "keyword", "keywords"), ("tags",)),
    **dict.fromkeys(("person", "people", "face", "faces"), ("people",)),
    **dict.fromkeys(("camera", "make", "model"), ("camera_make", "camera_model")),
    **{name: (name,) for name in ("lens", "rating", "label", "title", "caption", "description", "iso")},
}
_RANGE = re.compile(r"(?P<low>.*?)(?:\.\.+|…|\u2013)(?P<high>.*)", re.DOTALL)
_OR_MORE = re.compile(r"([^+]+)\+\s*")
_COMPARED = re.compile(r"\s*(?P<sign><=|>=|=<|=>|<|>|=|≤|≥)\s*(?P<value>.*)", re.DOTALL)
_SIGNS = {"<": "lt", "<=": "lte", "=<": "lte", "≤": "lte", ">": "gt", ">=": "gte", "=>": "gte", "≥": "gte"}
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(km|m|mi)?", re.IGNORECASE)
_METRES = {"km": 1000.0, "m": 1.0, "mi": 1609.344}
_TO_METRES = 20_037_508.0
"""Half of the way around the earth: everything is nearer."""


def read_value(field: str, value: str, at: int, *, quoted: bool) -> Condition | tuple[str, ...]:
    """Return what a value of a field asks for; of `like` the ids.

    `at`: where in the query the value stands. `quoted`: it stands in quotes, so that a comma is part of it.
    Raises QueryError.
    """
    if not value.strip():
        raise wrong(field, value, at, f"a value must stand right behind {field}:")
    if field == "near":
        return _near(value, at)
    if field in _IN_FIELD:
        return _in_field(field, value, at, quoted=quoted)
    if field == "like":
        return tuple(_id(one, place) for one, place in _listed(value, at))
    if field == "has":
        return _has(value, at)
    found = []
    for one, place in _listed(value, at):
        found.append(_date(one, place) if field == "date" else _numbers(field, one, place))
    payload_field = {
        "date": "taken_at", "focal": "focal_length", "exposure": "exposure_time"
    }.get(field, field)  # fmt: skip
    return Wanted(payload_field, tuple(found))


def _id(text: str, at: int) -> str:
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise wrong("like", text, at, "the id of a picture is expected") from None


def _listed(value: str, at: int) -> list[tuple[str, int]]:
    """Cut a list at its commas; each with its place. What is empty is left out."""
    found = _placed(value, at)
    return [(one, place) for one, place in found if one.strip()] or found[:1]


def _placed(value: str, at: int) -> list[tuple[str, int]]:
    found, place = [], at
    for one in value.split(","):
        found.append((one, place))
        place += len(one) + 1
    return found


def _in_field(field: str, value: str, at: int, *, quoted: bool) -> InField:
    ways: list[tuple[str, ...]] = []
    is_begun = value.endswith("*") or (field in ("name", "folder") and not quoted)
    for one, place in [(value, at)] if quoted else _listed(value, at):
        found = written_ways(one)
        if not found:
            raise wrong(field, one, place, f"{field}: needs a word")
        ways += found
    return InField(_IN_FIELD[field], tuple(ways), is_begun, quoted and field in _OF_PROSE)


def written_ways(text: str) -> list[tuple[str, ...]]:
    """Return the ways to write a text of some chunks: each chunk as it is, or all in another way."""
    parts = text.split()
    each = [list(ways_of(part)) for part in parts]
    each = [ways for ways in each if ways]
    if not each:
        return []
    plain = tuple(word for ways in each for word in ways[0])
    others = [tuple(word for ways in each for word in ways[-1])]
    joined = list(ways_of("".join(parts)))[:1] if len(parts) > 1 else [way for ways in each for way in ways[1:]]
    return list(dict.fromkeys([plain, *others, *joined]))


def _has(value: str, at: int) -> Known:
    fields: list[str] = []
    for one, place in _listed(value, at):
        known = _HAS.get(fold(one.strip()))
        if known is None:
            names = "gps, date, tags, people, camera, lens, rating, label, title, caption, description, iso"
            raise wrong("has", one, place, f"one of {names} is expected")
        fields += known
    return Known(tuple(fields))


def _near(value: str, at: int) -> Wanted:
    pieces = _placed(value, at)
    if len(pieces) not in (2, 3):
        raise wrong("near", value, at, "latitude, longitude and a distance in km are expected")
    (lat, lat_at), (lon, lon_at) = pieces[:2]
    latitude, longitude = _degrees(lat, lat_at, 90, "NS"), _degrees(lon, lon_at, 180, "EW")
    radius = 1000.0
    if len(pieces) == 3:
        far, far_at = pieces[2]
        found = _DISTANCE.fullmatch(far.strip())
        if found is None or not (radius := float(found[1]) * _METRES[(found[2] or "km").lower()]) > 0:
            raise wrong("near", far, far_at, "a distance above 0 in km is expected")
    return Wanted("gps", ({"lat": latitude, "lon": longitude, "radius": min(radius, _TO_METRES)},))


def _degrees(text: str, at: int, most: float, sides: str) -> float:
    bare = text.strip().rstrip("°").strip()
    side = bare[-1:].upper()
    if side and side in sides:
        bare = bare[:-1].rstrip("° ")
    try:
        found = float(bare)
    except ValueError:
        found = math.nan
    if not abs(found) <= most:
        kind = "a latitude" if most == 90 else "a longitude"
        raise wrong("near", text, at, f"{kind} from -{most:g} to {most:g} degrees is expected")
    return -found if side and side == sides[1] else found


def _bounds(
    field: str, value: str, at: int, read: Callable[[str, int], Any], order: Callable[[Any], Any]
) -> dict[str, Any] | None:
    """Read a range or a comparison; None for a plain value."""
    if found := _COMPARED.fullmatch(value):
        sign, text = found["sign"], found["value"]
        if not text.strip():
            raise wrong(field, sign, at + found.start("sign"), f"a value must stand behind {sign}")
        one = read(text, at + found.start("value"))
        return {_SIGNS[sign]: one} if sign in _SIGNS else None
    if found := _OR_MORE.fullmatch(value):
        return {"gte": read(found[1], at)}
    if found := _RANGE.fullmatch(value):
        low, high = found["low"], found["high"]
        if not low.strip() and not high.strip():
            raise wrong(field, value, at, "a range needs one end at least")
        bounds: dict[str, Any] = {}
        if low.strip():
            bounds["gte"] = read(low, at)
        if high.strip():
            bounds["lte"] = read(high, at + found.start("high"))
        if len(bounds) == 2 and order(bounds["gte"]) > order(bounds["lte"]):
            raise wrong(field, value, at, "the range ends before it begins")
        return bounds
    return None


def _date(value: str, at: int) -> Any:
    def read(text: str, place: int) -> str:
        stripped = text.strip()
        found = settings.written(stripped, 0)
        day = found[1][0] if found and found[0] == len(stripped) else stripped.replace("/", "-")
        try:
            camera_clock.span(day)
        except (ValueError, OverflowError):
            raise wrong("date", text, place, "a year, month or day is expected") from None
        return day

    bounds = _bounds("date", value, at, read, lambda day: camera_clock.span(day)[0])
    if bounds is not None:
        return bounds
    return read(value.strip().lstrip("="), at)


_LIMITS = {
    "rating": (-1.0, 5.0, "stars from -1 (rejected) to 5 are expected"),
    "iso": (1.0, 1e8, "a number such as 100 is expected"),
    "aperture": (0.1, 1000.0, "an f-number such as 2.8 is expected"),
    "focal": (0.1, 100_000.0, "a focal length in mm is expected"),
    "exposure": (1e-7, 1e6, "a time such as 1/250 or 2s is expected"),
    "width": (1.0, 1e7, "a number of pixels is expected"),
    "height": (1.0, 1e7, "a number of pixels is expected"),
}
_UNITS = {
    "rating": re.compile(r"(?:stars?|\*)$", re.IGNORECASE),
    "iso": re.compile(r"^iso[\s-]?", re.IGNORECASE),
    "aperture": re.compile(r"^[fƒ]\s?/?\s?", re.IGNORECASE),
    "focal": re.compile(r"\s?mm$", re.IGNORECASE),
    "exposure": re.compile(r"\s?(?:s|sec|secs|seconds?)$", re.IGNORECASE),
    "width": re.compile(r"\s?px$", re.IGNORECASE),
    "height": re.compile(r"\s?px$", re.IGNORECASE),
}
_PLAIN = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)")


def _numbers(field: str, value: str, at: int) -> Any:
    low, high, expected = _LIMITS[field]

    def read(text: str, place: int) -> float:
        bare = _UNITS[field].sub("", text.strip()).strip()
        over = 1.0
        if field == "exposure" and "/" in bare:
            top, _, bottom = bare.partition("/")
            bare, over = top.strip(), float(bottom) if _PLAIN.fullmatch(bottom.strip()) else math.nan
        found = float(bare) / over if _PLAIN.fullmatch(bare) and over else math.nan
        if not low <= found <= high:
            raise wrong(field, text, place, expected)
        return found

    bounds = _bounds(field, value, at, read, lambda number: number)
    if bounds is not None:
        return _loosened(field, bounds)
    exactly = read(value.strip().lstrip("="), at)
    return _loosened(field, {"gte": exactly, "lte": exactly})


def _loosened(field: str, bounds: dict[str, float]) -> dict[str, float]:
    """Widen bounds by what cameras round: 1/250 s is stored as 0.004, 50 mm perhaps as 49.8."""
    by = {"aperture": 0.02, "focal": 0.01, "exposure": 0.03}.get(field, 0.0)
    outwards = {"gte": 1 - by, "lt": 1 - by, "lte": 1 + by, "gt": 1 + by}
    return {bound: value * outwards[bound] for bound, value in bounds.items()}
