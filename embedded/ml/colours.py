"""Colour words as vectors of the descriptor: a picture lies near a colour that it has much of.

A word means the colours that the plain caption calls by it, each as often as any other: the vivid ones where nothing
else is said, less what is as well another colour, else the `dark`, `light` or `bright` ones. Only a text that says
nothing else has a vector: `red`, `dark blue`, `green and yellow`, `a grey picture`.
"""

import colorsys
import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from PIL import Image

from embedded.ml import descriptor
from embedded.ml.caption import colour_name
from embedded.ml.descriptor import Array

LEAST = 0.2
"""Similarity from which on a picture has a colour: that of about a tenth of it, of black and white a quarter.

Measured on drawn scenes (tests/ml/test_colours.py): of those with a third of it nine in ten and more are nearer.
"""

NAMES = {
    **{name: (name, None) for name in ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink")},
    **{name: (name, None) for name in ("brown", "black", "white", "grey")},
    "gray": ("grey", None),
    "violet": ("purple", None),
    "lilac": ("purple", "light"),
    "magenta": ("pink", "bright"),
    "cyan": ("turquoise", None),
    "teal": ("turquoise", "dark"),
    "navy": ("blue", "dark"),
    "beige": ("brown", "light"),
}
"""What a word means: a name of the caption's, and maybe a shade of it."""

Shade = Callable[[float, float], bool]
SHADES: dict[str, Shade] = {
    # Of saturation and value (HSV), each from 0 to 1.
    "dark": lambda _, value: value <= 0.5,
    "light": lambda saturation, value: saturation <= 0.5 and value >= 0.6,
    "bright": lambda saturation, value: saturation >= 0.6 and value >= 0.6,
}
VIVID: dict[str, Shade] = {
    # Most pictures have warm or pale tones, which are no red or blue to people.
    **{
        name: lambda saturation, value: saturation >= 0.6 and value >= 0.4
        for name in ("red", "orange", "yellow", "green", "turquoise", "blue", "purple")
    },
    "pink": lambda saturation, _: saturation >= 0.3,
    "brown": lambda saturation, _: saturation >= 0.4,
}
OTHERS = 0.5
"""Share of what colours have in common that is taken out: with none, brown photographs come before red things."""
ALSO = {"deep": "dark", "pale": "light", "pastel": "light", "vivid": "bright"}
BESIDE = frozenset(
    {
        *("a", "an", "and", "in", "mostly", "or", "something", "the", "with"),
        *("color", "colored", "colors", "colour", "coloured", "colours"),
        *("image", "images", "photo", "photos", "picture", "pictures"),
    }
)
"""What may stand beside colours, and says nothing of itself."""

_GREYS = ("black", "white", "grey")
_HUES, _STEPS = 72, 11  # how finely colours are drawn


def vector(text: str) -> Array | None:
    """Return a vector of length 1, shape (512,), near to pictures of these colours; None for what is no colour."""
    colours = _read(text)
    drawn = [] if colours is None else [_apart(*colour) for colour in colours]
    if not drawn or any(one is None for one in drawn):
        return None
    mean = np.mean([one for one in drawn if one is not None], axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def _read(text: str) -> Sequence[tuple[str, str | None]] | None:
    """Return the colours of a text with their shades; None where it says anything else."""
    found: list[tuple[str, str | None]] = []
    shade: str | None = None
    for word in re.findall(r"\w+", text.lower()):
        if word in NAMES:
            name, own = NAMES[word]
            found.append((name, shade or own))
            shade = None
        elif (said := ALSO.get(word, word)) in SHADES:
            shade = said
        elif word not in BESIDE:
            return None
    return None if shade else found


@cache
def _apart(name: str, shade: str | None) -> Array | None:
    """Return the vector of a colour, less `OTHERS` of what a vivid one has in common with others: red is no brown."""
    drawn = _drawn(name, shade)
    if drawn is None or shade is not None or name in {*_GREYS, "brown"}:
        return drawn
    others = [other for one in VIVID if one != name and (other := _drawn(one, None)) is not None]
    apart = np.asarray(drawn - OTHERS * sum(max(0.0, float(drawn @ other)) * other for other in others))
    return np.asarray(apart / np.linalg.norm(apart))


@cache
def _drawn(name: str, shade: str | None) -> Array | None:
    """Return the vector of all tones of a colour; None where it has none of this shade, as a dark white."""
    is_meant = SHADES[shade] if shade else VIVID.get(name)
    tones = [tone for tone in _tones(name) if is_meant is None or is_meant(*tone[1:])]
    if not tones:
        return None
    pixels = np.array([[colorsys.hsv_to_rgb(*tone) for tone in tones]])
    return descriptor.of_colours(Image.fromarray((255 * pixels).round().astype(np.uint8)))


@cache
def _tones(name: str) -> tuple[tuple[float, float, float], ...]:
    """Return the tones (HSV, each from 0 to 1) that the caption calls so, out of a grid of all."""
    hues, levels = np.arange(_HUES) / _HUES, np.linspace(0.0, 1.0, _STEPS)
    return tuple(
        (hue, saturation, value)
        for hue in hues
        for saturation in levels
        for value in levels
        if colour_name(360 * hue, saturation, value) == name
    )
