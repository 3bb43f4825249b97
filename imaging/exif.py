"""EXIF as cameras really write it: where a field is wrong, that field alone is absent.

Tag numbers are those of Exif 3.0 (CIPA DC-008) and, for the main directory, of TIFF 6.0.
"""

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Literal

from imaging import boxes, dates, lenses, maker_notes, makers, positions, raw_containers, texts, tiff_tags
from imaging.makers import MakerNotes
from imaging.texts import MAX_TEXT
from imaging.tiff_tags import Block

Directory = Mapping[int, object]
"""Tag number to value, of whatever type the file claims that it has."""

MAKE, MODEL, DESCRIPTION, ORIENTATION, SUB_DIRECTORIES = 271, 272, 270, 274, 330
EXPOSURE_TIME, F_NUMBER = 33434, 33437
ISO, STANDARD_ISO, RECOMMENDED_ISO, ISO_SPEED, PANASONIC_ISO = 34855, 34865, 34866, 34867, 23
SHUTTER_SPEED_APEX, APERTURE_APEX, FOCAL_LENGTH, LENS_RANGE, LENS_MODEL = 37377, 37378, 37386, 42034, 42036
USER_COMMENT, XP_TITLE, XP_COMMENT, XP_KEYWORDS, XP_SUBJECT = 37510, 40091, 40092, 40094, 40095
RATING, RATING_PERCENT, XMP, IPTC = 18246, 18249, 700, 33723
_CAMERA_POINTER, _GPS_POINTER, _MAKER_NOTE, _DNG_PRIVATE, _PANASONIC_JPEG = 34665, 34853, 37500, 50740, 46
# Tags of a date, of its offset from UTC, and of its fractions of a second.
TAKEN = 36867
_ORIGINAL, _DIGITISED, _CHANGED = (TAKEN, 36881, 37521), (36868, 36882, 37522), (306, 36880, 37520)
_MAX_SUB_DIRECTORIES = 8
_WIDEST_APEX = 37381
_E_MOUNT_MODEL = re.compile("NEX|ILCE")  # others have the number of its lenses for those that they do not know
_LONGEST_NUMBER = 40
_UNKNOWN_ISO = 65_535
"""The 16-bit field was too small."""


@dataclass(frozen=True, slots=True)
class Exif:
    """The directories that are read; any may be empty. `sub` holds those of a RAW file's further pictures."""

    main: Directory = field(default_factory=dict)
    camera: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    sub: tuple[Directory, ...] = ()
    maker: MakerNotes = field(default_factory=MakerNotes)
    order: Literal["<", ">"] = "<"
    """Of bytes, as in `struct`."""

    def get(self, tag: int) -> object:
        """Return a tag's value from the camera's directory, else from the main one: programs mix them up."""
        return self.camera.get(tag, self.main.get(tag))


