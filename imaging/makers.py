"""What is in the notes of each camera maker.

Which tag of which maker holds what is described at exiftool.org/TagNames, an index that others keep.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace

from imaging import tiff_tags
from imaging.lenses import E_MOUNT, LensNumber, Range, range_text
from imaging.texts import decoded, written
from imaging.tiff_tags import Block

Notes = Mapping[int, object]


@dataclass(frozen=True, slots=True)
class MakerNotes:
    """What the notes say, as far as they do."""

    lens: str | None = None
    lens_number: LensNumber | None = None
    """A lens without a name; it counts before `lens`."""
    iso: float | None = None
    rating: float | None = None
    taken: str | None = None
    """When the picture was taken, in the form that EXIF has for it."""
    aperture: float | None = None
    """The f-number as it was measured, as is `exposure_time`, in seconds, where EXIF has them rounded."""
    exposure_time: float | None = None


def canon(notes: Notes) -> MakerNotes:
    """Read Canon's notes, a directory: in 1 settings, in 4 what was measured, in 149 the lens by name."""
    settings, shot = _numbers(notes.get(1)), _numbers(notes.get(4))
    return MakerNotes(lens=_text(notes.get(149)) or _canon_zoom(settings), iso=_canon_iso(settings, shot))


def canon_block(block: Block, start: int) -> MakerNotes:
    """Read `canon` from a block."""
    return canon(tiff_tags.directory(block, start))


def _canon_zoom(settings: tuple[float, ...]) -> str | None:
    """Return the range of focal lengths in millimetres, all that most of Canon's cameras without a name know."""
    if len(settings) < 26 or not settings[25]:
        return None
    longest, shortest = settings[23] / settings[25], settings[24] / settings[25]
    if not 0 < shortest <= longest:
        return None
    return f"{shortest:.1f} mm" if shortest == longest else f"{shortest:.1f} - {longest:.1f} mm"


_HIGHEST_STEP, _CANON_NONE = 1024, 0x7FFF
_CANON_SPEEDS = {16: 50, 17: 100, 18: 200, 19: 400, 20: 800}


def _canon_iso(settings: tuple[float, ...], shot: tuple[float, ...]) -> float | None:
    """Return the speed that was set, or by which the camera, set to automatic, exposed."""
    chosen = int(settings[16]) if len(settings) > 16 else 0
    if chosen != _CANON_NONE and chosen & 0x4000:
        return chosen & 0x3FFF
    if chosen in _CANON_SPEEDS:
        return _CANON_SPEEDS[chosen]
    if len(shot) < 3 or not 0 < shot[2] < _HIGHEST_STEP or not -_HIGHEST_STEP < shot[1] < _HIGHEST_STEP:
        return None
    automatic, base = 2.0 ** (shot[1] / 32) * 100, 2.0 ** (shot[2] / 32) * 100 / 32
    return float(round(automatic * base / 100))


def nikon(block: Block, start: int) -> MakerNotes:
    """2 has the speed behind a mode, 132 the lens: shortest and longest focal length, largest aperture at both."""
    notes = tiff_tags.directory(block, start)
    speeds, lens = _numbers(notes.get(2)), _numbers(notes.get(132))
    return MakerNotes(lens=range_text(lens), iso=speeds[1] if len(speeds) == 2 else None)


_OLYMPUS_EQUIPMENT, _OLYMPUS_LENS, _OLYMPUS_SHORTEST, _OLYMPUS_LONGEST = 0x2010, 0x0203, 0x0207, 0x0208
_OLYMPUS_LENS_NUMBER = 0x0201
_OLYMPUS_WIDEST, _OLYMPUS_WIDEST_AT_LONGEST = 0x020A, 0x0206


