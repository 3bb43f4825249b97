"""The plain caption on pictures where the right answer is clear."""

import pytest
from PIL import Image

from embedded.ml.caption import caption


def flag(size: tuple[int, int], *colours: str) -> Image.Image:
    """Equal stripes."""
    image = Image.new("RGB", size)
    height = size[1] // len(colours)
    for n, colour in enumerate(colours):
        image.paste(colour, (0, n * height, size[0], size[1] if n == len(colours) - 1 else (n + 1) * height))
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (flag((300, 200), "white"), "A bright landscape picture, mostly white."),
        (flag((200, 300), "black"), "A dark portrait picture, mostly black."),
        (flag((200, 200), "grey"), "A square picture, mostly grey."),
        (flag((300, 200), "skyblue", "skyblue", "limegreen"), "A bright landscape picture, mostly blue and green."),
        (flag((300, 200), "red"), "A landscape picture, mostly red."),
        (flag((300, 200), "darkblue", "saddlebrown"), "A dark landscape picture, mostly blue and brown."),
        (flag((300, 200), "yellow"), "A bright landscape picture, mostly yellow."),
        (flag((300, 200), "hotpink"), "A bright landscape picture, mostly pink."),
        (flag((300, 200), "darkorange"), "A bright landscape picture, mostly orange."),
        (flag((300, 200), "darkviolet"), "A landscape picture, mostly purple."),
        (flag((300, 200), "turquoise"), "A bright landscape picture, mostly turquoise."),
        (
            flag((300, 200), "red", "orange", "yellow", "lime", "blue", "purple"),
            "A landscape picture, of many colours.",
        ),
        (Image.new("L", (1, 1), 255), "A bright square picture, mostly white."),
    ],
)
def test_it_says_what_is_plain_to_see(image: Image.Image, expected: str) -> None:
    assert caption(image) == expected
