"""The filters that our API accepts, translated to Qdrant's.

A filter is a dict from payload field to what its value must be; all fields must match:

    {"camera_make": "Canon"}                           exactly this value
    {"tags": ["sea", "sky"]}                           any of these values
    {"iso": {"gte": 100, "lt": 800}}                   a number in this range (gt, gte, lt, lte)
    {"taken_at": "2023-05"}                            a year, a month, a day, or an instant
    {"taken_at": {"gte": "2023-05-04", "lte": "2024"}} from the start of the one to the end of the other
    {"caption": "red portrait"}                        all these words
    {"gps": {"north": 48.9, "south": 48.8, "west": 2.2, "east": 2.4}}   a place in this box, in degrees
    {"gps": {"lat": 48.86, "lon": 2.35, "radius": 500}}                 at most so many metres from there
    {"taken_at": None}                                 the field is unknown
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from qdrant_client import models

from errors import RequestError

Filters = dict[str, Any]

TEXT_FIELDS = ("caption", "filename", "camera_words")
DATE_FIELDS = ("taken_at", "ingested_at")
_NUMBER_FIELDS = (
    "width",
    "height",
    "file_size",
    "iso",
    "aperture",
    "exposure_time",
    "focal_length",
    "orientation",
)
_EXACT_FIELDS = (
    "filename",
    "full_path",
    "paths",
    "file_hash",
    "format",
    "mode",
    "camera_make",
    "camera_model",
    "lens",
    "tags",
    "model_id",
    "job_id",
)
_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_SIDES = ("north", "south", "west", "east")
_CIRCLE = {"lat", "lon", "radius"}
_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")


def to_filter(filters: Filters, without: str | None = None) -> models.Filter | None:
    """Qdrant's form of `filters`, and of all points but the one with the id `without`; None for all points.

    Raises RequestError(422) that names the field for an unknown field or a value of an unknown shape.
    """
    conditions = [_condition(field, wanted) for field, wanted in filters.items()]
    if without is not None:
        conditions.append(models.Filter(must_not=[models.HasIdCondition(has_id=[without])]))
    return models.Filter(must=conditions) if conditions else None


def keyword_filter(query: str, filters: Filters) -> models.Filter:
    """Points where every word of `query` is found in some text field or date, and `filters` hold.

    Words match whole, without regard to case. A word that is a year, month or day (`2023`, `2023-05`,
    `2023-05-04`) also matches photographs taken then. Raises RequestError(422) for a query without words.
    """
    words = [word for word in query.split() if any(character.isalnum() for character in word)]
    if not words:
        raise RequestError("The query has no words to search for.", status=422)
    must: list[models.Condition] = [models.Filter(should=_places_of(word)) for word in words]
    narrowed = to_filter(filters)
    return models.Filter(must=[*must, narrowed] if narrowed else must)


def _places_of(word: str) -> list[models.Condition]:
    places: list[models.Condition] = [
        models.FieldCondition(key=field, match=models.MatchText(text=word)) for field in TEXT_FIELDS
    ]
    if _DATE.fullmatch(word):
        try:
            places.append(_date_condition("taken_at", word))
        except RequestError:
            return places  # digits like 2023-99: no date, but perhaps part of a file name
    return places


def _condition(field: str, wanted: Any) -> models.Condition:
    translate = _TRANSLATORS.get(field)
    if translate is None:
        known = ", ".join(sorted(_TRANSLATORS))
        raise RequestError(f"Cannot filter by {field!r}. Fields: {known}.", status=422)
    if wanted is None:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))
    return translate(field, wanted)


def _text_condition(field: str, wanted: Any) -> models.Condition:
    if not isinstance(wanted, str):
        raise _wrong_shape(field, "words")
    return models.FieldCondition(key=field, match=models.MatchText(text=wanted))


def _exact_condition(field: str, wanted: Any) -> models.Condition:
    match wanted:
        case str():
            return _is_exactly(field, wanted)
        case [_, *_] if all(isinstance(value, str) for value in wanted):
            return models.Filter(should=[_is_exactly(field, value) for value in wanted])
    raise _wrong_shape(field, "a text or a list of texts")


def _is_exactly(field: str, value: str) -> models.Condition:
    exact = models.FieldCondition(key=field, match=models.MatchValue(value=value))
    if field not in TEXT_FIELDS or not any(character.isalnum() for character in value):
        return exact
    # The index of a file name knows words only: it finds the candidates, or every payload would be read.
    return models.Filter(must=[models.FieldCondition(key=field, match=models.MatchText(text=value)), exact])


def _number_condition(field: str, wanted: Any) -> models.Condition:
    if _is_number(wanted):
        wanted = {"gte": wanted, "lte": wanted}
    if not _is_range(wanted) or not all(_is_number(bound) for bound in wanted.values()):
        raise _wrong_shape(field, 'a number or a range such as {"gte": 100, "lt": 800}')
    return models.FieldCondition(key=field, range=models.Range(**wanted))


def _date_condition(field: str, wanted: Any) -> models.Condition:
    if isinstance(wanted, str):
        wanted = {"gte": wanted, "lte": wanted}
    if not _is_range(wanted) or not all(isinstance(bound, str) for bound in wanted.values()):
        raise _wrong_shape(field, 'a date such as "2023-05" or a range such as {"gte": "2023-05-04", "lt": "2024"}')
    limits: dict[str, datetime] = {}
    for bound, text in wanted.items():
        first, after = _span(field, text)
        if after is None:
            limits[bound] = first
        else:
            limits["lt" if bound in ("lt", "lte") else "gte"] = first if bound in ("gte", "lt") else after
    return models.FieldCondition(key=field, range=models.DatetimeRange(**limits))


def _span(field: str, text: str) -> tuple[datetime, datetime | None]:
    """First instant of a year, month or day and the first one after it; an instant alone has no second."""
    try:
        if parts := _DATE.fullmatch(text):
            year, month, day = (int(part) if part else None for part in parts.groups())
            assert year is not None  # noqa: S101  # the pattern has it; this tells mypy
            first = date(year, month or 1, day or 1)
            if day:
                after = first + timedelta(days=1)
            elif month:
                after = date(year + month // 12, month % 12 + 1, 1)
            else:
                after = date(year + 1, 1, 1)
            return _midnight(first), _midnight(after)
        return datetime.fromisoformat(text), None
    except (ValueError, OverflowError) as error:
        raise RequestError(f"The filter {field!r} has {text!r}, which is not a date or time.", status=422) from error


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _place_condition(field: str, wanted: Any) -> models.Condition:
    if isinstance(wanted, dict) and all(_is_number(value) for value in wanted.values()):
        if set(wanted) == set(_SIDES) and _are_on_earth(
            wanted["north"], wanted["south"], wanted["west"], wanted["east"]
        ):
            box = models.GeoBoundingBox(
                top_left=models.GeoPoint(lat=wanted["north"], lon=wanted["west"]),
                bottom_right=models.GeoPoint(lat=wanted["south"], lon=wanted["east"]),
            )
            return models.FieldCondition(key=field, geo_bounding_box=box)
        if (
            set(wanted) == _CIRCLE
            and _are_on_earth(wanted["lat"], wanted["lat"], wanted["lon"])
            and wanted["radius"] >= 0
        ):
            center = models.GeoPoint(lat=wanted["lat"], lon=wanted["lon"])
            return models.FieldCondition(key=field, geo_radius=models.GeoRadius(center=center, radius=wanted["radius"]))
    raise _wrong_shape(
        field,
        'a box {"north", "south", "west", "east"} in degrees, or {"lat", "lon", "radius"} with a radius in metres',
    )


def _are_on_earth(north: float, south: float, *longitudes: float) -> bool:
    return 90 >= north >= south >= -90 and all(-180 <= longitude <= 180 for longitude in longitudes)


def _is_range(wanted: Any) -> bool:
    return isinstance(wanted, dict) and bool(wanted) and _BOUNDS.issuperset(wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong_shape(field: str, shape: str) -> RequestError:
    return RequestError(f"The filter {field!r} must be {shape}, or null for unknown.", status=422)


_TRANSLATORS: dict[str, Callable[[str, Any], models.Condition]] = {
    "caption": _text_condition,
    **dict.fromkeys(_EXACT_FIELDS, _exact_condition),
    **dict.fromkeys(_NUMBER_FIELDS, _number_condition),
    **dict.fromkeys(DATE_FIELDS, _date_condition),
    "gps": _place_condition,
}
