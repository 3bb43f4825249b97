"""Reading a collection page by page, in the order of ids, of a date or of a name, without missing a point.

Qdrant gives no cursor for a sorted read, sorts by one number or date only, and leaves out points that lack it. A sort
here may have several keys, compared one after the other, then the id. So the cursor says where reading goes on:

    sorted     points that have the values `equal` in the first keys, and in the next key a value beyond `beyond`;
               where all keys are in `equal`, points from `after_id` on: a burst of photographs may share one second
    missing    points without the sort's field, by id: they come last

A point is named by its own values, not by its number in a list: points that come and go meanwhile move no other.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol

from qdrant_client import models

from errors import RequestError, wrong_cursor
from gateways.qdrant.filters import DATE_FIELDS
from rules.name_key import PARTS

SORTS: dict[str, tuple[str, ...]] = {
    **{field: (field,) for field in DATE_FIELDS},
    "filename": tuple(f"name_key.{part}" for part in PARTS),
}
"""What can be sorted by, and the payload fields that are compared, one after the other."""

_LOWEST: dict[str, str | int] = {**dict.fromkeys(DATE_FIELDS, "0001-01-01T00:00:00Z"), "filename": 0}


@dataclass(frozen=True)
class Cursor:
    """Where the next page starts; `sort` as it was asked for, None: by id."""

    sort: str | None
    phase: Literal["id", "sorted", "missing"]
    equal: Sequence[Any] = ()
    beyond: Any = None
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
    at = _decode(cursor, sort) if cursor else Cursor(sort, "id" if sort is None else "sorted")
    if sort is not None:
        return await _read_sorted(scroll, base, sort, limit, at)
    records, following = await scroll(base, limit, at.after_id, None)
    return records, _encode(replace(at, after_id=following)) if following else None


async def _read_sorted(
    scroll: Scroll, base: models.Filter, sort: str, limit: int, at: Cursor
) -> tuple[list[models.Record], str | None]:
    keys = SORTS[sort.removeprefix("-")]
    direction = models.Direction.DESC if sort.startswith("-") else models.Direction.ASC
    page: list[models.Record] = []
    while (room := limit - len(page)) > 0:
        where = models.Filter(must=[base, *_conditions(sort, keys, at)])
        depth = len(at.equal)
        if at.phase == "missing" or depth == len(keys):
            records, following = await scroll(where, room, at.after_id, None)
            page += records
            if following:
                return page, _encode(replace(at, after_id=following))
            if at.phase == "missing":
                return page, None
            at = _up(at)
            continue
        # One more than there is room for, to see whether the points of the last value are all there.
        records, _ = await scroll(where, room + 1, None, models.OrderBy(key=keys[depth], direction=direction))
        if len(records) <= room:
            page += _sorted(records, keys[depth:], direction)
            at = _up(at)
            continue
        last = records[room - 1]
        value = _value(last, keys[depth])
        if records[room].order_value == last.order_value:
            # They are not: they are read by the next key.
            page += _sorted([one for one in records if one.order_value != last.order_value], keys[depth:], direction)
            at = Cursor(sort, "sorted", [*at.equal, value])
        else:
            page += _sorted(records[:room], keys[depth:], direction)
            at = replace(at, beyond=value)
    return page, _encode(at)


def _up(at: Cursor) -> Cursor:
    """Go on behind all points that share the values `equal`."""
    if not at.equal:
        return Cursor(at.sort, "missing")
    return Cursor(at.sort, "sorted", at.equal[:-1], at.equal[-1])


def _sorted(records: list[models.Record], keys: Sequence[str], direction: models.Direction) -> list[models.Record]:
    """Sort points that Qdrant has sorted by the first of these keys."""
    by_id = sorted(records, key=lambda record: str(record.id))
    return sorted(
        by_id,
        key=lambda record: (record.order_value, *(_value(record, key) for key in keys[1:])),
        reverse=direction == models.Direction.DESC,
    )


def _conditions(sort: str, keys: Sequence[str], at: Cursor) -> list[models.Condition]:
    if at.phase == "missing":
        return [models.Filter(must_not=[_range(keys[0], gte=_LOWEST[sort.removeprefix("-")])])]
    found: list[models.Condition] = [
        _range(key, gte=value, lte=value) for key, value in zip(keys, at.equal, strict=False)
    ]
    if at.beyond is not None:
        found.append(_range(keys[len(at.equal)], **{"lt" if sort.startswith("-") else "gt": at.beyond}))
    return found


def _range(key: str, **bounds: str | int) -> models.FieldCondition:
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
        cursor = Cursor(**json.loads(base64.urlsafe_b64decode(text)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise wrong_cursor() from error
    if cursor.sort != sort:
        raise RequestError("This cursor belongs to another sort: start from the first page.", 422)
    _check(cursor)
    return cursor


def _check(cursor: Cursor) -> None:
    """Raise RequestError for what no page ever ended with."""
    sort = (cursor.sort or "").removeprefix("-")
    kind = type(_LOWEST.get(sort, ""))
    values = (
        [*cursor.equal, *([] if cursor.beyond is None else [cursor.beyond])]
        if isinstance(cursor.equal, list)
        else [None]
    )
    phases = ("id",) if cursor.sort is None else ("sorted", "missing")
    if (
        cursor.phase not in phases
        or len(values) > len(SORTS.get(sort, ()))
        or any(type(value) is not kind for value in values)
        or not isinstance(cursor.after_id, str | None)
    ):
        raise wrong_cursor()
