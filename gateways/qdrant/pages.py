"""Reading a collection page by page, in the order of ids, of a date, a number or a name, without missing a point.

Qdrant gives no cursor for a sorted read, sorts by one number or date only, and leaves out points that lack it. An
order here may have several keys, compared one after the other, then the id. So the cursor says where reading goes on:

    sorted     in each order of the sort, points that have the values `equal` in the first keys, and in the next key a
               value beyond `beyond`; where all keys are in `equal`, points from `after_id` on: a burst of photographs
               may share one second
    missing    points without the sort's fields, by id: they come last

A point is named by its own values, not by its number in a list: points that come and go meanwhile move no other.

A sort by date has two orders that are read as one: by the camera's clock, and, of points that have none until they
are read again, by the instant.
"""

import base64
import binascii
import heapq
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from qdrant_client import models

from core.errors import RequestError, wrong_cursor
from gateways.qdrant.filters import EARLIEST, TAKEN_LOCAL
from rules.name_key import PARTS
from rules.payload import GONE_AT

Order = tuple[str, ...]
"""Payload fields that are compared, one after the other."""


def _name(field: str) -> Order:
    return tuple(f"{field}.{part}" for part in PARTS)


SORTS: dict[str, tuple[Order, ...]] = {
    "taken_at": ((TAKEN_LOCAL,), ("taken_at",)),
    "ingested_at": (("ingested_at",),),
    "filename": (_name("name_key"),),
    GONE_AT: ((GONE_AT,),),
    "rating": (("rating",),),
    "label": (_name("label_key"),),
    "people": (_name("people_key"),),
}
"""What can be sorted by, and the orders that make it: of points that lack the first, the next."""

_LOWEST: dict[str, str | int] = {
    **dict.fromkeys(("taken_at", "ingested_at", GONE_AT), EARLIEST),
    **dict.fromkeys(("filename", "label", "people"), 0),
    "rating": -(1 << 53),
}


_EDGE = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """How far one order is read."""

    equal: Sequence[Any] = ()
    beyond: Any = None
    after_id: str | None = None


@dataclass(frozen=True)
class Cursor:
    """Where the next page starts; `sort` as it was asked for, None: by id. An order that was read has no place."""

    sort: str | None
    phase: Literal["id", "sorted", "missing"]
    places: Sequence[Place | None] = ()
    after_id: str | None = None


class Scroll(Protocol):
    """One read of a collection: records in the order of ids, or of `order_by`, and the next id."""

    async def __call__(
        self, where: models.Filter, limit: int, offset: str | None, order_by: models.OrderBy | None
    ) -> tuple[list[models.Record], str | None]:
        """Read up to `limit` records; `offset` is the first id, and cannot go with `order_by`."""


async def read_page(
    scroll: Scroll, where: models.Filter | None, sort: str | None, limit: int, cursor: str | None
) -> tuple[list[models.Record], str | None]:
    """Return the page at `cursor` (None: the first) and the cursor of the next one (None: it was the last).

    `sort` is one of SORTS, with a leading `-` for the other direction; None: by id.
    Raises RequestError(422) for an unknown sort and for a cursor that this function did not make.
    """
    base = where or models.Filter()
    if sort is not None and sort.removeprefix("-") not in SORTS:
        choices = ", ".join(f"{field}, -{field}" for field in SORTS)
        raise RequestError(f"Cannot sort by {sort[:80]!r}. Sorts: {choices}.", status=422)
    if cursor:
        at = _decode(cursor, sort)
    elif sort is None:
        at = Cursor(None, "id")
    else:
        at = Cursor(sort, "sorted", [Place() for _ in SORTS[sort.removeprefix("-")]])
    page: list[models.Record] = []
    if sort is not None and at.phase == "sorted":
        page, places = await _read_orders(scroll, base, sort, limit, at.places)
        if any(places):
            return page, _encode(replace(at, places=places))
        at = Cursor(sort, "missing")
        if len(page) == limit:
            return page, _encode(at)
    if sort is not None:
        base = models.Filter(must=[base], must_not=_known(sort, len(SORTS[sort.removeprefix("-")])))
    records, following = await scroll(base, limit - len(page), at.after_id, None)
    return page + records, _encode(replace(at, after_id=following)) if following else None


async def _read_orders(
    scroll: Scroll, base: models.Filter, sort: str, limit: int, places: Sequence[Place | None]
) -> tuple[list[models.Record], list[Place | None]]:
    """Read the orders of a sort as one."""
    orders = SORTS[sort.removeprefix("-")]
    is_falling = sort.startswith("-")
    reads = [
        _Order(scroll, models.Filter(must=[base], must_not=_known(sort, number)), orders[number], sort)
        for number in range(len(orders))
    ]
    found = [await read.page(limit, place) if place else ([], None) for read, place in zip(reads, places, strict=True)]
    if sum(bool(records) for records, _ in found) < 2:
        return [record for records, _ in found for record in records], [place for _, place in found]
    compared = [
        [(_instant(record, keys[0]), number, record) for record in records]
        for number, (keys, (records, _)) in enumerate(zip(orders, found, strict=True))
    ]
    merged = list(heapq.merge(*compared, key=lambda one: one[0], reverse=is_falling))[:limit]
    after: list[Place | None] = []
    for number, (place, (records, following)) in enumerate(zip(places, found, strict=True)):
        taken = sum(1 for _, source, _ in merged if source == number)
        if place is None or taken == len(records):
            after.append(following)
        else:
            # Less of it fits than was read: once more, for the place behind that.
            after.append((await reads[number].page(taken, place))[1] if taken else place)
    return [record for _, _, record in merged], after


