"""ISO speed and date from makers' notes that are no directory: each value lies at a fixed place."""

import re
import struct

_AT_ONCE: tuple[tuple[re.Pattern[bytes], str, int], ...] = (
    # What the note starts with, byte order and place of the speed, a 16-bit number.
    (re.compile(rb"KDK INFO", re.DOTALL), ">H", 0x68),
    (re.compile(rb"KDK", re.DOTALL), "<H", 0x68),
    (re.compile(rb"IIII[\x02-\x06]\0", re.DOTALL), "<H", 0x34),  # Kodak and HP, by one manufacturer
)
_KODAK: tuple[tuple[re.Pattern[bytes], str, int], ...] = (
    (re.compile(rb"(?!MM|II|AOC).{12}\x07", re.DOTALL), ">H", 0x4E),
    (re.compile(rb"\0(\x1a\x18|\x3a\x08|\x59\xf8|\x14\x80)\0", re.DOTALL), ">H", 0x1E),
)


def fixed_iso(note: bytes, make: str) -> float | None:
    """Return the ISO speed that a note of a known form holds."""
    forms = _AT_ONCE + (_KODAK if "KODAK" in make.upper() else ())
    for start, number, place in forms:
        if start.match(note):
            found = note[place : place + 2]
            return float(struct.unpack(number, found)[0]) if len(found) == 2 else None
    return None


_RECONYX: tuple[tuple[re.Pattern[bytes], int, str, tuple[int, ...]], ...] = (
    # What the note of a trail camera starts with, where the date is, its numbers, and which of them are year to second.
    (re.compile(rb"\x01\xf1[\x02\x03]\0", re.DOTALL), 0x16, "<6H", (5, 3, 4, 2, 1, 0)),
    (re.compile(rb"RECONYXUF\0", re.DOTALL), 0x3B, "<5BH", (5, 4, 3, 2, 1, 0)),
    (re.compile(rb"RECONYXH2\0", re.DOTALL), 0x3E, "<6H", (5, 4, 3, 2, 1, 0)),
)


def fixed_date(note: bytes) -> str | None:
    """Return the date that a note of a known form holds, as EXIF writes it."""
    for start, place, numbers, order in _RECONYX:
        if start.match(note) and len(note) >= place + struct.calcsize(numbers):
            found = struct.unpack_from(numbers, note, place)
            return "{}:{}:{} {}:{}:{}".format(*(found[one] for one in order))
    return None
