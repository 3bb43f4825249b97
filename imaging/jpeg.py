"""Decode a JPEG at the smallest scale that is large enough, and know how much of it was there.

libjpeg goes on after damage, and shows grey or noise. simplejpeg hands on what it warns of, with the pixels that Pillow
has and in the same time; Pillow keeps it to itself.
"""

import io
import random
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
_HARMLESS = ("extraneous bytes before marker", "JFIF revision", "Adobe color transform")
"""Warnings of libjpeg after which all pixels are right."""
_LOOKED_AT = 2048
"""Pixels of a side at which two decodes are compared."""
_FILLING = 8192
_MOST = 0.999
"""The share of a picture of which little is missing."""
NEARLY_ALL = 0.95
"""Share that a file with an end marker must have: its writer, or who mended it, took it for whole."""


def load(image: Image.Image, file: BinaryIO, side: int, *, salvage_damaged: bool = False) -> tuple[Image.Image, float]:
    """Decode what Pillow opened from a file, with the longest side at least `side`, where it is so long.

    Returns the picture, and how much of it is there: 1.0, or less where it is damaged. Raises OSError for a file that
    ends too early, and for one that has its end but lacks more than a margin; with `salvage_damaged`, where less than
    half is there.
    """
    target = fitted(image.size, side)
    file.seek(0)
    content = file.read()
    warning = ""
    if image.mode in _COLOURS:
        try:
            return _strictly(image, content, target), 1.0
        except ValueError as error:
            warning = str(error)
    image.draft(None, target)
    try:
        image.load()
    except OSError:
        least = LEAST if salvage_damaged else 1.0
        found = _salvaged(content, side)
        if found is None or found[1] < least:
            raise
        return found  # all that it lacks may be its end marker
    if not warning or any(harmless in warning for harmless in _HARMLESS):
        return image, 1.0
    share = min(_MOST, _share(content))
    if share < (LEAST if salvage_damaged else NEARLY_ALL):
        raise OSError("image file is truncated, though it has an end marker")
    return image, share


def _salvaged(content: bytes, side: int) -> tuple[Image.Image, float] | None:
    """Decode what can be of a JPEG without an end; what is missing is grey. None where nothing can be decoded."""
    try:
        share = _share(content)
        return _decoded(_body(content) + _END, side), share
    except (OSError, SyntaxError, ValueError):
        return None


def _strictly(image: Image.Image, content: bytes, target: tuple[int, int]) -> Image.Image:
    """Decode, or raise ValueError for the first thing that libjpeg warns of."""
    width, height = image.size
    # The scale that Pillow takes, so that a content has the same pixels whoever decodes it.
    room = min(width // target[0], height // target[1])
    scale = next(scale for scale in (8, 4, 2, 1) if room >= scale)
    pixels = simplejpeg.decode_jpeg(
        content,
        _COLOURS[image.mode],
        min_width=-(-width // scale),
        min_height=-(-height // scale),
        min_factor=1,
    )
    decoded = Image.fromarray(pixels[..., 0] if image.mode == "L" else pixels)
    decoded.info = image.info
    return decoded


def _share(content: bytes) -> float:
    """Return how much of the height a JPEG has pixels for.

    It is decoded with one noise behind its data, and with another: pixels that differ are made from noise. Data that
    is whole leaves no room for any.
    """
    body = _body(content)
    one, other = (body + _noise(seed) + _END for seed in (1, 2))
    if (_pixels(one, _LOOKED_AT) == _pixels(other, _LOOKED_AT)).all():
        return 1.0
    # At the smallest scale, a progressive file has all rows as soon as it has them coarsely.
    differ = (_pixels(one, 1) != _pixels(other, 1)).any(axis=(1, 2))
    return min(_MOST, int(differ.argmax()) / len(differ) if differ.any() else 1.0)


def _body(content: bytes) -> bytes:
    """Return the data without its end, be it a marker, half of one, or the zeros of a file that was not filled."""
    return content.rstrip(b"\0").removesuffix(_END).rstrip(b"\xff")


def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(_FILLING).replace(b"\xff", b"\0")  # noqa: S311 - no secret


def _pixels(content: bytes, side: int) -> NDArray[np.uint8]:
    return np.asarray(_decoded(content, side).convert("RGB"))


def _decoded(content: bytes, side: int) -> Image.Image:
    image = Image.open(io.BytesIO(content), formats=("JPEG",))
    image.draft(None, fitted(image.size, side))
    image.load()
    return image
