"""When a picture that is gone is purged: so long after its last file has left, unless a person wants it longer."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rules.payload import GONE_AT, KEEP_UNTIL

DAY_SECONDS = 86_400
FOR_GOOD = datetime(9999, 1, 1, tzinfo=UTC)
"""Until when a picture is kept that is never to be purged."""


def purge_at(payload: Mapping[str, Any], after_days: float) -> datetime | None:
    """Return when a picture that is gone is purged; None: never. Raises ValueError where its dates are none."""
    gone_at = datetime.fromisoformat(str(payload[GONE_AT]))
    kept = payload.get(KEEP_UNTIL)
    until = gone_at if kept is None else datetime.fromisoformat(str(kept))
    at = max(until, gone_at + timedelta(days=after_days))
    return None if at >= FOR_GOOD else at


def keep_until(payload: Mapping[str, Any], after_days: float, days: int | None, now: datetime) -> datetime:
    """Return until when a picture is kept that a person wants longer: by so many days; None: for good."""
    planned = purge_at(payload, after_days)
    if days is None or planned is None:
        return FOR_GOOD
    return min(max(planned, now) + timedelta(days=days), FOR_GOOD)
