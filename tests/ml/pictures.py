"""Generated pictures that resemble photographs, in series of similar ones."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float64]

SHOTS_OF_A_SCENE = 10
SIZE = (384, 256)  # pixels


def series(scenes: int) -> Iterator[Image.Image]:
    """`scenes` scenes, ten shots of each, as a photographer takes them.

    From one scene to the next everything differs. From shot to shot the camera moves a little, the
    light changes, and the small things walk about.
    """
    for seed in range(scenes):
        scene = Scene(seed)
        for _ in range(SHOTS_OF_A_SCENE):
            yield scene.shot()


class Thing:
    """A flat shape of one colour. Positions and sizes in widths and heights of the picture."""

    def __init__(self, random: np.random.Generator) -> None:
        self.position, self.size = random.uniform(0.0, 1.0, 2), random.uniform(0.04, 0.25, 2)
        self.colour = _colour(random)
        self.shape = random.choice(["ellipse", "rectangle", "triangle"])
        self.walks = self.size.max() < 0.15

    def draw(self, draw: ImageDraw.ImageDraw, moved: Floats) -> None:
        (x, y), (dx, dy) = (self.position + moved) * SIZE, self.size * SIZE
        if self.shape == "ellipse":
            draw.ellipse((x - dx, y - dy, x + dx, y + dy), fill=self.colour)
        elif self.shape == "rectangle":
            draw.rectangle((x - dx, y - dy, x + dx, y + dy), fill=self.colour)
        else:
            draw.polygon([(x, y - dy), (x + dx, y + dy), (x - dx, y + dy)], fill=self.colour)


class Scene:
    """A sky, a range of hills, things in front of them, and a texture over all."""

    def __init__(self, seed: int) -> None:
        self.random = random = np.random.default_rng(seed)
        self.sky, self.ground = _colour(random), _colour(random)
        self.horizon = random.uniform(0.25, 0.7)
        self.hills = _noise(random, 12, 1)[0]
        self.texture = _noise(random, SIZE[0] * 2, SIZE[1] * 2)
        self.things = [Thing(random) for _ in range(random.integers(4, 14))]

    def shot(self) -> Image.Image:
        width, height = SIZE
        pan = self.random.normal(0.0, 0.03, 2)  # in widths and heights of the picture
        fading = np.linspace(0.7, 1.1, height)[:, None, None] * np.ones((1, width, 1)) * np.array(self.sky)
        image = Image.fromarray(np.clip(fading, 0, 255).astype(np.uint8))
        draw = ImageDraw.Draw(image)
        across = np.arange(width)
        rise = np.interp(across / width - pan[0], np.linspace(0.0, 1.0, len(self.hills)), self.hills)
        skyline = (self.horizon + pan[1] + 0.12 * rise) * height
        draw.polygon(
            [(0, height), *zip(across.tolist(), skyline.tolist(), strict=True), (width, height)], fill=self.ground
        )
        for thing in self.things:
            thing.draw(draw, pan + self.random.normal(0.0, 0.04, 2) * thing.walks)
        left, top = ((0.5 + pan) * SIZE).astype(int)
        pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float64)
        pixels += 28.0 * self.texture[top : top + height, left : left + width, None]
        pixels *= self.random.normal(1.0, 0.08)  # the light
        pixels += self.random.normal(0.0, 3.0, (height, width, 1))  # the sensor's noise
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _colour(random: np.random.Generator) -> tuple[int, ...]:
    """Return a muted colour: photographs have few vivid ones."""
    values = random.uniform(30, 225) + random.normal(0.0, 18.0, 3)
    return tuple(int(value) for value in np.clip(values, 0, 255))


def _noise(random: np.random.Generator, width: int, height: int) -> NDArray[np.float64]:
    """Noise whose amplitude falls with the frequency, as in photographs; mean 0, standard deviation 1."""
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    spectrum = np.fft.rfft2(random.standard_normal((height, width))) / np.maximum(frequencies, 1.0 / max(width, height))
    spectrum[0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(height, width))
    return np.asarray(noise / noise.std())
