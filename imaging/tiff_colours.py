"""What a TIFF's tags say of its colours: palettes, and the way from YCbCr to RGB."""

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from core.errors import ContentError
from imaging.samples import to_eight_bit

_COLOUR_MAP, _COEFFICIENTS, _REFERENCES = 320, 529, 532
_PIECE_ROWS = 512
"""Rows that are converted at a time."""


def from_ycbcr(image: Image.Image, page: tifffile.TiffPage) -> Image.Image:
    """Convert YCbCr to RGB, by what the file states of its coefficients and references (TIFF 6.0, 20 and 21)."""
    stated = _rationals(page, _COEFFICIENTS, 3), _rationals(page, _REFERENCES, 6)
    red, green, blue = stated[0] or (0.299, 0.587, 0.114)
    full = (1 << int(page.bitspersample)) - 1
    low, high, *colours = [one * 255 / full for one in stated[1]] or (0, 255, 128, 255, 128, 255)
    spans = high - low, colours[1] - colours[0], colours[3] - colours[2]
    if stated == ((), ()) or 0 in {green, *spans}:
        return image.convert("RGB")
    canvas = Image.new("RGB", image.size)
    for top in range(0, image.height, _PIECE_ROWS):
        box = (0, top, image.width, min(top + _PIECE_ROWS, image.height))
        samples = np.asarray(image.crop(box), np.float32)
        light = (samples[..., 0] - low) * (255 / spans[0])
        r = light + (2 - 2 * red) * (samples[..., 2] - colours[2]) * (127 / spans[2])
        b = light + (2 - 2 * blue) * (samples[..., 1] - colours[0]) * (127 / spans[1])
        rgb = np.stack([r, (light - red * r - blue * b) / green, b], axis=-1)
        canvas.paste(Image.fromarray((np.clip(rgb, 0, 255) + 0.5).astype(np.uint8)), box)
    return canvas


def _rationals(page: tifffile.TiffPage, tag: int, count: int) -> tuple[float, ...]:
    """Return the fractions of a tag; none where it has another number of them, or one by zero."""
    values = page.tags.valueof(tag, ())
    pairs = list(zip(values[::2], values[1::2], strict=True)) if len(values) == 2 * count else []
    return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else ()


def colour_map(page: tifffile.TiffPage) -> NDArray[np.uint8]:
    """Return the palette, shape (colours, 3). Some programs wrote 8-bit values where 16-bit ones belong."""
    values = np.asarray(page.tags.valueof(_COLOUR_MAP, ()), np.uint16)
    if not values.size or values.size % 3:
        raise ContentError("is a TIFF with a palette that has no colours.")
    colours = values.reshape(3, -1).T
    return np.ascontiguousarray(colours.astype(np.uint8) if colours.max() < 256 else to_eight_bit(colours, 16))
