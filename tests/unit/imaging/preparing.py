"""Run the whole preparation of one file, as the prepare stage does."""

import io
import os
from pathlib import Path

from PIL import Image

from imaging.decoding import prepare
from imaging.hashing import hash_file
from imaging.prepared import Prepared

MAX_PIXELS, MAX_BYTES = 300_000_000, 1 << 30


def prepared(path: Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> Prepared:
    sha256, stamp = hash_file(os.fsencode(path))
    return prepare(os.fsencode(path), stamp, sha256, max_pixels=max_pixels, max_bytes=max_bytes)


def decoded(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    assert image.format == "JPEG"
    assert image.mode == "RGB"
    return image


def colour(image: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    """Colour at a point given as shares of width and height."""
    red, green, blue = image.convert("RGB").getpixel((int(x * image.width), int(y * image.height)))  # type: ignore[misc]
    return int(red), int(green), int(blue)
