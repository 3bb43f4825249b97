"""What is left of a damaged picture that Pillow decodes row by row."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

LEAST = 0.5
"""Share of a picture that has to be there."""


def partly(open_again: Callable[[], Image.Image]) -> tuple[Image.Image, float] | None:
    """Decode what can be; return it, with how much of it has its own pixels. None where nothing can be decoded.

    It is decoded over one colour, and over another: pixels that differ were not in the file.
    """
    try:
        with lenient():
            over_black, over_white = (_over(open_again(), shade) for shade in (0, 255))
    except MemoryError:
        raise
    except Exception:  # decoders raise every type there is on damaged bytes
        return None
    missing = np.asarray(over_black) != np.asarray(over_white)
    if missing.ndim == 3:
        missing = missing.any(axis=2)
    return over_black, 1.0 - float(missing.mean())


def whole_webp(file: BinaryIO) -> BinaryIO:
    """Return a WebP that ends too early without its last chunk: one cut behind its pixels lacks metadata alone."""
    length = os.fstat(file.fileno()).st_size
    head = file.read(12)
    file.seek(0)
    if int.from_bytes(head[4:8], "little") + 8 <= length:
        return file
    content = file.read()
    file.seek(0)
    position = 12
    while True:
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        end = position + 8 + size + size % 2
        if end > length or position + 8 > length:
            break
        position = end
    return io.BytesIO(content[:4] + (position - 8).to_bytes(4, "little") + content[8:position])


def _over(image: Image.Image, shade: int) -> Image.Image:
    ground = shade if len(image.getbands()) == 1 else (shade,) * len(image.getbands())
    image.im = Image.new(image.mode, image.size, ground).im
    image.load()
    return image


@contextmanager
def lenient() -> Iterator[None]:
    """Let Pillow go on after what it can do without."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
