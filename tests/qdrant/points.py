"""Points for tests: photographs with a vector of four dimensions."""

import uuid
from typing import Any

from gateways.qdrant import Point
from rules.camera_clock import sortable


def photo(number: int, vector: list[float] | None = None, **payload: Any) -> Point:
    """Photograph `number`; the same number has the same id."""
    local = sortable(payload.get("taken_at", ""))
    return old_photo(number, vector, **payload | ({"taken_local": local} if local else {}))


def old_photo(number: int, vector: list[float] | None = None, **payload: Any) -> Point:
    """As version 0.1.0 stored it."""
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
    return Point(identity, vector or [1.0, number / 100, 0.0, 0.0], {"filename": f"IMG_{number}.jpg"} | payload)
