"""A visual descriptor without weights: which colours, where light and dark lie, which way the edges run.

Copies of a picture (encoded again, scaled, a little cropped) lie close to it, and other pictures far:
what all pictures share (means, the many tones of grey) is taken out, so that it does not make them alike.
The numbers here (sizes, weights, damping) were chosen by measuring: tests/ml/test_descriptor.py.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIMENSION = 512
MODEL_ID = "darkroom-visual-1"  # Any change to the numbers below is another model.

Array = NDArray[np.float64]

SIDE = 64  # pixels of the square that every picture is reduced to

COLOUR_BINS = (11, 4, 4)  # of luma, blue and red difference: 176 values
FREQUENCIES = 7  # in each direction and channel, less the three constant ones: 144 values
DIRECTIONS = 12  # of edges, in each of the cells: 192 values
CELLS = 4  # in each direction

# A crop shifts what is where, but not which colours there are: colours count most.
COLOUR_WEIGHT, LAYOUT_WEIGHT, EDGE_WEIGHT = 1.0, 0.5, 0.4
CHROMA_GAIN = 1.5  # Differences of colour are smaller in number than those of light.
DAMPING = 0.5  # Fine structure moves most in a crop: amplitudes are divided by 1 + DAMPING x frequency.
FLOOR = 0.02  # Parts weaker than this stay weak, so that a flat picture is not described by its noise.

_STEPS = (np.arange(SIDE) + 0.5) / SIDE
_WAVES = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * _STEPS)
_DAMPED = 1.0 / (1.0 + DAMPING * np.hypot(np.arange(FREQUENCIES)[:, None], np.arange(FREQUENCIES)))
_TENTS = np.maximum(0.0, 1.0 - np.abs(_STEPS * (CELLS - 1) - np.arange(CELLS)[:, None]))
_TENTS /= _TENTS.sum(axis=1, keepdims=True)  # Else the cells at the border would always be the weakest.


def describe(image: Image.Image) -> Array:
    """Describe a picture of any size, in any mode that converts to YCbCr, by a vector of 512 values of length 1.

    The same pixels give the same values: these are rounded to 7 digits, which is far coarser than
    what processors may differ by in the last bits.
    """
    luma, blue, red = _channels(image.convert("YCbCr").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    vector = np.concatenate(
        [
            COLOUR_WEIGHT * _scaled(_colours(luma, blue, red), floor=FLOOR),
            LAYOUT_WEIGHT * _scaled(_layout(luma, blue, red), floor=FLOOR),
            EDGE_WEIGHT * _scaled(_edges(luma), floor=FLOOR),
        ]
    )
    return np.round(_scaled(vector, floor=0.0), 7) + 0.0  # + 0.0 makes -0.0 into 0.0


def of_colours(image: Image.Image) -> Array:
    """Return a vector of length 1, shape (512,), that only says which colours a picture has, each pixel counted.

    Nothing of where they are, nor of edges: what lies near it has these colours, whatever else it shows.
    """
    vector = np.zeros(DIMENSION)
    colours = _scaled(_colours(*_channels(image.convert("YCbCr"))), floor=0.0)
    vector[: colours.size] = colours
    return vector


def _channels(image: Image.Image) -> tuple[Array, Array, Array]:
    """Return luma, blue and red difference of a YCbCr image, from 0 to 1."""
    luma, blue, red = np.moveaxis(np.asarray(image, dtype=np.float64) / 255.0, 2, 0)
    return luma, blue, red


def _colours(luma: Array, blue: Array, red: Array) -> Array:
    """Return how the shares of the colours differ from those of a grey ramp, which most pictures resemble."""
    shares = _shares(luma, blue, red)
    return np.asarray(shares - _GREY_RAMP * np.sum(shares * _GREY_RAMP))


def _shares(luma: Array, blue: Array, red: Array) -> Array:
    """Return the share of each colour: square roots of a histogram in which a pixel counts for all bins near it."""
    axes = [
        _neighbours(values, bins) for values, bins in zip((luma, _spread(blue), _spread(red)), COLOUR_BINS, strict=True)
    ]
    histogram = np.zeros(np.prod(COLOUR_BINS))
    for light, light_share in axes[0]:
        for blueness, blue_share in axes[1]:
            for redness, red_share in axes[2]:
                bins = np.ravel_multi_index((light, blueness, redness), COLOUR_BINS)
                histogram += np.bincount(bins, light_share * blue_share * red_share, minlength=histogram.size)
    return _centred(np.sqrt(histogram / luma.size))


def _layout(luma: Array, blue: Array, red: Array) -> Array:
    """Return the low frequencies of each channel (a cosine transform), without the constant one."""
    gains = (1.0, CHROMA_GAIN, CHROMA_GAIN)
    waves = [
        gain * _DAMPED * (_WAVES @ channel @ _WAVES.T) / channel.size
        for channel, gain in zip((luma, blue, red), gains, strict=True)
    ]
    return np.concatenate([wave.ravel()[1:] for wave in waves])


def _edges(luma: Array) -> Array:
    """Return how strong the edges of each direction are, in each of the cells; cells blend into each other."""
    down, across = np.gradient(luma)
    strength = np.hypot(down, across)
    direction = np.arctan2(down, across) % np.pi / np.pi * DIRECTIONS
    distance = np.abs(direction - np.arange(DIRECTIONS)[:, None, None])
    share = np.maximum(0.0, 1.0 - np.minimum(distance, DIRECTIONS - distance))
    return _centred(np.sqrt(_TENTS @ (strength * share) @ _TENTS.T).ravel() / CELLS)


def _spread(chroma: Array) -> Array:
    """Give the many colours near grey as much room as the few vivid ones. From 0..1 to 0..1, grey stays at 0.5."""
    vivid = chroma - 0.5
    return 0.5 + np.sign(vivid) * np.sqrt(np.abs(vivid) / 2.0)


def _neighbours(values: Array, bins: int) -> list[tuple[NDArray[np.intp], Array]]:
    """Return, for each value in 0..1, the bins below and above it with its share in each."""
    position = np.clip(values.ravel(), 0.0, 1.0) * (bins - 1)
    below = np.minimum(position.astype(np.intp), bins - 2)
    above_share = position - below
    return [(below, 1.0 - above_share), (below + 1, above_share)]


def _centred(values: Array) -> Array:
    return np.asarray(values - values.mean())


def _scaled(values: Array, *, floor: float) -> Array:
    """Scale to length 1, or less where the length is not far above the floor."""
    return np.asarray(values / (np.sqrt(np.sum(values * values)) + floor))


_GREY = np.full((SIDE, SIDE), 0.5)
_GREY_RAMP = _scaled(_shares(np.tile(_STEPS, (SIDE, 1)), _GREY, _GREY), floor=0.0)
