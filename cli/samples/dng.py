"""Make a small, valid DNG: what a camera's RAW file is, without a camera.

Layout and tags as in Adobe's DNG specification 1.4: one uncompressed 16-bit strip behind an RGGB colour filter, and
optionally a JPEG preview as the main picture with the sensor data as its sub-picture.
"""

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_PREVIEW_SIDE = 1024

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL = 1, 2, 3, 4, 5, 10
_CODES = {_BYTE: "B", _SHORT: "H", _LONG: "I"}
_SUB_DIRECTORIES, _CAMERA_DIRECTORY = 330, 34665
_STRIP_OFFSETS = 273

_XYZ_TO_SRGB = ("3.2405", "-1.5371", "-0.4985", "-0.9693", "1.8760", "0.0416", "0.0556", "-0.2040", "1.0572")
"""IEC 61966-2-1: the made-up sensor sees linear sRGB, so that it develops to the colours that went in."""

Value = bytes | str | Sequence[int] | Sequence[Fraction]
Entry = tuple[int, int, Value]


@dataclass(frozen=True, slots=True)
class Shot:
    """What the made-up camera writes about a picture; date as EXIF has it."""

    taken_at: str = "2024:05:17 18:30:00"
    offset: str = "+02:00"
    iso: int = 200
    f_number: Fraction = Fraction(28, 10)
    exposure_time: Fraction = Fraction(1, 250)
    focal_length: Fraction = Fraction(35)
    make: str = "Darkroom"
    model: str = "Sample One"
    lens: str = "Sample 35mm F2.8"


def encode_dng(pixels: NDArray[np.uint8], *, preview: bool, orientation: int = 1, shot: Shot | None = None) -> bytes:
    """Return a DNG of 8-bit sRGB `pixels`, shape (height, width, 3), both even, as they lie on the sensor.

    `orientation`, 1 to 8 as in EXIF, tells how to turn them. With `preview` a JPEG with a longest side of at most 1024
    pixels goes in as well. The same arguments give the same bytes.
    """
    shot = shot or Shot()
    sensor = _mosaic(pixels).tobytes()
    shared = _shared_entries(shot, orientation)
    if not preview:
        return _file([[*_sensor_entries(pixels, sensor), *shared]], _camera_entries(shot), [sensor])
    jpeg, size = _preview(pixels)
    return _file(
        [[*_preview_entries(jpeg, size), *shared], _sensor_entries(pixels, sensor)],
        _camera_entries(shot),
        [jpeg, sensor],
    )


