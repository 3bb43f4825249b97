"""ISO speed, exposure and date from makers' notes that are no directory: each value lies at a fixed place."""

import re
import struct
from dataclasses import dataclass
from typing import Literal

from imaging.makers import MakerNotes


@dataclass(frozen=True, slots=True)
class _Form:
    """Where notes that start so have the speed and the f-number, of 16 bits, and the time, of 32, in parts of a second.

    The f-number is in hundredths.
    """

    start: re.Pattern[bytes]
    order: Literal["<", ">"]
    speed: int
    aperture: int
    time: int
    parts: float = 1e5


_AT_ONCE = (
    _Form(re.compile(rb"KDK INFO", re.DOTALL), ">", 0x68, 0x26, 0x28),
    _Form(re.compile(rb"KDK", re.DOTALL), "<", 0x68, 0x26, 0x28),
    # Kodak and HP, by one manufacturer
    _Form(re.compile(rb"IIII[\x02-\x06]\0", re.DOTALL), "<", 0x34, 0x0C, 0x10, 1e6),
)
_KODAK = (
    _Form(re.compile(rb"(?!MM|II|AOC).{12}\x07", re.DOTALL), ">", 0x4E, 0x3C, 0x38),
    _Form(re.compile(rb"\0(\x1a\x18|\x3a\x08|\x59\xf8|\x14\x80)\0", re.DOTALL), ">", 0x1E, 0x1C, 0x14),
)


def read(note: bytes, make: str) -> MakerNotes | None:
    """Return what a note of a known form holds; None for one of another form.

    Kodak writes the exposure into EXIF as a whole step, and here as it was measured.
    """
    forms = _AT_ONCE + (_KODAK if "KODAK" in make.upper() else ())
    form = next((form for form in forms if form.start.match(note)), None)
    if form is None:
        taken = _date(note)
        return MakerNotes(taken=taken) if taken else None
    return MakerNotes(
        iso=_at(note, form.order + "H", form.speed),
        aperture=_at(note, form.order + "H", form.aperture) / 100,
        exposure_time=_at(note, form.order + "I", form.time) / form.parts,
    )


def _at(note: bytes, number: str, place: int) -> float:
    """Return the number that lies there; 0, which stands for unknown, where the note ends before it."""
    found = note[place : place + struct.calcsize(number)]
    return float(struct.unpack(number, found)[0]) if len(found) == struct.calcsize(number) else 0.0


_RECONYX: tuple[tuple[re.Pattern[bytes], int, str, tuple[int, ...]], ...] = (
    # What the note of a trail camera starts with, where the date is, its numbers, and which of them are year to second.
    (re.compile(rb"\x01\xf1[\x02\x03]\0", re.DOTALL), 0x16, "<6H", (5, 3, 4, 2, 1, 0)),
    (re.compile(rb"RECONYXUF\0", re.DOTALL), 0x3B, "<5BH", (5, 4, 3, 2, 1, 0)),
    (re.compile(rb"RECONYXH2\0", re.DOTALL), 0x3E, "<6H", (5, 4, 3, 2, 1, 0)),
)


def _date(note: bytes) -> str | None:
    """Return the date that a note of a known form holds, as EXIF writes it."""
    for start, place, numbers, order in _RECONYX:
        if start.match(note) and len(note) >= place + struct.calcsize(numbers):
            found = struct.unpack_from(numbers, note, place)
            return "{}:{}:{} {}:{}:{}".format(*(found[one] for one in order))
    return None
