"""PNG where one colour is transparent and samples do not have 8 bits: Pillow compares it with scaled samples."""

from typing import BinaryIO

import imagecodecs
from PIL import Image

from imaging.samples import on_white, to_eight_bit

_DEPTH, _COLOUR_TYPE = 24, 25
"""Where the header has them."""
_GREY, _RGB = 0, 2


def needs_own_way(image: Image.Image, file: BinaryIO) -> bool:
    """Whether `load` has to decode what Pillow opened."""
    if "transparency" not in image.info:
        return False
    file.seek(0)
    header = file.read(_COLOUR_TYPE + 1)
    return header[_COLOUR_TYPE] in {_GREY, _RGB} and header[_DEPTH] not in {1, 8}


def load(file: BinaryIO) -> Image.Image:
    """Decode to L or RGB; what is transparent shows white."""
    file.seek(0)
    samples = imagecodecs.png_decode(file.read())
    eight = to_eight_bit(samples, samples.itemsize * 8)
    colours = eight[..., 0] if eight.shape[2] == 2 else eight[..., :3]
    return on_white(Image.fromarray(colours.copy()), Image.fromarray(eight[..., -1].copy()))
