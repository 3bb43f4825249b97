"""In which colours a file says that its pixels are: an ICC profile, a colour space by name or numbers, or nothing.

The more exact statement wins (for PNG: third edition, 4.3); where a file states nothing, sRGB is meant.
"""

import io
import math
import struct
from contextlib import suppress
from typing import BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from imaging import boxes, captions
from imaging.colour_spaces import ADOBE_RGB, D65, PROPHOTO, SRGB, ColourSpace, of_code_points
from imaging.exif import Exif

Colours = bytes | ColourSpace | None
"""An ICC profile, a space, or sRGB."""

_COLOUR_SPACE, _INTEROPERABILITY_POINTER, _INTEROPERABILITY_INDEX = 40961, 40965, 1
_ADOBE_RGB_VALUE, _UNCALIBRATED = 2, 65535
"""Values of EXIF ColorSpace; the first is not in the standard, and some cameras write it."""
_PREVIEW_COLOUR_SPACE = 50970
_PREVIEW_SPACES = {3: ADOBE_RGB, 4: PROPHOTO}
"""PreviewColorSpace of DNG 1.6."""
_UNSPECIFIED = 2
"""ColourPrimaries of H.273."""
_MAX_CHUNKS = 1000


def of_picture(image: Image.Image, file: BinaryIO, exif: Exif) -> Colours:
    """Return what a file that Pillow opened says. `exif` is what was read of it."""
    if "colour_space" in image.info:  # its own reader knows
        known: ColourSpace | None = image.info["colour_space"]
        return known
    profile = _profile(image, file)
    if image.format == "PNG" and (stated := _cicp_of_png(file)) is not None:
        return of_code_points(*stated)
    if profile is not None:
        return _hdr_of(profile) or profile
    if image.format in {"HEIF", "AVIF"}:
        stated = boxes.code_points(file)
        if stated is not None and stated[0] != _UNSPECIFIED:
            return of_code_points(*stated)
    if "srgb" in image.info:  # a chunk of PNG
        return None
    return of_exif(exif, io.BytesIO(_block(image))) or (_of_png(image) if image.format == "PNG" else None)


def of_exif(exif: Exif, directories: BinaryIO) -> ColourSpace | None:
    """Return Adobe RGB where the camera says so: by DCF (CIPA DC-009) as an option file, `R03`.

    `directories` is what `exif` was read from: a file or a block that begins as a TIFF does.
    """
    stated = exif.camera.get(_COLOUR_SPACE)
    if stated == _ADOBE_RGB_VALUE:
        return ADOBE_RGB
    if stated == _UNCALIBRATED and _interoperability(exif, directories) == "R03":
        return ADOBE_RGB
    return None


def of_raw_preview(preview: Image.Image, exif: Exif, file: BinaryIO) -> Colours:
    """Return what a RAW file says of its embedded JPEG, or this of itself."""
    profile = preview.info.get("icc_profile")
    if isinstance(profile, bytes):
        return profile
    for directory in (exif.main, *exif.sub):
        stated = directory.get(_PREVIEW_COLOUR_SPACE)
        if isinstance(stated, int) and stated in _PREVIEW_SPACES:
            return _PREVIEW_SPACES[stated]
    return of_exif(exif, file)


def _profile(image: Image.Image, file: BinaryIO) -> bytes | None:
    found = image.info.get("icc_profile")
    if not found and image.format == "JPEG2000":
        found = boxes.jp2_profile(file)
    return found if isinstance(found, bytes) and found else None


def _block(image: Image.Image) -> bytes:
    return captions.exif_block(image).removeprefix(b"Exif\0\0")


def _interoperability(exif: Exif, file: BinaryIO) -> str | None:
    """Return the index of the interoperability directory: R98 for sRGB, R03 for Adobe RGB."""
    with suppress(Exception):  # Pillow's reader raises many types on hostile bytes; what they say does not matter then
        file.seek(0)
        head = file.read(8)
        # The magic number is put right, since ORF and RW2 have their own.
        directory = TiffImagePlugin.ImageFileDirectory_v2(
            head[:2] + (b"*\0" if head[:2] == b"II" else b"\0*") + head[4:]
        )
        file.seek(int(exif.camera[_INTEROPERABILITY_POINTER]))  # type: ignore[call-overload]  # else suppressed
        directory.load(file)
        return str(directory[_INTEROPERABILITY_INDEX]).strip("\0 ")
    return None


def _of_png(image: Image.Image) -> ColourSpace | None:
    """Return the space of the chunks gAMA and cHRM."""
    gamma, found = image.info.get("gamma"), image.info.get("chromaticity")
    primaries, white = SRGB.primaries, D65
    if found:
        white = (found[0], found[1])
        primaries = tuple(zip(found[2::2], found[3::2], strict=True))
        if not _is_possible(primaries, white) or np.allclose((*found[:2], *found[2:]), _SRGB_NUMBERS, atol=0.002):
            primaries, white = SRGB.primaries, D65
    if not gamma or not 0.1 <= gamma <= 5 or math.isclose(gamma, 1 / 2.2, abs_tol=0.005):
        return None if primaries == SRGB.primaries else ColourSpace(primaries, white)
    return ColourSpace(primaries, white, "gamma", 1 / gamma)


_SRGB_NUMBERS = (*D65, *(number for pair in SRGB.primaries for number in pair))


def _is_possible(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> bool:
    """Whether these are chromaticities from which light can be computed."""
    columns = np.array([[x, y, 1 - x - y] for x, y in primaries])
    return white[1] > 0.01 and abs(float(np.linalg.det(columns))) > 0.001


def _cicp_of_png(file: BinaryIO) -> tuple[int, int] | None:
    """Return the code points of the chunk cICP, which has to come before the pixels."""
    position = 8
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        header = file.read(12)
        if len(header) < 10 or header[4:8] == b"IDAT":
            return None
        if header[4:8] == b"cICP":
            return header[8], header[9]
        position += 12 + int.from_bytes(header[:4], "big")
    return None


def _hdr_of(profile: bytes | None) -> ColourSpace | None:
    """Return the HDR space that an ICC profile (4.4) names by code points: its curves know no tone mapping."""
    if profile is None:
        return None
    with suppress(struct.error):
        (count,) = struct.unpack_from(">I", profile, 128)
        for number in range(min(count, 100)):
            signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
            if signature == b"cicp" and size >= 12:
                space = of_code_points(*struct.unpack_from(">BB", profile, offset + 8))
                return space if space is not None and space.is_hdr else None
    return None
