"""Invent a landscape: sky, sun, mountains and a few houses, each seed another one."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

_RIDGES = 4


def scene(width: int, height: int, seed: int) -> NDArray[np.uint8]:
    """Return sRGB pixels, shape (height, width, 3); the same for the same arguments."""
    random = np.random.default_rng(seed)
    top, horizon, earth, accent = (random.uniform(low, high, 3).astype(np.float32) for low, high in _PALETTE)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    pixels = np.broadcast_to(top + (horizon - top) * rows, (height, width, 3)).copy()
    _add_sun(pixels, random)
    for ridge in range(_RIDGES):
        share = (ridge + 1) / _RIDGES
        below = np.arange(height)[:, None] > _ridge_line(width, height, share, random)
        pixels[below] = horizon + (earth - horizon) * share
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    _add_houses(image, accent, random)
    grain = random.standard_normal((height, width, 1), dtype=np.float32) * 4
    return (np.asarray(image) + grain).clip(0, 255).astype(np.uint8)


_PALETTE = ((20, 190), (120, 255), (0, 130), (60, 255))
"""Range of the channels of the sky's top, the horizon, the earth and the houses."""


def _add_sun(pixels: NDArray[np.float32], random: np.random.Generator) -> None:
    height, width, _ = pixels.shape
    x, y, radius = random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.4) * height, random.uniform(0.04, 0.1)
    rows, columns = np.ogrid[:height, :width]
    distance = np.sqrt((columns - x) ** 2 + (rows - y) ** 2).astype(np.float32) / (radius * width)
    pixels += (np.exp(-distance)[..., None] * 90) + np.where(distance < 1, 80.0, 0.0)[..., None]


def _ridge_line(width: int, height: int, share: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Row of a mountain's edge for each column, lower in the picture the nearer it is (`share` towards 1)."""
    columns = np.linspace(0, 1, width)
    line = np.full(width, 0.35 + 0.45 * share)
    for octave in (1, 2, 5, 11):
        line += random.uniform(0.02, 0.09) / octave * np.sin(columns * 6.283 * octave + random.uniform(0, 6.283))
    return line * height


def _add_houses(image: Image.Image, accent: NDArray[np.float32], random: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    width, height = image.size
    for _ in range(int(random.integers(2, 7))):
        side = random.uniform(0.04, 0.12) * width
        x, y = random.uniform(0, width - side), random.uniform(0.72, 0.95) * height
        red, green, blue = (accent * random.uniform(0.6, 1.0)).astype(int).tolist()
        draw.rectangle((x, y - side, x + side, y), fill=(red, green, blue))
        draw.polygon([(x, y - side), (x + side / 2, y - side * 1.6), (x + side, y - side)], fill=(110, 40, 30))
        draw.rectangle((x + side * 0.3, y - side * 0.7, x + side * 0.6, y - side * 0.3), fill=(250, 240, 180))
