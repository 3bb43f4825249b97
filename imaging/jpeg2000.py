"""JPEG 2000 of other depths than 8 bits: Pillow makes white of deeper colours black, and of others grey."""

import struct
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from imaging.samples import on_white, to_eight_bit

_START = b"\xff\x4f\xff\x51"
"""Of the code stream: its first two markers."""
_COUNT = 40
"""Where the second has the number of components, whose depths follow (ISO/IEC 15444-1, A.5.1)."""
_CODING, _TRANSFORM = b"\xff\x52", 8
"""The marker of the coding style, and where behind it the transform of colours is (A.6.1)."""
_MAX_HEADER = 1 << 20


def needs_own_way(image: Image.Image, file: BinaryIO) -> bool:
    """Whether `load` has to decode what Pillow opened."""
    if image.format != "JPEG2000" or image.mode not in ("L", "I;16", "LA", "RGB", "RGBA", "YCbCr"):
        return False
    return any(bits != 8 for bits, _ in _depths(file))


def load(image: Image.Image, file: BinaryIO) -> Image.Image:
    """Decode to L or RGB; what is transparent shows white. Raises ValueError for damage."""
    depths = _depths(file)
    file.seek(0)
    samples = imagecodecs.jpeg2k_decode(file.read())
    samples = samples[..., None] if samples.ndim == 2 else samples
    channels = [
        to_eight_bit(samples[..., channel].astype(np.int64) + ((1 << bits - 1) if is_signed else 0), bits)
        for channel, (bits, is_signed) in enumerate(depths)
    ]
    bands = [Image.fromarray(channel) for channel in channels]
    if len(bands) < 3:
        return on_white(bands[0], bands[1]) if image.mode == "LA" else bands[0]
    colours = Image.merge("RGB", bands[:3])  # also of YCbCr, which the decoder converts
    return on_white(colours, bands[3]) if image.mode == "RGBA" else colours


def is_ycbcr(stream: bytes, *, is_stated: bool) -> bool:
    """Whether a code stream of 8 bits has YCbCr that its decoder leaves as it is.

    That is so where its colours are halved, and where that is stated of it; not where it has a transform of its own.
    """
    head = stream[:_MAX_HEADER]
    coding = head.find(_CODING)
    if coding < 0 or len(head) < coding + _TRANSFORM + 1 or head[coding + _TRANSFORM]:
        return False
    (count,) = struct.unpack_from(">H", head, _COUNT)
    across = head[_COUNT + 3 :][: 3 * count : 3]
    return count >= 3 and (is_stated or across[0] < across[1])


def _depths(file: BinaryIO) -> list[tuple[int, bool]]:
    """Return bits of each component, and whether it is signed."""
    file.seek(0)
    head = file.read(_MAX_HEADER)
    start = head.find(_START)
    if start < 0 or len(head) < start + _COUNT + 2:
        return []
    (count,) = struct.unpack_from(">H", head, start + _COUNT)
    found = head[start + _COUNT + 2 :][: 3 * count : 3]
    return [((one & 0x7F) + 1, bool(one & 0x80)) for one in found]
