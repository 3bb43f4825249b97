"""The two small JPEGs made from each picture: one for people, one for the ML service."""

import io

from PIL import Image

from core.errors import ContentError
from imaging.colours import eight_bit, srgb
from imaging.stated_colours import Colours

THUMBNAIL_SIDE = 200
QUALITY = 85
_FALLING_QUALITIES = (QUALITY, 70, 55, 40, 25)

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def fitted(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return width and height so that the longer is at most `side`, with the same aspect; never larger than before."""
    longest = max(size)
    if longest <= side:
        return size
    return max(1, round(size[0] * side / longest)), max(1, round(size[1] * side / longest))


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """Scale down to fit a square; a picture that fits stays as it is."""
    size = fitted(image.size, side)
    # Hamming is as sharp as needed when shrinking and takes less than half of Lanczos' time. reducing_gap: average
    # whole blocks first where there is much to lose.
    return image if size == image.size else image.resize(size, Image.Resampling.HAMMING, reducing_gap=2.0)


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """Apply an EXIF orientation, 1 to 8, to the pixels."""
    transposition = _TRANSPOSITIONS.get(orientation)
    return image if transposition is None else image.transpose(transposition)


def rendition(image: Image.Image, *, orientation: int, colours: Colours, side: int) -> Image.Image:
    """Return the small upright sRGB picture that everything else is made from."""
    small = shrunk(eight_bit(image), side)
    return upright(srgb(small, colours), orientation)


def jpeg(image: Image.Image, quality: int = QUALITY) -> bytes:
    """Encode an RGB picture, without any metadata."""
    buffer = io.BytesIO()
    # Else Pillow hands on the comment of what the picture was read from.
    image.save(buffer, "JPEG", quality=quality, comment=b"")
    return buffer.getvalue()


def jpeg_within(image: Image.Image, max_bytes: int) -> bytes:
    """Encode at the best quality that fits. Raises ContentError when none does."""
    for quality in _FALLING_QUALITIES:
        encoded = jpeg(image, quality)
        if len(encoded) <= max_bytes:
            return encoded
    raise ContentError(f"has so much detail that its rendition does not fit into {max_bytes} bytes.")
