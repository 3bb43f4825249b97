"""Bring every kind of pixel to 8-bit sRGB. Pure functions from image to image."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture as L, RGB or CMYK, 8 bits a channel; what is transparent shows white.

    16-bit grey keeps its full scale. 32-bit and float grey has no agreed scale: floats within 0 to 1 are taken as they
    are, all else is stretched from its darkest to its brightest pixel.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretched(np.asarray(image, dtype=np.float32)))
    if image.has_transparency_data:
        return _on_white(image.convert("RGBA"))
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.buildTransform(lab, _srgb(), "LAB", "RGB").apply(image)
    return image.convert("L" if image.mode == "1" else "RGB")


def srgb(image: Image.Image, profile: object) -> Image.Image:
    """Convert L, RGB or CMYK to RGB, through the embedded ICC profile where it fits the picture."""
    if isinstance(profile, bytes) and image.mode in ("RGB", "CMYK"):
        try:
            return _to_srgb(profile, image.mode).apply(image)
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile that is broken, or of another colour space, says nothing: colours stay as stored
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGB", image.size, _WHITE)
    white.paste(image, mask=image.getchannel("A"))
    return white


def _stretched(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    span = (high - low) or 1.0
    return ((values - low) * (255.0 / span) + 0.5).astype(np.uint8)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Build a transform; cached, since that costs more than applying it, and a camera's pictures share theirs."""
    return ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), _srgb(), mode, "RGB")
