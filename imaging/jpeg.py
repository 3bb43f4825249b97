"""Decode a JPEG at the smallest scale that is large enough, and know how much of it was there.

libjpeg goes on after damage, and shows grey or noise. simplejpeg hands on what it warns of, with the pixels that Pillow
has and in the same time; Pillow keeps it to itself.
"""

import io
import os
import random
import re
from typing import BinaryIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from imaging.salvage import LEAST
from imaging.thumbnails import fitted

_END = b"\xff\xd9"
_COLOURS = {"RGB": "RGB", "L": "GRAY"}
"""Pillow's modes by simplejpeg's names."""
_NO_END = "Premature end of JPEG file"
_HARMLESS = ("JFIF revision", "Adobe color transform")
"""Warnings of libjpeg that are not of pixels. It is the first that is known, so there may be others behind it."""
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_OF_HEADERS = re.compile("e.|fe|db|c0|c1|c2|dd")
"""Markers that stand before the pixels."""
_FEW = 2
"""Bytes that may be left behind the data of a whole picture. Where data is damaged, libjpeg loses its place in it."""
_room, _pixel_room = bytearray(16 << 20), bytearray(16 << 20)
_LOOKED_AT = 2048
"""Pixels of a side at which two decodes are compared."""
_FILLING = 8192
_ZEROS = 16
"""More of them are no data."""
_ALL, _MOST = 1.0, 0.999
"""Share of a picture that is whole, and of one of which little is missing."""
NEARLY_ALL = 0.95
"""Share that a file with an end marker must have: its writer, or who mended it, took it for whole."""


def load(image: Image.Image, file: BinaryIO, side: int, *, salvage_damaged: bool = False) -> tuple[Image.Image, float]:
    """Decode what Pillow opened from a file, with the longest side at least `side`, where it is so long.

    Returns the picture, and how much of it is there: 1.0, or less where it is damaged. Raises OSError for a file that
    ends too early, and for one that has its end but lacks more than a margin; with `salvage_damaged`, where less than
    half is there.
    """
    target = fitted(image.size, side)
    content = _read(file)
    warning = ""
    if image.mode in _COLOURS:
        try:
            return _strictly(image, content, target), _ALL
        except ValueError as error:
            warning = str(error)
    whole = bytes(content)
    image.draft(None, target)
    try:
        image.load()
    except OSError:
        shares = _shares(whole)
        if shares[0] < _ALL and not (salvage_damaged and max(shares) >= LEAST):
            raise
        # Maybe all that it lacks is its end marker. What is missing shows grey.
        return _decoded(_body(whole) + _END, side), shares[0]
    if not warning:
        return image, _ALL
    shares = _shares(whole)
    if shares[0] == _ALL and _is_harmless(warning, whole):
        return image, _ALL
    if max(shares) < LEAST or (shares[0] < NEARLY_ALL and not salvage_damaged):
        raise OSError("image file is truncated, though it has an end marker")
    return image, min(_MOST, shares[0])


def _is_harmless(warning: str, content: bytes) -> bool:
    """Whether all pixels are right after a warning, where no data is missing."""
    left_over = _LEFT_OVER.search(warning)
    if left_over is None:
        return _NO_END in warning or any(harmless in warning for harmless in _HARMLESS)
    count, marker = int(left_over[1]), left_over[2]
    if count <= _FEW or _OF_HEADERS.fullmatch(marker):
        return True
    return marker == "d9" and len(set(content[: content.rfind(_END)][-count:])) == 1  # filled up


def _read(file: BinaryIO) -> memoryview | bytes:
    """Return all of a file; where that is not large, in memory that is used again, as new memory costs time."""
    file.seek(0, os.SEEK_END)
    length = file.tell()
    file.seek(0)
    if length > len(_room):
        return file.read()
    read = file.readinto(_room)  # type: ignore[attr-defined]  # every file that is opened has it
    return memoryview(_room)[:read]


def _strictly(image: Image.Image, content: memoryview | bytes, target: tuple[int, int]) -> Image.Image:
    """Decode, or raise ValueError for the first thing that libjpeg warns of."""
    width, height = image.size
    # The scale that Pillow takes, so that a content has the same pixels whoever decodes it.
    room = min(width // target[0], height // target[1])
    scale = next(scale for scale in (8, 4, 2, 1) if room >= scale)
    size = (-(-width // scale), -(-height // scale))
    fits = size[0] * size[1] * len(image.mode) <= len(_pixel_room)
    pixels = simplejpeg.decode_jpeg(
        content,
        _COLOURS[image.mode],
        min_width=size[0],
        min_height=size[1],
        min_factor=1,
        buffer=_pixel_room if fits else None,
    )
    decoded = Image.frombytes(image.mode, (pixels.shape[1], pixels.shape[0]), pixels)
    decoded.info = image.info
    return decoded


def _shares(content: bytes) -> tuple[float, float]:
    """Return how much of the height a JPEG has pixels for: in full, and coarsely.

    The second is more for a progressive file, whose first scan has all rows. It is decoded with one noise behind its
    data, and with another: pixels that differ are made from noise. Data that is whole leaves no room for any.
    """
    try:
        body = _body(content)
        one, other = (body + noise(seed) + _END for seed in (1, 2))
        fine, coarse = (_rows_alike(_pixels(one, side), _pixels(other, side)) for side in (_LOOKED_AT, 1))
    except (OSError, SyntaxError, ValueError):
        return 0.0, 0.0
    return fine, coarse


def _rows_alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    differ = (one != other).any(axis=(1, 2))
    return min(_MOST, int(differ.argmax()) / len(differ)) if differ.any() else _ALL


def _body(content: bytes) -> bytes:
    """Return the data without its end, be it a marker, half of one, or the zeros of a file that was not filled."""
    body = content.rstrip(b"\0")
    if len(content) - len(body) < _ZEROS:
        return content.removesuffix(_END).rstrip(b"\xff")
    return body.removesuffix(_END) if body.endswith(_END) else body + b"\0\0"  # which may belong to it


def noise(seed: int) -> bytes:
    """Return bytes to stand behind data: what shows of them in a picture was not in the data."""
    return random.Random(seed).randbytes(_FILLING).replace(b"\xff", b"\0")  # noqa: S311 - no secret


def _pixels(content: bytes, side: int) -> NDArray[np.uint8]:
    return np.asarray(_decoded(content, side).convert("RGB"))


def _decoded(content: bytes, side: int) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    image.draft(None, fitted(image.size, side))
    image.load()
    return image
