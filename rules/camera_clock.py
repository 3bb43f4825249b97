"""Dates of photographs on the camera's clock: people look for a picture of New Year's Day where it was taken.

A date is ISO 8601, and may be no more than a year, a month or a day. Its offset from UTC says which instant it was;
here it is left out, so that a picture of 00:30 on 1 January in Tokyo is one of 1 January.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone

_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*"
    r"(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def span(date: str) -> tuple[datetime, datetime]:
    """Return the first and the last microsecond of a year, month, day, minute or second; of an instant, itself twice.

    Without an offset, as the camera's clock showed them. Raises ValueError for what is no date of the years 1 to 9999.
    """
    found = _DATE.fullmatch(date.strip())
    if found is None:
        raise ValueError(f"{date!r} is no date in ISO 8601")
    *parts, fraction, _ = found.groups()
    year, month, day, hour, minute, second = (int(part) if part else None for part in parts)
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    first = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, microsecond)
    if fraction:
        return first, first
    if second is not None:
        return first, first.replace(microsecond=999_999)
    if minute is not None:
        return first, first.replace(second=59, microsecond=999_999)
    last = first.replace(hour=23, minute=59, second=59, microsecond=999_999)
    if month is None:
        last = last.replace(month=12, day=31)
    elif day is None:
        last = last.replace(day=monthrange(first.year, first.month)[1])
    return first, last


def offset(date: str) -> timezone | None:
    """Return the offset from UTC that a date states."""
    found = _DATE.fullmatch(date.strip())
    if found is None or found[8] is None:
        return None
    if found[8] in "Zz":
        return UTC
    sign, digits = found[8][0], found[8][1:].replace(":", "").ljust(6, "0")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    return timezone(-away if sign == "-" else away)


def sortable(date: str) -> str | None:
    """Return what a vector store sorts and filters by: the camera's clock as if it showed UTC. None: no date."""
    try:
        return f"{span(date)[0].isoformat()}Z"
    except ValueError:
        return None
