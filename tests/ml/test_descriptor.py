"""The descriptor finds the original of a changed copy, and can be computed for any image."""

import hashlib
import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from embedded.ml.descriptor import Array, describe
from tests.ml.pictures import series
from tests.photos import PHOTOS


def encoded(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def half_size(image: Image.Image) -> Image.Image:
    return encoded(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS), 85)


def cropped(image: Image.Image) -> Image.Image:
    """5% off each of the four sides."""
    dx, dy = round(0.05 * image.width), round(0.05 * image.height)
    return encoded(image.crop((dx, dy, image.width - dx, image.height - dy)), 85)


def cropped_at_a_corner(image: Image.Image) -> Image.Image:
    """5% off two adjacent sides: everything moves the same way, as in another shot of a series."""
    return encoded(image.crop((0, 0, round(0.95 * image.width), round(0.95 * image.height))), 85)


def photographs() -> list[Image.Image]:
    """The real ones, at the size that ML gets. Of `orientation`, whose upright pictures are all one, only one each."""
    files = [file for file in sorted((PHOTOS / "jpg").rglob("*.jp*g")) if file.is_file()]
    images = []
    for file in files:
        if file.parent.name == "orientation" and not file.stem.endswith("_1"):
            continue
        with Image.open(file) as image:
            image.thumbnail((512, 512))
            images.append(ImageOps.exif_transpose(image).convert("RGB"))
    return images


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """500 that were generated, in 50 series of ten similar ones, and the real photographs."""
    return [*series(50), *photographs()]


@pytest.fixture(scope="module")
def originals(pictures: list[Image.Image]) -> Array:
    return np.array([describe(picture) for picture in pictures])


@pytest.mark.parametrize(
    "change",
    [lambda image: encoded(image, 50), lambda image: encoded(image, 70), half_size, cropped, cropped_at_a_corner],
    ids=["JPEG quality 50", "JPEG quality 70", "half size", "cropped by 5% a side", "cropped by 5% at a corner"],
)
def test_a_changed_copy_finds_its_original_first(
    pictures: list[Image.Image], originals: Array, change: Callable[[Image.Image], Image.Image]
) -> None:
    copies = np.array([describe(change(picture)) for picture in pictures])
    found = (copies @ originals.T).argmax(axis=1) == np.arange(len(pictures))
    assert len(pictures) > 550
    assert found[:500].mean() >= 0.95
    assert found[500:].mean() >= 0.95


def test_similar_pictures_are_nearer_than_others(originals: Array) -> None:
    similarity = originals[:500] @ originals[:500].T
    of_one_series = np.kron(np.eye(50), np.ones((10, 10))).astype(bool)
    assert np.median(similarity[of_one_series]) > 0.9
    assert np.median(similarity[~of_one_series]) < 0.3


def test_the_values_never_change() -> None:
    """They are stored: a change here needs another MODEL_ID."""
    ramp = np.add.outer(np.arange(96) * 2, np.arange(128)).astype(np.uint8)
    image = Image.merge("RGB", [Image.fromarray(ramp), Image.fromarray(ramp[::-1]), Image.fromarray(ramp[:, ::-1])])
    assert hashlib.sha256(describe(image).tobytes()).hexdigest() == (
        "ee14533a3960ada918f84b6e254ab6761f91f7038a881a2c5212a78bf49b0812"
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2)])
def test_any_image_has_a_vector_of_length_one(mode: str, size: tuple[int, int]) -> None:
    vector = describe(Image.new(mode, size))
    assert vector.shape == (512,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_a_flat_picture_is_not_described_by_its_noise() -> None:
    noise = np.random.default_rng(0).normal(128.0, 1.0, (2, 200, 300, 3)).astype(np.uint8)
    one, other = (describe(Image.fromarray(values)) for values in noise)
    assert one @ other > 0.95


def test_it_is_fast(pictures: list[Image.Image]) -> None:
    """A few milliseconds of CPU for a side of 512 pixels: less than it takes to write it as a JPEG ten times."""
    picture = pictures[0].resize((512, 384))

    def fastest(work: Callable[[Image.Image], object]) -> float:
        seconds = []
        for _ in range(20):
            started = time.process_time()
            work(picture)
            seconds.append(time.process_time() - started)
        return min(seconds)

    assert fastest(describe) < 10 * fastest(lambda image: image.save(io.BytesIO(), "JPEG", quality=90))
