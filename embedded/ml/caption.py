"""A plain caption without weights: brightness, orientation, and the colours there is most of."""

from collections import Counter

import numpy as np
from PIL import Image

MODEL_ID = "darkroom-plain-1"
SIDE = 64  # pixels of the square that is looked at

# Where each hue ends, in degrees of the colour circle.
HUES = (
    (15, "red"),
    (45, "orange"),
    (70, "yellow"),
    (165, "green"),
    (185, "turquoise"),
    (260, "blue"),
    (290, "purple"),
    (345, "pink"),
    (360, "red"),
)
MOSTLY = 0.2  # A colour is named when it has this share of the picture.


def caption(image: Image.Image) -> str:
    """Say what a picture looks like: `A bright landscape picture, mostly blue and green.` for example."""
    reduced = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    brightness = np.asarray(reduced.convert("L")).mean() / 255.0
    return f"A {_light(brightness)}{_orientation(image)} picture, {_colours(reduced)}."


def _light(brightness: float) -> str:
    if brightness > 0.6:
        return "bright "
    return "dark " if brightness < 0.25 else ""


def _orientation(image: Image.Image) -> str:
    if image.width > 1.1 * image.height:
        return "landscape"
    return "portrait" if image.height > 1.1 * image.width else "square"


def _colours(reduced: Image.Image) -> str:
    pixels = np.asarray(reduced.convert("HSV"), dtype=np.float64).reshape(-1, 3)
    counted = Counter(
        colour_name(hue / 255.0 * 360.0, saturation / 255.0, value / 255.0) for hue, saturation, value in pixels
    )
    names = [name for name, count in counted.most_common(2) if count >= MOSTLY * len(pixels)]
    return f"mostly {' and '.join(names)}" if names else "of many colours"


def colour_name(hue: float, saturation: float, value: float) -> str:
    """Name a colour; hue in degrees, saturation and value (HSV) from 0 to 1."""
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.85 else "grey"
    name = next(name for end, name in HUES if hue <= end)
    return "brown" if name == "orange" and value < 0.65 else name