def parse(block: bytes) -> Exif:
    """Read an EXIF block as pictures embed it: a TIFF header and its directories, with or without `Exif` in front."""
    return _tiff(io.BytesIO(block.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")))


def read(file: BinaryIO) -> Exif:
    """Read the directories of a TIFF-like file, which includes most RAW formats; never its pixels."""
    file.seek(0)
    head = file.read(16)
    if parts := raw_containers.canon_parts(file, head):
        return _with_xmp(_canon(parts), boxes.of_uuid(file, boxes.XMP_UUID))
    if jpeg := raw_containers.fujifilm_jpeg(file, head):
        return _of_jpeg(jpeg)
    found = _tiff(file)
    preview = found.main.get(_PANASONIC_JPEG)
    if isinstance(preview, bytes):
        # RW2 has the maker's notes, and what the camera wrote of XMP, in its preview only.
        within = _of_jpeg(preview)
        found = replace(found, camera={**within.camera, **found.camera}, maker=within.maker)
        return _with_xmp(found, within.main.get(XMP))
    return found


def _of_jpeg(jpeg: bytes) -> Exif:
    """Read the directories of the JPEG within a RAW file, with its XMP."""
    found = parse(raw_containers.in_jpeg(jpeg, raw_containers.EXIF_MARK).removeprefix(b"\0"))
    return _with_xmp(found, raw_containers.in_jpeg(jpeg, raw_containers.XMP_MARK))


def _with_xmp(found: Exif, packet: object) -> Exif:
    """Add XMP from elsewhere in the file, where the directory that usually has it has none."""
    return replace(found, main={XMP: packet, **found.main}) if packet else found


def _tiff(file: BinaryIO) -> Exif:
    opened = tiff_tags.opened(file)
    if opened is None:
        return Exif()
    block, start = opened
    main = tiff_tags.directory(block, start)
    pointer = main.get(_CAMERA_POINTER)
    return Exif(
        main={**main, **_whole(block, start)},
        camera=tiff_tags.directory(block, pointer),
        gps=tiff_tags.directory(block, main.get(_GPS_POINTER)),
        sub=tuple(
            tiff_tags.directory(block, offset) for offset in _values(main.get(SUB_DIRECTORIES))[:_MAX_SUB_DIRECTORIES]
        ),
        maker=_maker(block, start, pointer, main),
        order=block.order,
    )


def _whole(block: Block, start: int) -> Directory:
    """IPTC is bytes, whatever number type programs declare it as."""
    entry = tiff_tags.entries(block, start).get(IPTC)
    return {} if entry is None else {IPTC: tiff_tags.bytes_of(block, entry)}


def _maker(block: Block, start: int, pointer: object, main: Directory) -> MakerNotes:
    """Read the maker's notes, which a DNG has in its main directory, be it written by a camera or by a program."""
    entry = tiff_tags.entries(block, pointer).get(_MAKER_NOTE) or tiff_tags.entries(block, start).get(_DNG_PRIVATE)
    return MakerNotes() if entry is None else maker_notes.read(block, entry, text(main.get(MAKE)) or "")


def _canon(parts: list[bytes]) -> Exif:
    """CR3 has each directory in a block of its own: main, camera, maker's notes, GPS."""
    main, camera, notes, gps = (_first_directory(part) for part in parts)
    return Exif(main=main, camera=camera, gps=gps, maker=makers.canon(notes))


def _first_directory(part: bytes) -> Directory:
    opened = tiff_tags.opened(io.BytesIO(part))
    return tiff_tags.directory(*opened) if opened else {}


def _values(value: object) -> tuple[object, ...]:
    """EXIF has lists where one value is meant, and the other way round."""
    return tuple(value) if isinstance(value, (tuple, list)) else () if value is None else (value,)


def text(value: object) -> str | None:
    """Return the text of a field up to its first NUL, without surrounding spaces; None when nothing is left."""
    if isinstance(value, bytes):
        value = texts.decoded(value[: 8 * MAX_TEXT].partition(b"\0")[0])
    return texts.clean(value) if isinstance(value, str) else None


def name(value: object) -> str | None:
    """Return the name of a make or model; None for blanks and dashes."""
    found = text(value)
    return found if found and texts.has_words(found) else None


def wide_text(value: object) -> str | None:
    """Return the text of one of Windows' fields: UTF-16, little-endian."""
    return texts.written(value[: 8 * MAX_TEXT].decode("utf-16-le", "ignore")) if isinstance(value, bytes) else None


def comment(exif: Exif) -> str | None:
    """Return the user's comment, whose first eight bytes name its charset."""
    value = exif.get(USER_COMMENT)
    if not isinstance(value, bytes):
        return None
    charset, body = value[:8].rstrip(b"\0").upper(), value[8 : 8 * MAX_TEXT]
    if charset == b"UNICODE":
        return texts.written(texts.wide(body, exif.order))
    if charset == b"JIS":
        return texts.written(texts.japanese(body))
    is_named = charset == b"ASCII" or not charset.strip()
    return texts.written(texts.decoded((body if is_named else value[: 8 * MAX_TEXT]).lstrip(b"\0")))


def number(value: object) -> float | None:
    """Return the first number of a field, also one that is written out; None for infinity, or a zero denominator."""
    first = next(iter(_values(value)), None)
    if isinstance(first, bytes):
        first = text(first) if len(first) < _LONGEST_NUMBER else None
    try:
        found = float(first)  # type: ignore[arg-type]  # whatever has no float is caught
    except (TypeError, ValueError, ArithmeticError):
        return None
    return found if math.isfinite(found) else None


def positive(value: object) -> float | None:
    """Return the first number of a field when it is above zero: cameras write 0 for unknown."""
    found = number(value)
    return found if found is not None and found > 0 else None


def orientation(exif: Exif) -> int | None:
    """Return the stored rotation and mirroring, 1 to 8 as EXIF counts them."""
    found = number(exif.main.get(ORIENTATION))
    return int(found) if found is not None and found in range(1, 9) else None


def iso(exif: Exif) -> int | None:
    """Return the ISO speed, from the maker's notes where EXIF has none."""
    known = (
        *_values(exif.get(ISO)),  # of two, the first may be unknown
        exif.get(RECOMMENDED_ISO),
        exif.get(STANDARD_ISO),
        exif.get(ISO_SPEED),
        exif.maker.iso,
        exif.main.get(PANASONIC_ISO),
    )
    for value in known:
        found = positive(value)
        if found is not None and 1 <= found < 10_000_000 and found != _UNKNOWN_ISO:
            return round(found)
    return None


def lens(exif: Exif) -> str | None:
    """Return the lens as EXIF names it."""
    return texts.written(text(exif.get(LENS_MODEL)))


def lens_range(exif: Exif) -> str | None:
    """Return the range that EXIF has of a lens without a name."""
    return lenses.range_text([number(part) or 0.0 for part in _values(exif.get(LENS_RANGE))])


def lens_of_maker(exif: Exif) -> str | None:
    """Return the lens as the maker's notes name it, by words or number, or by what it can."""
    lens_number = exif.maker.lens_number
    if lens_number is None:
        return exif.maker.lens
    if lens_number.maker == lenses.E_MOUNT and not _E_MOUNT_MODEL.match(name(exif.main.get(MODEL)) or ""):
        return exif.maker.lens
    widest = power_of_two(number(exif.get(_WIDEST_APEX)), 0.5)
    return lenses.name(lens_number, focal_length(exif), widest) or exif.maker.lens


def aperture(exif: Exif) -> float | None:
    """Return the f-number, from the APEX value where only that is given."""
    found = _measured(exif.maker.aperture, positive(exif.get(F_NUMBER)))
    return found or power_of_two(number(exif.get(APERTURE_APEX)), 0.5)


def exposure_time(exif: Exif) -> float | None:
    """Return the exposure time in seconds, from the APEX value where only that is given."""
    found = _measured(exif.maker.exposure_time, positive(exif.get(EXPOSURE_TIME)))
    return found or power_of_two(number(exif.get(SHUTTER_SPEED_APEX)), -1.0)


def _measured(measured: float | None, stated: float | None) -> float | None:
    """Return what was measured where it is near what is stated; else the note was misread."""
    return measured if measured and stated and 0.5 <= measured / stated <= 2 else stated


def power_of_two(apex: float | None, factor: float) -> float | None:
    """Return what a value of the APEX system stands for: times have the factor -1, f-numbers 0.5."""
    return 2.0 ** (apex * factor) if apex is not None and abs(apex) < 64 else None


def focal_length(exif: Exif) -> float | None:
    """Return the focal length in millimetres, as the lens has it (no 35 mm equivalent)."""
    return positive(exif.get(FOCAL_LENGTH))


def rating(exif: Exif) -> float | None:
    """Return the stars that someone gave, from 0 to 5, or -1 for rejected."""
    return number(exif.get(RATING))


def taken_at(exif: Exif) -> str | None:
    """Return when the picture was taken, ISO 8601; `digitised_at` and `changed_at` likewise."""
    return dates.fullest((_date(exif, _ORIGINAL), dates.iso_8601(exif.maker.taken)))


def digitised_at(exif: Exif) -> str | None:
    """Return when the picture was made a file of, which for cameras is when it was taken."""
    return _date(exif, _DIGITISED)


def changed_at(exif: Exif) -> str | None:
    """Return when the file was changed, the last resort: old cameras, and many programs, write nothing else."""
    return _date(exif, _CHANGED)


def _date(exif: Exif, tags: tuple[int, int, int]) -> str | None:
    date, offset, fraction = (text(exif.get(tag)) for tag in tags)
    return dates.iso_8601(date, offset, fraction)


def position(exif: Exif) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees, north and east positive, as they are where no side is named."""
    return positions.of(
        _degrees(exif.gps.get(2), exif.gps.get(1), negative="S"),
        _degrees(exif.gps.get(4), exif.gps.get(3), negative="W"),
    )


def _degrees(value: object, reference: object, *, negative: str) -> float | None:
    if isinstance(value, bytes):
        return positions.read(f"{text(value) or ''}{(text(reference) or '')[:1]}")
    parts = [number(part) for part in _values(value)[:3]]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts) or min(known[1:], default=0) < 0:
        return None
    total = sum(abs(part) / unit for part, unit in zip(known, (1, 60, 3600), strict=False))
    return -total if known[0] < 0 or (text(reference) or "")[:1].upper() == negative else total
