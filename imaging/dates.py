"""Dates as cameras and programs write them, turned into ISO 8601."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

# EXIF `2004:06:05 10:07:05`, ISO 8601, IPTC `20040605`, and forms padded with spaces (`2004: 6: 5`).
# An unknown part is blank or zero, and what follows it does not count.
_DATE = re.compile(
    r"(\d{4})(?:[:\-/.]?\s*(\d\d|(?<=[:\-/. ])\d)(?:[:\-/.]?\s*(\d\d|(?<=[:\-/. ])\d))?)?(?![\d])"
    r"(?:[T ]\s*(\d\d?)(?::\s*|(?<=\d\d))(\d\d?)(?:(?::\s*|(?<=\d\d))(\d\d?)(?:[.,](\d*))?)?)?"
    r"[\s:]*(?:(Z|UTC|GMT)|([+-])(\d\d|\d(?!\d)):?(\d\d)?(?::?\d\d)?)?\s*",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"(Z|UTC|GMT)|([+-])(\d\d|\d(?!\d)):?(\d\d)?", re.ASCII | re.IGNORECASE)


def iso_8601(date: str | None, offset: str | None = None, fraction: str | None = None) -> str | None:
    """Return a date as ISO 8601, as far as it is known: a year, a month, a day or a time; None when it is none.

    `offset` from UTC and `fraction` of a second are what other fields say, for a date that says none itself.
    """
    found = _DATE.fullmatch((date or "").strip(" \0\t\r\n")[:80])
    if found is None:
        return _written_out(date)
    *parts, own_fraction, utc, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = (int(part) if part else None for part in parts)
    try:
        if not month or not day or hour is None:
            return _partial(year or 0, month, day)
        local = datetime(year or 0, month, day, hour, minute or 0, second or 0)
    except ValueError:
        return None
    zone = _zone(utc, sign, hours, minutes) or _offset(offset)
    return _joined(local, own_fraction or fraction, zone)


def _partial(year: int, month: int | None, day: int | None) -> str | None:
    whole = datetime(year, month or 1, day or 1).date().isoformat()
    return whole[:10] if month and day else whole[:7] if month else whole[:4]


def _joined(local: datetime, fraction: str | None, zone: timezone | None) -> str:
    digits = re.match(r"\d*", (fraction or "").strip(), re.ASCII)
    micro = digits[0][:6].rstrip("0") if digits else ""
    zone_text = local.replace(tzinfo=zone).isoformat()[len(local.isoformat()) :] if zone else ""
    return local.isoformat() + (f".{micro}" if micro else "") + zone_text


def _offset(text: str | None) -> timezone | None:
    found = _OFFSET.fullmatch((text or "").strip(" \0"))
    return _zone(*found.groups()) if found else None


def _zone(utc: str | None, sign: str | None, hours: str | None, minutes: str | None) -> timezone | None:
    """Return an offset; None for one that is none, which leaves the time as the camera's clock had it."""
    if utc:
        return UTC
    if sign is None or hours is None or int(hours) > 15 or int(minutes or 0) > 59:
        return None
    away = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-away if sign == "-" else away)


def _written_out(date: str | None) -> str | None:
    """Read `Sat, 5 Jun 2004 10:07:05 +0200` and the like, which PNG recommends."""
    text = (date or "").strip()[:80]
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        local = datetime(*parsed[:6])
        # A date without a zone is taken for UTC there.
        is_known = parsed[9] is not None and not re.search(r"\d$", re.sub(r"[+-]\d{4}$", "Z", text))
        return _joined(local, None, timezone(timedelta(seconds=parsed[9] or 0)) if is_known else None)
    except (ValueError, TypeError, IndexError):
        return None
