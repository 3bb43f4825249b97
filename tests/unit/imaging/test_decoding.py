"""One decode gives upright thumbnail and rendition of every format that is listed."""

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cli.samples.scenes import scene
from imaging.decoding import prepare
from imaging.hashing import stamp
from tests.photos import photo
from tests.unit.imaging.preparing import MAX_BYTES, MAX_PIXELS, decoded, prepared

WIDTH, HEIGHT = 900, 600

SAVED: dict[str, tuple[str, dict[str, Any]]] = {
    "jpg": ("JPEG", {"quality": 95}),
    "jpeg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "tif": ("TIFF", {}),
    "tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "webp": ("WEBP", {"quality": 90}),
    "heic": ("HEIF", {"quality": 80}),
    "heif": ("HEIF", {"quality": -1}),
    "avif": ("AVIF", {"quality": 85, "speed": 10}),
}
"""How Pillow writes a picture for each listed extension that is no RAW format."""


@pytest.mark.parametrize("extension", SAVED)
def test_every_listed_format(extension: str, tmp_path: Path) -> None:
    format_name, options = SAVED[extension]
    original = Image.fromarray(scene(WIDTH, HEIGHT, 1))
    path = tmp_path / f"picture.{extension}"
    original.save(path, format_name, **options)

    result = prepared(path)

    assert result.metadata.format == format_name
    assert (result.metadata.width, result.metadata.height) == (WIDTH, HEIGHT)
    thumbnail, rendition = decoded(result.thumbnail), decoded(result.rendition)
    assert thumbnail.size == (200, 133)
    assert rendition.size == (512, 341)
    assert _difference(rendition, original) < 8
    assert _difference(thumbnail, original) < 8
    assert pickle.loads(pickle.dumps(result)) == result


@pytest.mark.parametrize("shape", ["landscape", "portrait"])
def test_all_orientations_of_a_photograph_look_alike(shape: str) -> None:
    upright = decoded(prepared(photo(f"jpg/orientation/{shape}_1.jpg")).rendition)
    for orientation in range(2, 9):
        result = prepared(photo(f"jpg/orientation/{shape}_{orientation}.jpg"))
        turned = decoded(result.rendition)
        assert result.metadata.orientation == orientation
        assert turned.size == upright.size
        assert (result.metadata.width > result.metadata.height) == (shape == "landscape")
        # Each has its number painted on it, which keeps the difference above zero. Upside down it is above 40.
        assert _difference(turned, upright) < 15
        assert _difference(decoded(result.thumbnail), upright) < 15


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_orientation_tag_is_applied_in_every_format(format_name: str, orientation: int, tmp_path: Path) -> None:
    upright = Image.fromarray(scene(600, 300, 2))
    stored = upright.transpose(
        {
            2: Image.Transpose.FLIP_LEFT_RIGHT,
            3: Image.Transpose.ROTATE_180,
            6: Image.Transpose.ROTATE_90,
            8: Image.Transpose.ROTATE_270,
        }[orientation]
    )
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / "turned"
    stored.save(path, format_name, exif=exif, **({"quality": 90} if format_name != "PNG" else {}))

    result = prepared(path)

    assert (result.metadata.width, result.metadata.height) == (600, 300)
    assert result.metadata.orientation == orientation
    assert _difference(decoded(result.rendition), upright) < 8


def test_heic_is_turned_once() -> None:
    result = prepared(photo("heic/mobile/iphone_13_pro_max.HEIC"))
    rendition = decoded(result.rendition)
    assert result.metadata.orientation == 6
    assert rendition.size == (384, 512)
    # The window is bright at the upper left, the table cloth dark at the bottom.
    grey = np.asarray(rendition.convert("L"), dtype=float)
    assert grey[: 512 // 8, : 384 // 4].mean() > grey[-512 // 8 :].mean()


def test_format_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "really a picture.nef"
    path.write_bytes(photo("jpg/gps/DSCN0010.jpg").read_bytes())
    assert prepared(path) == prepared(photo("jpg/gps/DSCN0010.jpg"))


def test_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    Image.new("RGB", (64, 3), (200, 30, 30)).save(tmp_path / "small.png")
    result = prepared(tmp_path / "small.png")
    assert decoded(result.thumbnail).size == decoded(result.rendition).size == (64, 3)
    assert result.thumbnail == result.rendition


def test_long_thin_picture_keeps_a_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 2)).save(tmp_path / "thin.png")
    result = prepared(tmp_path / "thin.png")
    assert decoded(result.thumbnail).size == (200, 1)
    assert decoded(result.rendition).size == (512, 1)


def test_rendition_stays_within_its_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(noise).save(path)
    name = os.fsencode(path)

    def rendition(limit: int) -> bytes:
        return prepare(
            name, stamp(name), None, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES, rendition_bytes=limit
        ).rendition

    assert len(rendition(262_144)) > 100_000
    assert len(rendition(100_000)) <= 100_000
    assert decoded(rendition(100_000)).size == (512, 512)


def test_small_jpegs_carry_no_metadata() -> None:
    result = prepared(photo("jpg/gps/DSCN0010.jpg"))
    for jpeg in (result.thumbnail, result.rendition):
        assert not Image.open(io.BytesIO(jpeg)).getexif()
        assert b"NIKON" not in jpeg


def _difference(one: Image.Image, other: Image.Image) -> float:
    """Mean distance of the grey values of two pictures at 64 x 64."""
    left, right = (np.asarray(image.convert("RGB").resize((64, 64)), dtype=float) for image in (one, other))
    return float(np.abs(left - right).mean())


@pytest.mark.parametrize(("format_name", "mode"), [("JPEG2000", "RGB"), ("JPEG2000", "L"), ("MPO", "RGB")])
def test_formats_without_a_listed_name(format_name: str, mode: str, tmp_path: Path) -> None:
    original = Image.fromarray(scene(WIDTH, HEIGHT, 1)).convert(mode)
    path = tmp_path / "a"
    original.save(path, format_name)
    result = prepared(path)
    assert result.metadata.format == ("JPEG" if format_name == "MPO" else format_name)
    assert _difference(decoded(result.rendition), original) < 8


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "tiff", "webp"])
def test_both_pictures_show_the_pixels_and_nothing_of_the_metadata(extension: str, tmp_path: Path) -> None:
    format_name, options = SAVED[extension]
    texts = PngInfo()
    texts.add_text("Comment", "At the sea")
    tags = Image.Exif()
    tags[0x010E] = "At the sea"
    told: dict[str, dict[str, Any]] = {
        "jpg": {"comment": b"At the sea", "exif": tags},
        "png": {"pnginfo": texts, "exif": tags},
        "gif": {"comment": b"At the sea"},
        "tiff": {"exif": tags},
        "webp": {"exif": tags},
    }
    found = []
    for name, more in (("plain", {}), ("told", told[extension])):
        path = tmp_path / f"{name}.{extension}"
        Image.fromarray(scene(WIDTH, HEIGHT, 1)).save(path, format_name, **options, **more)
        found.append(prepared(path))
    assert found[0].metadata != found[1].metadata
    assert (found[0].rendition, found[0].thumbnail) == (found[1].rendition, found[1].thumbnail)