def olympus(block: Block, start: int) -> MakerNotes:
    """Read the lens from the directory of the equipment; the oldest system cameras name its focal lengths only."""
    entry = tiff_tags.entries(block, start).get(_OLYMPUS_EQUIPMENT)
    if entry is None:
        return MakerNotes()
    pointer = tiff_tags.value_of(block, entry)
    # Old cameras have the directory itself where newer ones have its place.
    equipment = tiff_tags.directory(block, pointer if isinstance(pointer, int) else entry.offset)
    lengths = (_number(equipment.get(_OLYMPUS_SHORTEST)), _number(equipment.get(_OLYMPUS_LONGEST)))
    apertures = (equipment.get(tag) for tag in (_OLYMPUS_WIDEST, _OLYMPUS_WIDEST_AT_LONGEST))
    numbers = (round(2 ** (_number(value) / 512), 1) if _number(value) < 4096 else 0 for value in apertures)
    named = _text(equipment.get(_OLYMPUS_LENS))
    return MakerNotes(
        lens=named or range_text((*lengths, *numbers)),
        lens_number=None if named else _olympus_number(equipment.get(_OLYMPUS_LENS_NUMBER)),
    )


def _olympus_number(value: object) -> LensNumber | None:
    """Maker, model and variant of the lens are three of six bytes."""
    if not isinstance(value, bytes) or len(value) < 4:
        return None
    return LensNumber("olympus", f"{value[0]} {value[2]} {value[3]}")


# In steps of a third, or (from 258 on) a half, of a stop, as the cameras show them.
_PENTAX_THIRDS = (50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1250, 1600, 2000, 2500, 3200)
_PENTAX_HALVES = (50, 70, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200, 4500, 6400, 9000, 12800)
_PENTAX_SPEEDS = {
    **{3 + step: speed for step, speed in enumerate(_PENTAX_THIRDS)},
    **{258 + step: speed for step, speed in enumerate(_PENTAX_HALVES)},
    **{speed: speed for speed in (50, 100, 200, 400, 800, 1600, 3200)},
}


_PENTAX_LENS, _PENTAX_LENS_INFO = 0x3F, 0x207
_PENTAX_LENS_DATA = {90: 13, 91: 12, 80: 15, 128: 15}
"""Where what the lens told the camera begins, by the length of the field; 3 in the oldest cameras, else 4."""
_PENTAX_WIDEST = 14


def pentax(block: Block, start: int) -> MakerNotes:
    """20 has the speed as a code, 63 the lens by number."""
    notes = tiff_tags.directory(block, start)
    code = _number(notes.get(20))
    return MakerNotes(iso=_PENTAX_SPEEDS.get(int(code)), lens_number=_pentax_lens(notes))


def _pentax_lens(notes: Notes) -> LensNumber | None:
    """Read the lens's series and number, and its f-number wide open in steps of a 32nd of a doubling."""
    lens, told = notes.get(_PENTAX_LENS), notes.get(_PENTAX_LENS_INFO)
    if not isinstance(lens, bytes) or len(lens) < 2:
        return None
    steps = 0
    if isinstance(told, bytes):
        is_old = len(told) < 21 or told[20:22] in (b"\xff", b"\0\0") or told[20] == 0xFF
        at = _PENTAX_LENS_DATA.get(len(told), 3 if is_old else 4) + _PENTAX_WIDEST
        steps = told[at] & 0x7F if len(told) > at else 0
    return LensNumber("pentax", f"{lens[0]} {lens[1]}", widest=2 ** ((steps - 1) / 32) if steps > 1 else None)


_MINOLTA_LENS, _SONY_LENS, _SONY_RANGE, _SAMSUNG_LENS = 0x10C, 0xB027, 0xB02A, 0xA003
_FIRST_LONG_MINOLTA, _NO_MINOLTA = 25_500, 65_535


def minolta(block: Block, start: int) -> MakerNotes:
    """268 has the lens by number."""
    return _a_mount(tiff_tags.directory(block, start), _MINOLTA_LENS)


