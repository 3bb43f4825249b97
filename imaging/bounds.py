"""How many pixels a picture may have, checked before any is decoded."""

from core.errors import ContentError


def check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ContentError when a picture of this size may not be decoded."""
    width, height = size
    if width * height > max_pixels:
        raise ContentError(
            f"has {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are decoded "
            "(setting MAX_IMAGE_PIXELS)."
        )
    if width < 1 or height < 1:
        raise ContentError(f"has no pixels: its size is {width} x {height}.")
