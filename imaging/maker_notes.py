"""Lens, ISO speed and rating from the notes that camera makers put into EXIF, each in a form of its own.

They count for cameras that do not write them where EXIF has a place for them. Which tag of which maker holds what is
described at exiftool.org/TagNames, an index that others keep; a note of a form that is not known gives nothing.
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from imaging import tiff_tags
from imaging.fixed_notes import fixed_iso
from imaging.texts import clean, decoded, written
from imaging.tiff_tags import Block, Entry

_HEAD = 1024
_FUJIFILM_MARK = (b"FUJIFILM", b"GENERALE")
Notes = Mapping[int, object]


@dataclass(frozen=True, slots=True)
class MakerNotes:
    """What the notes say, as far as they do."""

    lens: str | None = None
    iso: float | None = None
    rating: float | None = None


@dataclass(frozen=True, slots=True)
class _Form:
    """How notes that start with `mark` are laid out: where the directory starts, and what offsets count from."""

    mark: bytes
    start: int
    counts_from_note: bool
    read: Callable[[Block, int], MakerNotes]


def read(block: Block, entry: Entry, make: str) -> MakerNotes:
    """Read the notes that lie at an entry of the camera's directory."""
    head = block.read(entry.offset, min(entry.count, _HEAD))
    if head.startswith(b"Nikon\0\x02"):
        opened = tiff_tags.opened(block.file, block.base + entry.offset + 10)
        return _nikon(*opened) if opened else MakerNotes()
    if head.startswith(_FUJIFILM_MARK) and len(head) >= 12:
        note = block.at(block.base + entry.offset, "<")
        return _fujifilm(note, struct.unpack_from("<I", head, 8)[0])
    for form in _FORMS:
        if head.startswith(form.mark):
            within = block.at(block.base + entry.offset) if form.counts_from_note else block
            start = form.start if form.counts_from_note else entry.offset + form.start
            within = within.at(within.base, _order(within, start))
            return form.read(within, start)
    iso = fixed_iso(head, make)
    if iso is not None:
        return MakerNotes(iso=iso)
    # Without a mark the directory starts at once.
    maker = next((read for name, read in _BARE.items() if make.upper().startswith(name)), None)
    if maker is None:
        return MakerNotes()
    moved = _moved(block, entry)
    start = entry.offset - moved
    bare = block.at(block.base + moved)
    bare = bare.at(bare.base, _order(bare, start))
    return maker(bare, start)


def _moved(block: Block, entry: Entry) -> int:
    """Return how far a program moved the note without a change of its offsets; Canon writes its first place behind."""
    behind = block.read(entry.offset + entry.count - 8, 8)
    order = tiff_tags.order_of(behind)
    if order is None or len(behind) < 8 or behind[2:4] not in (b"*\0", b"\0*"):
        return 0
    return entry.offset - int(struct.unpack_from(f"{order}I", behind, 4)[0])


def _order(block: Block, start: int) -> Literal["<", ">"]:
    """Return the order in which the directory has a possible number of entries: it is not always that of the file."""
    counted = block.read(start, 2)
    if len(counted) < 2:
        return block.order
    little, big = struct.unpack("<H", counted)[0], struct.unpack(">H", counted)[0]
    return "<" if little < big else ">" if big < little else block.order


def canon(notes: Notes) -> MakerNotes:
    """Read Canon's notes, a directory: in 1 settings, in 4 what was measured, in 149 the lens by name."""
    settings, shot = _numbers(notes.get(1)), _numbers(notes.get(4))
    return MakerNotes(lens=_text(notes.get(149)) or _canon_zoom(settings), iso=_canon_iso(settings, shot))


def _canon(block: Block, start: int) -> MakerNotes:
    return canon(tiff_tags.directory(block, start))


def _canon_zoom(settings: tuple[float, ...]) -> str | None:
    """Return the range of focal lengths in millimetres, all that most of Canon's cameras without a name know."""
    if len(settings) < 26 or not settings[25]:
        return None
    longest, shortest = settings[23] / settings[25], settings[24] / settings[25]
    if not 0 < shortest <= longest:
        return None
    return f"{shortest:.1f} mm" if shortest == longest else f"{shortest:.1f} - {longest:.1f} mm"


_HIGHEST_STEP = 1024
_CANON_SPEEDS = {16: 50, 17: 100, 18: 200, 19: 400, 20: 800}


def _canon_iso(settings: tuple[float, ...], shot: tuple[float, ...]) -> float | None:
    """Return the speed that was set, or by which the camera, set to automatic, exposed."""
    chosen = int(settings[16]) if len(settings) > 16 else 0
    if chosen > 0 and chosen & 0x4000:
        return chosen & 0x3FFF
    if chosen in _CANON_SPEEDS:
        return _CANON_SPEEDS[chosen]
    if len(shot) < 3 or not 0 < shot[2] < _HIGHEST_STEP or not -_HIGHEST_STEP < shot[1] < _HIGHEST_STEP:
        return None
    automatic, base = 2.0 ** (shot[1] / 32) * 100, 2.0 ** (shot[2] / 32) * 100 / 32
    return float(round(automatic * base / 100))


