"""BMP whose pixels have their colours under masks of any form, of which Pillow knows some."""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imaging.bounds import check_pixels
from imaging.samples import on_white, stretched

_HEADER = struct.Struct("<2s8xIIiiHHI")
_MASKS, _ALPHA = 54, 66
"""Where masks are, whatever the length of the header."""
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_WITH_ALPHA = 56
"""Bytes of a header that has a mask for alpha."""
_PIECE_ROWS = 512


def has_masks(file: BinaryIO) -> bool:
    """Whether `read` has to decode a BMP."""
    file.seek(0)
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:2] != b"BM":
        return False
    *_, size, _, _, _, bits, compression = _HEADER.unpack(head)
    return size >= 40 and compression in (_BITFIELDS, _ALPHA_BITFIELDS) and bits in (16, 32)


def read(file: BinaryIO, max_pixels: int) -> tuple[Image.Image, str]:
    """Decode to RGB, and return the mode in which it is stored. Raises EOFError where it is short."""
    file.seek(0)
    _, start, size, width, height, _, bits, compression = _HEADER.unpack(file.read(_HEADER.size))
    check_pixels((max(width, 0), abs(height)), max_pixels)
    file.seek(_MASKS)
    masks = list(struct.unpack("<4I", file.read(16).ljust(16, b"\0")))
    if size < _WITH_ALPHA and compression != _ALPHA_BITFIELDS:
        masks[3] = 0
    stride = (width * bits // 8 + 3) // 4 * 4
    image, alpha = Image.new("RGB", (width, abs(height))), Image.new("L", (width, abs(height)), 255)
    is_seen = False
    for row in range(0, abs(height), _PIECE_ROWS):
        rows = min(_PIECE_ROWS, abs(height) - row)
        file.seek(start + row * stride)
        data = file.read(rows * stride)
        if len(data) < rows * stride:
            raise EOFError("truncated")
        pixels = np.frombuffer(data, f"<u{bits // 8}").reshape(rows, -1)[:, :width]
        top = row
        if height > 0:  # from the lowest row up
            pixels, top = pixels[::-1], height - row - rows
        colours = np.stack([_channel(pixels, mask) for mask in masks[:3]], axis=-1)
        image.paste(Image.fromarray(colours), (0, top))
        if masks[3]:
            cover = _channel(pixels, masks[3])
            is_seen = is_seen or bool(cover.any())
            alpha.paste(Image.fromarray(cover), (0, top))
    image = on_white(image, alpha) if is_seen else image  # with no alpha at all nobody has set it
    image.format = "BMP"
    return image, "RGBA" if is_seen else "RGB"


def _channel(pixels: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    """Scale what is under a mask to 0 to 255."""
    lowest = (mask & -mask) or 1
    return stretched((pixels & mask) // lowest, 0, max(mask // lowest, 1))
