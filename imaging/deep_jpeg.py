"""JPEGs of more than 8 bits, which Pillow does not decode: medical, scientific and lossless ones."""

import io
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import Image

from imaging.bounds import check_pixels
from imaging.jpeg import noise
from imaging.samples import to_eight_bit

_END = b"\xff\xd9"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_BASELINE = 0xC0
_MAX_SEGMENTS = 1000


def frame(file: BinaryIO) -> tuple[int, int] | None:
    """Return where the frame header of a JPEG is, and bits of a sample; None where there is none."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        file.seek(position)
        segment = file.read(5)
        if len(segment) < 5 or segment[0] != 0xFF:
            return None
        if segment[1] in _FRAMES:
            return position, segment[4]
        if segment[1] == 0xFF:
            position += 1
        else:
            position += 2 + int.from_bytes(segment[2:4])
    return None


def read(file: BinaryIO, found: tuple[int, int], max_pixels: int) -> tuple[Image.Image, str]:
    """Decode to L or RGB with metadata where Pillow puts it, and return the mode in which it is stored.

    Raises EOFError where it lacks a part, and whatever the decoder raises.
    """
    position, bits = found
    file.seek(0)
    content = file.read()
    # Pillow reads all but the pixels of one that is called an ordinary one.
    ordinary = bytearray(content)
    ordinary[position + 1], ordinary[position + 4] = _BASELINE, 8
    image = Image.open(io.BytesIO(ordinary), formats=("JPEG",))
    check_pixels(image.size, max_pixels)
    body = content[: content.rfind(_END)] if _END in content else content
    samples, other = (imagecodecs.jpeg_decode(body + noise(seed) + _END, bitspersample=bits) for seed in range(2))
    if not np.array_equal(samples, other):
        raise EOFError("truncated")
    decoded = Image.fromarray(to_eight_bit(samples, bits))
    decoded.format, decoded.info = image.format, image.info
    decoded.applist = image.applist  # type: ignore[attr-defined]  # as on what Pillow opens
    return decoded, "I;16" if decoded.mode == "L" else decoded.mode