def _known(sort: str, orders: int) -> list[models.Condition]:
    """Conditions that hold for points that the first so many orders of a sort have."""
    name = sort.removeprefix("-")
    return [_range(keys[0], gte=_LOWEST[name]) for keys in SORTS[name][:orders]]


def _instant(record: models.Record, key: str) -> datetime:
    try:
        found = datetime.fromisoformat(_value(record, key))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return _EDGE  # a form that Qdrant reads and Python does not, or a date at the edge of what there is


class _Order:
    """Reading of points in one order."""

    def __init__(self, scroll: Scroll, base: models.Filter, keys: Order, sort: str) -> None:
        self._scroll = scroll
        self._base = base
        self._keys = keys
        self._is_falling = sort.startswith("-")

    async def page(self, limit: int, at: Place) -> tuple[list[models.Record], Place | None]:
        """Read up to `limit` points, and the place behind them; None: there are no more."""
        page: list[models.Record] = []
        place: Place | None = at
        while place is not None and (room := limit - len(page)) > 0:
            records, place = await self._some(room, place)
            page += records
        return page, place

    async def _some(self, room: int, at: Place) -> tuple[list[models.Record], Place | None]:
        where = models.Filter(must=[self._base, *self._conditions(at)])
        depth = len(at.equal)
        if depth == len(self._keys):
            records, following = await self._scroll(where, room, at.after_id, None)
            return records, replace(at, after_id=following) if following else _up(at)
        key = self._keys[depth]
        direction = models.Direction.DESC if self._is_falling else models.Direction.ASC
        # One more than there is room for, to see whether the points of the last value are all there.
        records, _ = await self._scroll(where, room + 1, None, models.OrderBy(key=key, direction=direction))
        if len(records) <= room:
            return self._sorted(records, depth), _up(at)
        last = records[room - 1]
        value = _value(last, key)
        if records[room].order_value == last.order_value:
            # They are not: they are read by the next key.
            whole = [one for one in records if one.order_value != last.order_value]
            return self._sorted(whole, depth), Place([*at.equal, value])
        return self._sorted(records[:room], depth), replace(at, beyond=value)

    def _sorted(self, records: list[models.Record], depth: int) -> list[models.Record]:
        """Sort points that Qdrant has sorted by the key at `depth` by those behind it, and their ids."""
        by_id = sorted(records, key=lambda record: str(record.id))
        return sorted(
            by_id,
            key=lambda record: (record.order_value, *(_value(record, key) for key in self._keys[depth + 1 :])),
            reverse=self._is_falling,
        )

    def _conditions(self, at: Place) -> list[models.Condition]:
        found: list[models.Condition] = [
            _range(key, gte=value, lte=value) for key, value in zip(self._keys, at.equal, strict=False)
        ]
        if at.beyond is not None:
            found.append(_range(self._keys[len(at.equal)], **{"lt" if self._is_falling else "gt": at.beyond}))
        return found


def _up(at: Place) -> Place | None:
    """Go on behind all points that share the values `equal`."""
    return Place(at.equal[:-1], at.equal[-1]) if at.equal else None


def _range(key: str, **bounds: str | float) -> models.FieldCondition:
    dates = any(isinstance(bound, str) for bound in bounds.values())
    shape = models.DatetimeRange if dates else models.Range
    return models.FieldCondition(key=key, range=shape.model_validate(bounds))


def _value(record: models.Record, key: str) -> Any:
    found: Any = record.payload
    for part in key.split("."):
        found = found[part]
    return found


def _encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(json.dumps(asdict(cursor)).encode()).decode()


def _decode(text: str, sort: str | None) -> Cursor:
    try:
        read = json.loads(base64.urlsafe_b64decode(text))
        places = [None if place is None else Place(**place) for place in read.pop("places")]
        cursor = Cursor(**read, places=places)
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error) as error:
        raise wrong_cursor() from error
    if cursor.sort != sort:
        raise RequestError("This cursor belongs to another sort: start from the first page.", 422)
    _check(cursor)
    return cursor


def _check(cursor: Cursor) -> None:
    """Raise RequestError for what no page ever ended with."""
    sort = (cursor.sort or "").removeprefix("-")
    orders = SORTS.get(sort, ())
    phases = ("id",) if cursor.sort is None else ("sorted", "missing")
    wanted = len(orders) if cursor.phase == "sorted" else 0
    if (
        cursor.phase not in phases
        or not isinstance(cursor.after_id, str | None)
        or len(cursor.places) != wanted
        or not all(
            place is None or _is_place(place, keys, sort) for keys, place in zip(orders, cursor.places, strict=False)
        )
    ):
        raise wrong_cursor()


def _is_place(place: Place, keys: Order, sort: str) -> bool:
    kinds: tuple[type, ...] = (str,) if isinstance(_LOWEST[sort], str) else (int, float)
    if not isinstance(place.equal, list) or not isinstance(place.after_id, str | None):
        return False
    values = [*place.equal, *([] if place.beyond is None else [place.beyond])]
    return len(values) <= len(keys) and all(type(value) in kinds for value in values)
