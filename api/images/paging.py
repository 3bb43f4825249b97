"""Cursors of a search: which page of which list follows.

A ranked list has no order that a place could be named in by values, so a cursor names the last picture that was shown
and where it stood. What came or went before it meanwhile moves it: it is looked for, and the page begins behind it.
"""

import base64
import binascii
import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from core.errors import RequestError, wrong_cursor
from gateways.qdrant import Ranked

_AROUND = 100
"""Places by which a picture may have moved between two pages."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins, in the list of the request with the digest `key`."""

    key: str
    offset: int
    total: int | None = None
    """Counted for the first page."""
    last: str | None = None
    """The id of the picture before."""
    least: float | None = None
    """The similarity at which the list ends."""
    page: str | None = None
    """Of a list that is sorted by date: the vector store's own cursor."""

    @staticmethod
    def of(cursor: str | None, offset: int, *request: Any) -> "Place":
        """Return the place of a request. Raises RequestError(422) for a cursor that is not of this request."""
        key = hashlib.sha256(orjson.dumps(request, default=str)).hexdigest()[:16]
        if cursor is None:
            return Place(key, offset)
        place = _decoded(cursor)
        if place.key != key:
            raise RequestError("This cursor belongs to another search: start from the first page.", 422)
        return place

    def reach(self, limit: int) -> int:
        """Return how many places of the order are to be read for a page, and to see whether another follows."""
        return self.offset + limit + 1 + (_AROUND if self.last else 0)

    def take(self, order: list[Ranked], limit: int, total: int) -> tuple[list[Ranked], str | None]:
        """Return the places of the page out of the whole order, and the cursor of the next; None: it is the last."""
        # If the last one is gone, what stood behind it has moved up.
        gone = max(0, self.offset - 1) if self.last else self.offset
        begin = next((place for place, one in enumerate(order, 1) if one.id == self.last), gone)
        shown = order[begin : begin + limit]
        after = begin + len(shown)
        if not shown or after >= len(order):
            return shown, None
        return shown, _encoded(replace(self, offset=after, total=total, last=shown[-1].id))

    def listed(self, page: str | None, total: int) -> str | None:
        """Return the cursor of the next page of a list that is sorted by date."""
        return page and _encoded(replace(self, page=page, total=total))


def _encoded(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(asdict(place))).decode()


def _decoded(cursor: str) -> Place:
    try:
        place = Place(**orjson.loads(base64.urlsafe_b64decode(cursor)))
    except (ValueError, TypeError, binascii.Error) as error:
        raise wrong_cursor() from error
    texts = (place.last, place.page)
    numbers = (place.offset, place.total)
    if place.least is not None and not isinstance(place.least, float | int):
        raise wrong_cursor()
    if not all(isinstance(one, str | None) for one in texts) or not all(
        isinstance(one, int) and 0 <= one < 1 << 31 for one in numbers
    ):
        raise wrong_cursor()
    return place