def _nikon(block: Block, start: int) -> MakerNotes:
    """2 has the speed behind a mode, 132 the lens: shortest and longest focal length, largest aperture at both."""
    notes = tiff_tags.directory(block, start)
    speeds, lens = _numbers(notes.get(2)), _numbers(notes.get(132))
    return MakerNotes(lens=_range(lens), iso=speeds[1] if len(speeds) == 2 else None)


def _range(lens: tuple[float, ...]) -> str | None:
    """`18-70mm f/3.5-4.5`, or `50mm f/1.8`."""
    if len(lens) != 4 or lens[0] <= 0:
        return None
    shortest, longest, widest, narrowest = (f"{part:.5g}" for part in lens)
    lengths = shortest if longest in (shortest, "0") else f"{shortest}-{longest}"
    if lens[2] <= 0:
        return f"{lengths}mm"
    return f"{lengths}mm f/{widest if narrowest in (widest, '0') else f'{widest}-{narrowest}'}"


_OLYMPUS_EQUIPMENT, _OLYMPUS_LENS, _OLYMPUS_SHORTEST, _OLYMPUS_LONGEST = 0x2010, 0x0203, 0x0207, 0x0208
_OLYMPUS_WIDEST, _OLYMPUS_WIDEST_AT_LONGEST = 0x020A, 0x0206


def _olympus(block: Block, start: int) -> MakerNotes:
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
    return MakerNotes(lens=_text(equipment.get(_OLYMPUS_LENS)) or _range((*lengths, *numbers)))


# In steps of a third, or (from 258 on) a half, of a stop, as the cameras show them.
_PENTAX_THIRDS = (50, 64, 80, 100, 125, 160, 200, 250, 320, 400, 500, 640, 800, 1000, 1250, 1600, 2000, 2500, 3200)
_PENTAX_HALVES = (50, 70, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200, 4500, 6400, 9000, 12800)
_PENTAX_SPEEDS = {
    **{3 + step: speed for step, speed in enumerate(_PENTAX_THIRDS)},
    **{258 + step: speed for step, speed in enumerate(_PENTAX_HALVES)},
    **{speed: speed for speed in (50, 100, 200, 400, 800, 1600, 3200)},
}


def _pentax(block: Block, start: int) -> MakerNotes:
    notes = tiff_tags.directory(block, start)
    code = _number(notes.get(20))
    return MakerNotes(iso=_PENTAX_SPEEDS.get(int(code)))


_CASIO_SPEEDS = {3: 50, 4: 64, 6: 100, 9: 200}


def _casio(block: Block, start: int) -> MakerNotes:
    notes = tiff_tags.directory(block, start)
    speed = _number(notes.get(20, notes.get(0x3014)))
    return MakerNotes(iso=_CASIO_SPEEDS.get(int(speed), speed))


def _panasonic(block: Block, start: int) -> MakerNotes:
    notes = tiff_tags.directory(block, start)
    return MakerNotes(lens=_text(notes.get(81)))


def _fujifilm(block: Block, start: int) -> MakerNotes:
    notes = tiff_tags.directory(block, start)
    return MakerNotes(rating=_number(notes[0x1431]) if 0x1431 in notes else None)


def _sony(block: Block, start: int) -> MakerNotes:
    notes = tiff_tags.directory(block, start)
    return MakerNotes(rating=_number(notes[0x2002]) if 0x2002 in notes else None)


def _numbers(value: object) -> tuple[float, ...]:
    found = value if isinstance(value, tuple) else (value,)
    return tuple(float(part) for part in found if isinstance(part, (int, float)) and math.isfinite(part))


def _number(value: object) -> float:
    return next(iter(_numbers(value)), 0.0)


def _text(value: object) -> str | None:
    return written(clean(decoded(value[:200]))) if isinstance(value, bytes) else None


_FORMS = (
    _Form(b"Nikon\0\x01", 8, counts_from_note=False, read=_nikon),
    _Form(b"OLYMPUS\0", 12, counts_from_note=True, read=_olympus),
    _Form(b"OM SYSTEM\0", 16, counts_from_note=True, read=_olympus),
    _Form(b"OLYMP\0", 8, counts_from_note=False, read=_olympus),
    _Form(b"EPSON\0", 8, counts_from_note=False, read=_olympus),
    _Form(b"PENTAX \0", 10, counts_from_note=True, read=_pentax),
    _Form(b"AOC\0", 6, counts_from_note=False, read=_pentax),
    _Form(b"QVC\0", 6, counts_from_note=False, read=_casio),
    _Form(b"DCI\0", 6, counts_from_note=False, read=_casio),
    _Form(b"SONY DSC", 12, counts_from_note=False, read=_sony),
    _Form(b"SONY CAM", 12, counts_from_note=False, read=_sony),
    _Form(b"SONY MOBILE", 12, counts_from_note=False, read=_sony),
    _Form(b"Panasonic\0", 12, counts_from_note=False, read=_panasonic),
)
_BARE: dict[str, Callable[[Block, int], MakerNotes]] = {
    "CANON": _canon,
    "NIKON": _nikon,
    "CASIO": _casio,
    "ASAHI": _casio,
    "PENTAX": _pentax,
    "SONY": _sony,
}
