"""The filters that our API accepts, translated to Qdrant's.

A filter is a dict from payload field to what its value must be; all fields must match:

    {"camera_make": "Canon"}                           exactly this value
    {"tags": ["sea", "sky"]}                           any of these values
    {"iso": {"gte": 100, "lt": 800}}                   a number in this range (gt, gte, lt, lte)
    {"taken_at": "2023-05"}                            a year, a month, a day, a minute or a second
    {"taken_at": {"gte": "2023-05-04", "lte": "2024"}} from the start of the one to the end of the other
    {"caption": "red portrait"}                        all these words
    {"gps": {"north": 48.9, "south": 48.8, "west": 2.2, "east": 2.4}}   a place in this box, in degrees
    {"gps": {"lat": 48.86, "lon": 2.35, "radius": 500}}                 at most so many metres from there
    {"taken_at": None}                                 the field is unknown

`taken_at` is compared by the camera's clock: a picture of 00:30 on 1 January in Tokyo is of 1 January. Texts are
compared composed (NFC), and found where they were stored before they were composed.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from qdrant_client import models

from core.errors import RequestError
from rules import camera_clock
from rules.many_paths import MORE_PATHS
from rules.payload import GONE_AT, KEEP_UNTIL, PATH_FIELDS
from rules.text import forms

Filters = dict[str, Any]

TEXT_FIELDS = ("caption", "filename")
ALL_GONE: Filters = {GONE_AT: {"gte": "0001"}}
"""What all match that are gone, and no other."""
DATE_FIELDS = ("taken_at", "ingested_at", GONE_AT, KEEP_UNTIL)
TAKEN_LOCAL = "taken_local"
"""`taken_at` by the camera's clock. Points that were stored by version 0.1.0 have none until they are read again."""
EARLIEST = "0001-01-01T00:00:00+23:59"
"""Before every date that a picture may have, whatever its offset."""
_NUMBER_FIELDS = (
    "width",
    "height",
    "file_size",
    "iso",
    "aperture",
    "exposure_time",
    "focal_length",
    "orientation",
    "rating",
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
    "label",
    "people",
    "tags",
    "model_id",
    "job_id",
)
_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_SIDES = ("north", "south", "west", "east")
_CIRCLE = {"lat", "lon", "radius"}


def to_filter(filters: Filters, without: str | None = None, lists: Sequence[str] = ()) -> models.Filter | None:
    """Return Qdrant's form of `filters`; None where all points match.

    `without`: the id of a point that is left out. `lists`: the names of the lists of further paths in which one of the
    wanted `paths` was found: points with such a list match too. Raises RequestError(422), which names the field, for an
    unknown field or a value of an unknown shape.
    """
    conditions = [_condition(field, wanted) for field, wanted in filters.items() if field != "paths" or not lists]
    if lists:
        beside = models.FieldCondition(key=MORE_PATHS, match=models.MatchAny(any=list(lists)))
        conditions.append(_any([_condition("paths", filters["paths"]), beside]))
    if without is not None:
        conditions.append(models.Filter(must_not=[models.HasIdCondition(has_id=[without])]))
    return models.Filter(must=conditions) if conditions else None


def _words(field: str, text: str) -> models.Condition:
    return _any([models.FieldCondition(key=field, match=models.MatchText(text=form)) for form in forms(text)])


def _any(conditions: list[models.Condition]) -> models.Condition:
    return conditions[0] if len(conditions) == 1 else models.Filter(should=conditions)


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
    return _words(field, wanted)


def _exact_condition(field: str, wanted: Any) -> models.Condition:
    match wanted:
        case str():
            return _is_exactly(field, wanted)
        case [_, *_] if all(isinstance(value, str) for value in wanted):
            return _any([_is_exactly(field, value) for value in wanted])
    raise _wrong_shape(field, "a text or a list of texts")


def _is_exactly(field: str, value: str) -> models.Condition:
    return _any([_is(field, form) for form in ([value] if field in PATH_FIELDS else forms(value))])


def _is(field: str, value: str) -> models.Condition:
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


def _taken_condition(field: str, wanted: Any) -> models.Condition:
    """By the camera's clock; for points that have none yet, by the instant, as they were compared before."""
    limits = _limits(field, wanted, _on_the_clock)
    instants = date_range(field, **_limits(field, wanted, _instants))
    unread = models.Filter(must=[instants], must_not=[date_range(TAKEN_LOCAL, gte=EARLIEST)])
    return models.Filter(should=[date_range(TAKEN_LOCAL, **limits), unread])


def _date_condition(field: str, wanted: Any) -> models.Condition:
    return date_range(field, **_limits(field, wanted, _instants))


def _on_the_clock(text: str) -> tuple[datetime, datetime]:
    first, last = camera_clock.span(text)
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)


def _instants(text: str) -> tuple[datetime, datetime]:
    """Return the first and last microsecond of a date; one without an offset is taken for UTC."""
    first, last = camera_clock.span(text)
    zone = camera_clock.offset(text) or UTC
    return first.replace(tzinfo=zone), last.replace(tzinfo=zone)


def _limits(field: str, wanted: Any, span: Callable[[str], tuple[datetime, datetime]]) -> dict[str, datetime]:
    if isinstance(wanted, str):
        wanted = {"gte": wanted, "lte": wanted}
    if not _is_range(wanted) or not all(isinstance(bound, str) for bound in wanted.values()):
        raise _wrong_shape(field, 'a date such as "2023-05" or a range such as {"gte": "2023-05-04", "lt": "2024"}')
    limits: dict[str, datetime] = {}
    for bound, text in wanted.items():
        try:
            first, last = span(text)
        except (ValueError, OverflowError) as error:
            raise RequestError(
                f"The filter {field!r} has {text!r}, which is not a date or time of the years 1 to 9999.", status=422
            ) from error
        limits[bound] = first if bound in ("gte", "lt") else last
    return limits


def date_range(field: str, **bounds: datetime | str) -> models.FieldCondition:
    """Make the condition that a date lies within bounds."""
    return models.FieldCondition(key=field, range=models.DatetimeRange.model_validate(bounds))


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
    "taken_at": _taken_condition,
    **dict.fromkeys(("ingested_at", GONE_AT, KEEP_UNTIL), _date_condition),
    "gps": _place_condition,
}
