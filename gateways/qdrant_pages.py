"""Reading a collection page by page, in the order of ids or of a date, without missing a point.

Qdrant gives no cursor for a sorted read, and leaves out points that lack the field. So a sorted read goes
through three phases, and the cursor says where in them it is:

    later      points dated after `value` (at the start: all dated ones), in order
    same       points dated exactly `value`, by id: a burst of photographs may share one second
    undated    points without a date, by id
"""

import base64
import binascii
import json
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from qdrant_client import models

from errors import RequestError
from gateways.qdrant_filters import DATE_FIELDS

_DAWN = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class Cursor:
    """Where the next page starts. `after_id` is its first point, where the phase goes by id."""

    phase: Literal["id", "later", "same", "undated"]
    value: str | None = None
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

    `sort` is `taken_at` or `ingested_at`, with a leading `-` for the latest first; None: by id.
    Raises RequestError(422) for an unknown sort and for a cursor that this function did not make.
    """
    base = where or models.Filter()
    if sort is None:
        at = _decode(cursor, phases=("id",)) if cursor else Cursor("id")
        records, following = await scroll(base, limit, at.after_id, None)
        return records, _encode(Cursor("id", after_id=following)) if following else None
    key = sort.removeprefix("-")
    if key not in DATE_FIELDS:
        choices = ", ".join(f"{field}, -{field}" for field in DATE_FIELDS)
        raise RequestError(f"Cannot sort by {sort!r}. Sorts: {choices}.", status=422)
    at = _decode(cursor, phases=("later", "same", "undated")) if cursor else Cursor("later")
    order = models.OrderBy(key=key, direction=models.Direction.DESC if sort.startswith("-") else models.Direction.ASC)
    return await _read_sorted(scroll, base, order, limit, at)


async def _read_sorted(
    scroll: Scroll, base: models.Filter, order: models.OrderBy, limit: int, at: Cursor
) -> tuple[list[models.Record], str | None]:
    page: list[models.Record] = []
    while (room := limit - len(page)) > 0:
        where = models.Filter(must=[base, _phase_condition(order, at)])
        if at.phase == "later":
            records, _ = await scroll(where, room, None, order)
            if len(records) < room:
                page += records
                at = Cursor("undated")
            else:
                # The page may end among points of one date: those are read again, by id.
                last = records[-1]
                page += [record for record in records if record.order_value != last.order_value]
                at = Cursor("same", value=(last.payload or {})[order.key])
            continue
        records, following = await scroll(where, room, at.after_id, None)
        page += records
        if following:
            return page, _encode(Cursor(at.phase, at.value, following))
        if at.phase == "undated":
            return page, None
        at = Cursor("later", value=at.value)
    return page, _encode(at)


def _phase_condition(order: models.OrderBy, at: Cursor) -> models.Filter:
    key = order.key
    if at.phase == "undated":
        return models.Filter(must_not=[_dated(key, gte=_DAWN)])
    if at.phase == "same":
        return models.Filter(must=[_dated(key, gte=at.value, lte=at.value)])
    if at.value is None:
        return models.Filter()
    beyond = "lt" if order.direction == models.Direction.DESC else "gt"
    return models.Filter(must=[_dated(key, **{beyond: at.value})])


def _dated(key: str, **bounds: str | None) -> models.FieldCondition:
    return models.FieldCondition(key=key, range=models.DatetimeRange.model_validate(bounds))


def _encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(json.dumps(asdict(cursor)).encode()).decode()


def _decode(text: str, phases: tuple[str, ...]) -> Cursor:
    try:
        cursor = Cursor(**json.loads(base64.urlsafe_b64decode(text)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise RequestError("This cursor was not made by this service: start from the first page.", 422) from error
    if cursor.phase not in phases:
        raise RequestError("This cursor belongs to another sort: start from the first page.", 422)
    return cursor
