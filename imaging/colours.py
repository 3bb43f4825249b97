"""Bring every kind of pixel to 8-bit sRGB. Pure functions from image to image."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from imaging.colour_spaces import ColourSpace, to_srgb
from imaging.samples import on_white, stretched, to_eight_bit
from imaging.stated_colours import Colours


def eight_bit(image: Image.Image) -> Image.Image:
    """Return the picture as L, RGB or CMYK, 8 bits a channel; what is transparent shows white.

    16-bit grey keeps its full scale. 32-bit and float grey has no agreed scale: floats within 0 to 1 are taken as they
    are, all else is stretched from its darkest to its brightest pixel.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray(to_eight_bit(np.asarray(image), 16))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        is_share = low >= 0 and high <= 1
        return Image.fromarray(stretched(values, *((0.0, 1.0) if is_share else (low, high))))
    if image.has_transparency_data:
        opaque = image.convert("RGBA")
        return on_white(opaque.convert("RGB"), opaque.getchannel("A"))
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode == "LAB":
        return from_lab(image)
    return image.convert("L" if image.mode == "1" else "RGB")


def srgb(image: Image.Image, colours: Colours) -> Image.Image:
    """Convert L, RGB or CMYK to RGB, from the colours that its file states, where they fit the picture."""
    if isinstance(colours, ColourSpace) and image.mode in ("L", "RGB"):
        return Image.fromarray(to_srgb(np.asarray(image.convert("RGB")), colours))
    if isinstance(colours, bytes):
        fitting = image.convert("RGB") if image.mode == "L" and colours[16:20] == b"RGB " else image
        try:
            return _to_srgb(colours, fitting.mode).apply(fitting)
        except (ImageCms.PyCMSError, OSError, ValueError, KeyError):
            pass  # a profile that is broken, or of another colour space, says nothing: colours stay as stored
    return image.convert("RGB")


def from_lab(image: Image.Image) -> Image.Image:
    """Convert LAB to RGB."""
    return _from_lab().apply(image)


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@lru_cache(maxsize=1)
def _from_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """Build a transform; cached, since that costs more than applying it, and a camera's pictures share theirs."""
    return ImageCms.buildTransform(ImageCms.ImageCmsProfile(io.BytesIO(profile)), _srgb(), mode, "RGB")