def _mosaic(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Keep of each pixel the one colour that its RGGB filter lets through, as linear light."""
    height, width, _ = pixels.shape
    if height % 2 or width % 2:
        raise ValueError(f"A colour filter array has an even size, not {width} x {height}.")
    linear = ((np.arange(256) / 255) ** 2.2 * 65535).astype("<u2")
    sensor = np.empty((height, width), dtype="<u2")
    for row, column, colour in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        sensor[row::2, column::2] = linear[pixels[row::2, column::2, colour]]
    return sensor


def _preview(pixels: NDArray[np.uint8]) -> tuple[bytes, tuple[int, int]]:
    image = Image.fromarray(pixels)
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), image.size


def _sensor_entries(pixels: NDArray[np.uint8], sensor: bytes) -> list[Entry]:
    height, width, _ = pixels.shape
    return [
        (254, _LONG, (0,)),  # NewSubfileType: the full picture
        *_strip_entries(width, height, len(sensor), bits=(16,), compression=1, photometric=32803),
        (33421, _SHORT, (2, 2)),  # CFARepeatPatternDim
        (33422, _BYTE, (0, 1, 1, 2)),  # CFAPattern: red, green, green, blue
        (50717, _LONG, (65535,)),  # WhiteLevel
    ]


def _preview_entries(jpeg: bytes, size: tuple[int, int]) -> list[Entry]:
    return [
        (254, _LONG, (1,)),  # NewSubfileType: a smaller one
        *_strip_entries(*size, len(jpeg), bits=(8, 8, 8), compression=7, photometric=6),
    ]


def _strip_entries(
    width: int, height: int, length: int, *, bits: Sequence[int], compression: int, photometric: int
) -> list[Entry]:
    return [
        (256, _LONG, (width,)),
        (257, _LONG, (height,)),
        (258, _SHORT, bits),
        (259, _SHORT, (compression,)),
        (262, _SHORT, (photometric,)),
        (_STRIP_OFFSETS, _LONG, (0,)),
        (277, _SHORT, (len(bits),)),  # SamplesPerPixel
        (278, _LONG, (height,)),  # RowsPerStrip
        (279, _LONG, (length,)),  # StripByteCounts
        (284, _SHORT, (1,)),  # PlanarConfiguration
    ]


def _shared_entries(shot: Shot, orientation: int) -> list[Entry]:
    return [
        (271, _ASCII, shot.make),
        (272, _ASCII, shot.model),
        (274, _SHORT, (orientation,)),
        (50706, _BYTE, (1, 4, 0, 0)),  # DNGVersion
        (50707, _BYTE, (1, 1, 0, 0)),  # DNGBackwardVersion
        (50708, _ASCII, f"{shot.make} {shot.model}"),  # UniqueCameraModel
        (50721, _SRATIONAL, [Fraction(part) for part in _XYZ_TO_SRGB]),  # ColorMatrix1
        (50728, _RATIONAL, [Fraction(1)] * 3),  # AsShotNeutral
        (50778, _SHORT, (21,)),  # CalibrationIlluminant1: D65
    ]


def _camera_entries(shot: Shot) -> list[Entry]:
    return [
        (33434, _RATIONAL, [shot.exposure_time]),
        (33437, _RATIONAL, [shot.f_number]),
        (34855, _SHORT, (shot.iso,)),
        (36867, _ASCII, shot.taken_at),
        (36881, _ASCII, shot.offset),
        (37386, _RATIONAL, [shot.focal_length]),
        (42036, _ASCII, shot.lens),
    ]


def _file(pictures: list[list[Entry]], camera: list[Entry], strips: list[bytes]) -> bytes:
    """Join header, directories and strips. `pictures` and `strips` pair up; the first is the main one."""
    main, *subs = pictures
    main.append((_CAMERA_DIRECTORY, _LONG, (0,)))
    if subs:
        main.append((_SUB_DIRECTORIES, _LONG, (0,) * len(subs)))
    directories = [main, camera, *subs]
    # A directory's length does not depend on the offsets in it: measure first, then fill them in.
    starts = _offsets(8, [_directory(entries, 0) for entries in directories])
    data = _offsets(starts[-1], strips)
    for entries, offset in zip(pictures, data, strict=False):
        _point(entries, _STRIP_OFFSETS, (offset,))
    _point(main, _CAMERA_DIRECTORY, (starts[1],))
    _point(main, _SUB_DIRECTORIES, starts[2:-1])
    parts = [_directory(entries, start) for entries, start in zip(directories, starts, strict=False)]
    return b"".join([struct.pack("<2sHI", b"II", 42, 8), *parts, *strips])


def _offsets(start: int, parts: list[bytes]) -> list[int]:
    """Where each part begins, and after the last one where it ends."""
    offsets = [start]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return offsets


def _point(entries: list[Entry], tag: int, offsets: Sequence[int]) -> None:
    for place, (number, kind, _) in enumerate(entries):
        if number == tag:
            entries[place] = (tag, kind, offsets)


def _directory(entries: list[Entry], start: int) -> bytes:
    """Encode a TIFF directory that begins at byte `start`; long values follow it."""
    table = [struct.pack("<H", len(entries))]
    values = b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, kind, value in sorted(entries, key=lambda entry: entry[0]):
        count, encoded = _encoded(kind, value)
        if len(encoded) > 4:
            offset = behind + len(values)
            values += encoded + b"\0" * (len(encoded) % 2)
            encoded = struct.pack("<I", offset)
        table.append(struct.pack("<HHI4s", tag, kind, count, encoded))
    return b"".join(table) + struct.pack("<I", 0) + values + b"\0" * (len(values) % 2)


def _encoded(kind: int, value: Value) -> tuple[int, bytes]:
    if isinstance(value, str):
        text = value.encode("ascii") + b"\0"
        return len(text), text
    if kind in (_RATIONAL, _SRATIONAL):
        code = "<II" if kind == _RATIONAL else "<ii"
        ratios = [Fraction(part) for part in value]
        return len(ratios), b"".join(struct.pack(code, ratio.numerator, ratio.denominator) for ratio in ratios)
    return len(value), struct.pack(f"<{len(value)}{_CODES[kind]}", *value)
