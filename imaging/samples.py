"""Bring samples of any depth to 8 bits. Pure functions over arrays and images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

Samples = NDArray[Any]
_PIECE_ROWS = 512
"""Rows that are laid on white at a time, so that little is held beside the picture."""
_WHITE = {"L": (255,), "RGB": (255, 255, 255), "CMYK": (0, 0, 0, 0)}


def to_eight_bit(samples: Samples, bits: int) -> NDArray[np.uint8]:
    """Scale samples whose full range is known to 0 to 255: unsigned of `bits` bits, or floats from 0 to 1."""
    if samples.dtype.kind == "f":
        within = np.clip(np.nan_to_num(samples.astype(np.float32), nan=0.0), 0.0, 1.0)
        return (within * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    if samples.dtype.kind == "b":
        return np.asarray(samples.astype(np.uint8) * np.uint8(255))
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    if bits < 8:
        full = (1 << bits) - 1
        scale = np.array([round(value * 255 / full) for value in range(full + 1)], np.uint8)
        return np.asarray(scale[samples])
    if bits == 16:
        # Rounded division by 257, within 16 bits.
        samples = samples.astype(np.uint16, copy=False)
        return np.asarray(((samples - (samples >> 8) + np.uint16(128)) >> 8).astype(np.uint8))
    scaled = samples.astype(np.float64) * (255.0 / ((1 << bits) - 1)) + 0.5
    return np.minimum(scaled, 255.0).astype(np.uint8)


def stretched(samples: Samples, low: float, high: float) -> NDArray[np.uint8]:
    """Scale samples that have no agreed range: `low` becomes 0, `high` 255."""
    values = np.nan_to_num(samples.astype(np.float64), nan=low, posinf=high, neginf=low)
    span = (high - low) or 1.0
    return (np.clip((values - low) * (255.0 / span), 0.0, 255.0) + 0.5).astype(np.uint8)


def on_white(image: Image.Image, alpha: Image.Image, *, premultiplied: bool = False) -> Image.Image:
    """Lay an L, RGB or CMYK picture on white, in place; `alpha` is L, 255 where the picture is opaque."""
    for top in range(0, image.height, _PIECE_ROWS):
        box = (0, top, image.width, min(top + _PIECE_ROWS, image.height))
        piece, cover = image.crop(box), alpha.crop(box)
        white = Image.new(image.mode, piece.size, _WHITE[image.mode])
        if premultiplied:
            nothing = Image.new(image.mode, piece.size, 0)
            white.paste(nothing, mask=cover)
            laid = ImageChops.add(piece, white)
        else:
            white.paste(piece, mask=cover)
            laid = white
        image.paste(laid, box)
    return image
