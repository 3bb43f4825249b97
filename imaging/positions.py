"""Positions on the globe: degrees, north and east positive."""

import re

_PART = r"(\d+(?:\.\d+)?)"
_BETWEEN = r"(?:\s*[,:\u00b0d'\u2032m]\s*|\s+)"
_WRITTEN = re.compile(
    rf"([NSEW]?)\s*([+-]?)\s*{_PART}(?:{_BETWEEN}{_PART})?(?:{_BETWEEN}{_PART})?[\s\u00b0'\"\u2032\u2033]*([NSEW]?)",
    re.ASCII | re.IGNORECASE,
)


def of(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """Return a position; None off the globe, and for exactly 0, 0, which devices without a fix write."""
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def read(text: str | None) -> float | None:
    """Read `48,51.5N`, `48,51,30N` or `-48.86`, and what people write with other signs: `48\u00b0 51' 30" N`."""
    found = _WRITTEN.fullmatch((text or "").strip()[:80])
    if found is None:
        return None
    before, sign, *parts, behind = found.groups()
    total = sum(float(part) / unit for part, unit in zip(parts, (1, 60, 3600), strict=True) if part)
    return -total if sign == "-" or (behind or before).upper() in ("S", "W") else total