def _a_mount(notes: Notes, tag: int) -> MakerNotes:
    """Read the lens by its number, which Minolta gave out and Sony goes on with, where it has the A-mount."""
    if tag not in notes:
        return MakerNotes()
    number, told = int(_number(notes[tag])), _sony_range(notes.get(_SONY_RANGE))
    if number == _NO_MINOLTA:
        return MakerNotes(lens_number=LensNumber(E_MOUNT, str(number), range=told))
    if _FIRST_LONG_MINOLTA <= number * 10 < _NO_MINOLTA:
        number = number * 10 + 1  # Sony's first cameras had no place for the last figure
    return MakerNotes(lens_number=LensNumber("minolta", str(number), range=told))


def _sony_range(value: object) -> Range | None:
    """Read focal lengths and f-numbers as decimal digits, two a byte."""
    if not isinstance(value, bytes) or len(value) < 7 or not value[1:7].hex().isdecimal():
        return None
    digits = value[1:7].hex()
    shortest, longest, widest, narrowest = int(digits[:4]), int(digits[4:8]), int(digits[8:10]), int(digits[10:])
    if not shortest or not widest:
        return None
    return Range(shortest, longest or shortest, widest / 10, (narrowest or widest) / 10)


def samsung(block: Block, start: int) -> MakerNotes:
    """40963 has the lens by number."""
    notes = tiff_tags.directory(block, start)
    number = notes.get(_SAMSUNG_LENS)
    return MakerNotes(lens_number=LensNumber("samsung", str(int(_number(number)))) if number else None)


_CASIO_SPEEDS = {3: 50, 4: 64, 6: 100, 9: 200}


def casio(block: Block, start: int) -> MakerNotes:
    """20 or 12308 has the speed, in old cameras as a code."""
    notes = tiff_tags.directory(block, start)
    speed = _number(notes.get(20, notes.get(0x3014)))
    return MakerNotes(iso=_CASIO_SPEEDS.get(int(speed), speed))


def panasonic(block: Block, start: int) -> MakerNotes:
    """81 has the lens by name."""
    notes = tiff_tags.directory(block, start)
    return MakerNotes(lens=_text(notes.get(81)))


def fujifilm(block: Block, start: int) -> MakerNotes:
    """5169 has the rating."""
    notes = tiff_tags.directory(block, start)
    return MakerNotes(rating=_number(notes[0x1431]) if 0x1431 in notes else None)


def sony(block: Block, start: int) -> MakerNotes:
    """45095 has the lens by number, 8194 the rating."""
    notes = tiff_tags.directory(block, start)
    return replace(_a_mount(notes, _SONY_LENS), rating=_number(notes[0x2002]) if 0x2002 in notes else None)


_PHASE_ONE_LENS, _PHASE_ONE_ENTRY, _MOST_ENTRIES = 0x412, 16, 200


def phase_one(note: Block) -> MakerNotes:
    """Read the lens by name from a directory that has 32-bit tags: tag, type, size, place."""
    number = f"{note.order}I"
    try:
        (start,) = struct.unpack(number, note.read(8, 4))
        (count,) = struct.unpack(number, note.read(start, 4))
        table = note.read(start + 8, min(count, _MOST_ENTRIES) * _PHASE_ONE_ENTRY)
        entries = {tag: (size, at) for tag, _, size, at in struct.iter_unpack(f"{note.order}4I", table)}
    except struct.error:  # ends early
        return MakerNotes()
    size, at = entries.get(_PHASE_ONE_LENS, (0, 0))
    return MakerNotes(lens=_text(note.read(at, min(size, 200))))


def _numbers(value: object) -> tuple[float, ...]:
    found = value if isinstance(value, tuple) else (value,)
    return tuple(float(part) for part in found if isinstance(part, (int, float)) and math.isfinite(part))


def _number(value: object) -> float:
    return next(iter(_numbers(value)), 0.0)


def _text(value: object) -> str | None:
    return written(decoded(value[:200])) if isinstance(value, bytes) else None
