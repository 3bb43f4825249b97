"""Cursors of a search: which page of which list follows.

A ranked list has no order that a place could be named in by values, so a cursor names the last picture that was shown
and where it stood. What came or went before it meanwhile moves it a little: it is looked for around there.
"""

import base64
import binascii
import hashlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from core.errors import RequestError, wrong_cursor
from gateways.qdrant import Hit

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

    def window(self, limit: int) -> tuple[int, int]:
        """Return from where on, and how many hits are to be read for a page."""
        if self.last is None:
            return self.offset, limit
        first = max(0, self.offset - _AROUND)
        return first, self.offset - first + limit + _AROUND

    def take(self, hits: list[Hit], first: int, limit: int, total: int) -> tuple[list[Hit], str | None]:
        """Return the page out of the hits of its window, and the cursor of the next; None: it is the last."""
        begin = next((at + 1 for at, hit in enumerate(hits) if hit.id == self.last), self.offset - first)
        shown = hits[begin : begin + limit]
        after = first + begin + len(shown)
        if len(shown) < limit or after >= total:
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
    if not all(isinstance(one, str | None) for one in texts) or not all(
        isinstance(one, int) and 0 <= one < 1 << 31 for one in numbers
    ):
        raise wrong_cursor()
    return place
