"""Colour words find pictures that have much of the colour, and other words nothing."""

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw

from embedded.ml import colours
from embedded.ml.descriptor import describe
from tests.ml.pictures import series

DRAWN = {
    "red": (200, 30, 30),
    "orange": (240, 140, 20),
    "yellow": (240, 220, 40),
    "green": (50, 150, 50),
    "turquoise": (40, 200, 190),
    "blue": (40, 70, 190),
    "purple": (120, 40, 180),
    "brown": (120, 75, 30),
    "black": (10, 10, 10),
    "white": (245, 245, 245),
}


def nearness(text: str, picture: Image.Image) -> float:
    vector = colours.vector(text)
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1.0)
    return float(vector @ describe(picture))


def on_grey(colour: Sequence[int], share: float) -> Image.Image:
    """Draw a disc of a colour that has so much of the picture, on grey with some light and shade."""
    ramp = np.linspace(90, 150, 120).astype(np.uint8)
    picture = Image.fromarray(np.repeat(np.tile(ramp, (90, 1))[:, :, None], 3, axis=2))
    radius = (share * 120 * 90 / np.pi) ** 0.5
    ImageDraw.Draw(picture).ellipse((60 - radius, 45 - radius, 60 + radius, 45 + radius), fill=tuple(colour))
    return picture


@pytest.mark.parametrize("name", DRAWN)
def test_of_drawn_pictures_the_one_of_the_colour_is_nearest(name: str) -> None:
    found = {other: nearness(name, on_grey(colour, 0.3)) for other, colour in DRAWN.items()}
    assert max(found, key=found.__getitem__) == name
    assert found[name] > colours.LEAST


def test_what_has_little_of_a_colour_is_not_found_by_it() -> None:
    red = DRAWN["red"]
    assert nearness("red", on_grey(red, 0.2)) > colours.LEAST > nearness("red", on_grey(red, 0.01))


def test_red_is_no_brown() -> None:
    """A brown picture is of warm tones alone, all of them near to red."""
    brown, thing = Image.new("RGB", (120, 90), (150, 110, 70)), on_grey(DRAWN["red"], 0.2)
    assert nearness("red", thing) > nearness("red", brown)
    assert nearness("brown", brown) > nearness("brown", thing)


def test_shades() -> None:
    night, sky = on_grey((15, 20, 80), 0.3), on_grey((150, 190, 235), 0.3)
    assert nearness("dark blue", night) > colours.LEAST > nearness("dark blue", sky)
    assert nearness("light blue", sky) > colours.LEAST > nearness("light blue", night)


def test_of_two_colours_a_picture_with_both_is_nearest() -> None:
    both = on_grey(DRAWN["red"], 0.3)
    ImageDraw.Draw(both).rectangle((0, 0, 120, 20), fill=DRAWN["green"])
    others = [on_grey(DRAWN[name], 0.4) for name in ("red", "green")]
    assert nearness("red and green", both) > max(nearness("red and green", other) for other in others)


def test_what_is_found_in_pictures_with_many_colours_has_the_colour() -> None:
    """Scenes as they are, some with the colour in them, and the same with a thing that has a third of the picture."""
    scenes = list(series(20))[::5]
    for name, colour in DRAWN.items():
        having = []
        for scene in scenes:
            picture = scene.copy()
            ImageDraw.Draw(picture).rectangle((40, 40, 240, 200), fill=colour)
            having.append(nearness(name, picture))
        without = [nearness(name, scene) for scene in scenes]
        assert np.mean(np.array(having) > colours.LEAST) > 0.9, name
        assert np.median(without) < colours.LEAST, name
        assert np.mean([one > other for one in having for other in without]) > 0.8, name


@pytest.mark.parametrize(
    "text", ["Red", "a dark blue picture", "green and yellow", "navy", "light-grey", "mostly brown"]
)
def test_a_text_of_colours_has_a_vector(text: str) -> None:
    assert colours.vector(text) is not None


@pytest.mark.parametrize("text", ["red bird", "bird", "dark", "the", "", "dark white", "blueberry", "赤"])
def test_what_says_anything_else_has_none(text: str) -> None:
    assert colours.vector(text) is None
