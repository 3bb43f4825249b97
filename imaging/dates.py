"""Dates as cameras and programs write them, turned into ISO 8601."""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

# EXIF `2004:06:05 10:07:05`, ISO 8601, IPTC `20040605`, and forms padded with spaces (`2004: 6: 5`).
# An unknown part is blank or zero, and what follows it does not count.
_DAY = r"(\d{4})(?:[:\-/.]?\s*(\d\d|(?<=[:\-/. ])\d)(?:[:\-/.]?\s*(\d\d|(?<=[:\-/. ])\d))?)?(?!\d)"
_TIME = (
    r"(?:[T ,_]\s*|:(?=\d\d?:)|-(?=\d\d?:\d\d?:))"
    r"(\d\d?)(?::\s*|(?<=\d\d))(\d\d?)(?:(?::\s*|(?<=\d\d))(\d\d?)(?:[.,](\d*))?)?"
)
_ZONE = r"[\s:]*(?:(?:UTC|GMT)?([+-])(\d\d|\d(?!\d)):?(\d\d)?(?::?\d\d)?|(Z|UTC|GMT))?\s*"
_DATE = re.compile(f"{_DAY}(?:{_TIME})?{_ZONE}(?P<behind>.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_WITHOUT_SIGNS = re.compile(r"(\d{8})(\d{6})(?!\d)", re.ASCII)
_OTHER_SIGNS = re.compile(r"(?<=[T ])(\d\d)([.\-])(\d\d)\2(\d\d)(?!\d)", re.ASCII)
_LEAP_SECOND, _LAST_SECOND = 60, 59
_OFFSET = re.compile(_ZONE, re.ASCII | re.IGNORECASE)


def iso_8601(date: str | None, offset: str | None = None, fraction: str | None = None) -> str | None:
    """Return a date as ISO 8601, as far as it is known: a year, a month, a day or a time; None when it is none.

    What is not possible is not known: of 31 June the month is, of 24:01 the day. `offset` from UTC and `fraction` of a
    second are what other fields say, for a date that says none itself.
    """
    if not date:
        return None
    text = _WITHOUT_SIGNS.sub(r"\1 \2", date.strip(" \0\t\r\n")[:80], count=1)
    text = _OTHER_SIGNS.sub(r"\1:\3:\4", text, count=1)
    found = _DATE.match(text)
    if found is None or (found["behind"] and not found[3]):
        return _written_out(date)
    *parts, own_fraction, sign, hours, minutes, utc, behind = found.groups()
    numbers = [int(part) if part else None for part in parts]
    if numbers[3] is not None and numbers[3] < 12 and behind.lower().startswith("pm"):
        numbers[3] += 12
    zone = _zone(sign, hours, minutes, utc) or _offset(offset)
    return _possible(numbers, own_fraction or fraction, zone)


def fullest(found: Iterable[str | None]) -> str | None:
    """Return the first date, or a later one that says the same with more: XMP's day is often IPTC's day and time."""
    known = [date for date in found if date]
    return max((date for date in known if date.startswith(known[0])), key=len, default=None)


def _possible(numbers: list[int | None], fraction: str | None, zone: timezone | None) -> str | None:
    """Return a date up to the first of its parts that is not known or not possible; None where that is the year."""
    year, month, day, hour, minute, second = numbers
    if month and day and hour is not None:
        second = _LAST_SECOND if second == _LEAP_SECOND else second
        with suppress(ValueError):
            return _joined(datetime(year or 0, month, day, hour, minute or 0, second or 0), fraction, zone)
    for known in ((month, day), (month, None), (None, None)):
        with suppress(ValueError):
            return _partial(year or 0, *known)
    return None


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


def _zone(sign: str | None, hours: str | None, minutes: str | None, utc: str | None) -> timezone | None:
    """Return an offset; None for one that is none, which leaves the time as the camera's clock had it."""
    if utc:
        return UTC
    if sign is None or hours is None or int(hours) > 15 or int(minutes or 0) > 59:
        return None
    away = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return timezone(-away if sign == "-" else away)


def _written_out(date: str) -> str | None:
    """Read `Sat, 5 Jun 2004 10:07:05 +0200` and the like, which PNG recommends."""
    text = date.strip()[:80]
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
