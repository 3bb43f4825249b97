"""EXIF as cameras really write it: where a field is wrong, that field alone is absent.

Tag numbers are those of Exif 2.32 (CIPA DC-008) and, for the main directory, of TIFF 6.0.
"""

import io
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from PIL import TiffImagePlugin

Directory = Mapping[int, object]
"""Tag number to value, of whatever type the file claims that it has."""

MAKE, MODEL, DESCRIPTION, ORIENTATION, SUB_DIRECTORIES = 271, 272, 270, 274, 330
EXPOSURE_TIME, F_NUMBER, ISO, RECOMMENDED_ISO = 33434, 33437, 34855, 34866
SHUTTER_SPEED_APEX, APERTURE_APEX, FOCAL_LENGTH, LENS_MODEL = 37377, 37378, 37386, 42036
_CAMERA_POINTER, _GPS_POINTER = 34665, 34853
_TAKEN = ((36867, 36881), (36868, 36882))
"""Tags of a date and of its offset from UTC: taken, then digitised."""

MAX_TEXT = 2_000
"""Characters kept of a text, so that metadata stays small in every message."""
_MAX_SUB_DIRECTORIES = 8
_DATE = re.compile(
    r"(\d{4})[:\-/.](\d\d)[:\-/.](\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?(?:\.\d*)?\s*(Z|[+-]\d\d:?\d\d)?\s*$"
)


@dataclass(frozen=True, slots=True)
class Exif:
    """The directories that are read; any may be empty. `sub` holds those of a RAW file's further pictures."""

    main: Directory = field(default_factory=dict)
    camera: Directory = field(default_factory=dict)
    gps: Directory = field(default_factory=dict)
    sub: tuple[Directory, ...] = ()


def parse(block: bytes) -> Exif:
    """Read an EXIF block as pictures embed it: a TIFF header and its directories, with or without `Exif` in front."""
    return read(io.BytesIO(block.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")))


def read(file: BinaryIO) -> Exif:
    """Read the directories of a TIFF-like file, which includes most RAW formats; never its pixels."""
    file.seek(0)
    head = file.read(8)
    if len(head) < 8 or head[:2] not in (b"II", b"MM"):
        return Exif()
    # The magic number is put right, since ORF and RW2 have their own.
    header = head[:2] + (b"*\0" if head[:2] == b"II" else b"\0*") + head[4:]
    main = _directory(file, header, TiffImagePlugin.ImageFileDirectory_v2(header).next)
    return Exif(
        main=main,
        camera=_directory(file, header, main.get(_CAMERA_POINTER)),
        gps=_directory(file, header, main.get(_GPS_POINTER)),
        sub=tuple(
            _directory(file, header, offset) for offset in _values(main.get(SUB_DIRECTORIES))[:_MAX_SUB_DIRECTORIES]
        ),
    )


def _directory(file: BinaryIO, header: bytes, offset: object) -> Directory:
    tags: dict[int, object] = {}
    # Pillow's reader raises many types on hostile bytes; EXIF never fails a picture.
    with suppress(Exception):
        found = TiffImagePlugin.ImageFileDirectory_v2(header)
        file.seek(int(_values(offset)[0]))  # type: ignore[call-overload]  # anything but a number ends in suppress
        found.load(file)
        for tag in found:
            with suppress(Exception):
                tags[tag] = found[tag]
    return tags


def _values(value: object) -> tuple[object, ...]:
    """EXIF has lists where one value is meant, and the other way round."""
    return tuple(value) if isinstance(value, (tuple, list)) else () if value is None else (value,)


def text(value: object) -> str | None:
    """Return the text of a field up to its first NUL, without surrounding spaces; None when nothing is left."""
    if not isinstance(value, (str, bytes)):
        return None
    value = value[: 8 * MAX_TEXT]  # a TIFF may hold a text as long as itself
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    # Pillow reads texts as Latin-1; many programs write UTF-8.
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode("utf-8")
    visible = "".join(letter for letter in value.partition("\0")[0] if letter.isprintable() or letter in "\n\t")
    return visible.strip()[:MAX_TEXT].rstrip() or None


def number(value: object) -> float | None:
    """Return the first number of a field; None for text, no value, infinity, or a zero denominator."""
    first = next(iter(_values(value)), None)
    if isinstance(first, (str, bytes)):
        return None
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
    """Return the ISO speed; 65535 means that the 16-bit field was too small."""
    for tag in (ISO, RECOMMENDED_ISO):
        found = positive(exif.camera.get(tag, exif.main.get(tag)))
        if found is not None and 1 <= found < 10_000_000 and found != 65_535:
            return round(found)
    return None


def aperture(exif: Exif) -> float | None:
    """Return the f-number, from the APEX value where only that is given."""
    found = positive(exif.camera.get(F_NUMBER, exif.main.get(F_NUMBER)))
    apex = number(exif.camera.get(APERTURE_APEX))
    return found if found is not None else _power_of_two(apex, 0.5)


def exposure_time(exif: Exif) -> float | None:
    """Return the exposure time in seconds, from the APEX value where only that is given."""
    found = positive(exif.camera.get(EXPOSURE_TIME, exif.main.get(EXPOSURE_TIME)))
    apex = number(exif.camera.get(SHUTTER_SPEED_APEX))
    return found if found is not None else _power_of_two(apex, -1.0)


def _power_of_two(apex: float | None, factor: float) -> float | None:
    return 2.0 ** (apex * factor) if apex is not None and abs(apex) < 64 else None


def focal_length(exif: Exif) -> float | None:
    """Return the focal length in millimetres, as the lens has it (no 35 mm equivalent)."""
    return positive(exif.camera.get(FOCAL_LENGTH, exif.main.get(FOCAL_LENGTH)))


def taken_at(exif: Exif) -> str | None:
    """Return when the picture was taken, ISO 8601, with the offset from UTC where the file knows it."""
    for date, offset in _TAKEN:
        found = iso_8601(exif.camera.get(date, exif.main.get(date)), exif.camera.get(offset))
        if found is not None:
            return found
    return None


def iso_8601(date: object, offset: object = None) -> str | None:
    """Turn `2021:04:11 15:47:53` (or ISO 8601) and an offset into ISO 8601; None when it is no possible time."""
    found = _DATE.match(text(date) or "")
    if found is None:
        return None
    *parts, zone = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    try:
        local = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    with suppress(ValueError):  # an offset that is none leaves the time as the camera's clock had it
        return datetime.fromisoformat(local.isoformat() + (zone or text(offset) or "")).isoformat()
    return local.isoformat()


def position(exif: Exif) -> tuple[float, float] | None:
    """Return latitude and longitude in degrees, north and east positive; None unless both are on the globe."""
    latitude = _degrees(exif.gps.get(2), exif.gps.get(1), positive="N", negative="S", limit=90)
    longitude = _degrees(exif.gps.get(4), exif.gps.get(3), positive="E", negative="W", limit=180)
    return None if latitude is None or longitude is None else (latitude, longitude)


def _degrees(value: object, reference: object, *, positive: str, negative: str, limit: int) -> float | None:
    parts = [number(part) for part in _values(value)]
    side = (text(reference) or "")[:1].upper()
    if not 1 <= len(parts) <= 3 or side not in (positive, negative) or side == "":
        return None
    total = 0.0
    for part, unit in zip(parts, (1, 60, 3600), strict=False):
        if part is None or part < 0:
            return None
        total += part / unit
    if total > limit:
        return None
    return total if side == positive else -total
