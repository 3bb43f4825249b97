"""Every kind of pixel ends as the sRGB colours that a person would see."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.unit.imaging.preparing import colour, decoded, prepared

RED, GREEN, WHITE = (220, 40, 30), (30, 180, 60), (255, 255, 255)


def rendition(image: Image.Image, path: Path, **options: object) -> Image.Image:
    image.save(path, **options)  # type: ignore[arg-type]
    return decoded(prepared(path).rendition)


def near(found: tuple[int, int, int], wanted: tuple[int, int, int], within: int = 6) -> bool:
    return all(abs(one - other) <= within for one, other in zip(found, wanted, strict=True))


def test_transparent_parts_show_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (100, 100), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 50, 100))
    image.paste((0, 0, 0, 128), (50, 50, 100, 100))
    found = rendition(image, tmp_path / "a.png")
    assert near(colour(found, 0.25, 0.5), WHITE)
    assert near(colour(found, 0.75, 0.25), RED)
    assert near(colour(found, 0.75, 0.75), (127, 127, 127))


def test_grey_with_alpha(tmp_path: Path) -> None:
    image = Image.new("LA", (100, 100), (40, 255))
    image.paste((40, 0), (0, 0, 50, 100))
    found = rendition(image, tmp_path / "a.png")
    assert near(colour(found, 0.2, 0.5), WHITE)
    assert near(colour(found, 0.8, 0.5), (40, 40, 40))


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (100, 100), 0)
    image.putpalette([*RED, *GREEN, 0, 0, 0])
    image.paste(1, (50, 0, 100, 100))
    found = rendition(image, tmp_path / "a.gif", transparency=0)
    assert near(colour(found, 0.2, 0.5), WHITE)
    assert near(colour(found, 0.8, 0.5), GREEN)


def test_one_bit(tmp_path: Path) -> None:
    image = Image.new("1", (100, 100), 1)
    image.paste(0, (50, 0, 100, 100))
    found = rendition(image, tmp_path / "a.tif", compression="group4")
    assert near(colour(found, 0.2, 0.5), WHITE)
    assert near(colour(found, 0.8, 0.5), (0, 0, 0))


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk(name: str, tmp_path: Path) -> None:
    """Pillow writes CMYK JPEG as Adobe does, inverted."""
    image = Image.new("CMYK", (200, 100), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (100, 0, 200, 100))
    found = rendition(image, tmp_path / name)
    assert near(colour(found, 0.25, 0.5), WHITE)
    red, green, blue = colour(found, 0.75, 0.5)
    assert red > 200
    assert max(green, blue) < 60


def test_16_bit_grey_keeps_its_scale(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 32_768, 400).astype(np.uint16), (100, 1))
    for name in ("a.png", "a.tif"):
        found = rendition(Image.fromarray(ramp), tmp_path / name)
        assert near(colour(found, 0.01, 0.5), (1, 1, 1))
        assert near(colour(found, 0.99, 0.5), (127, 127, 127))


def test_16_bit_colour(tmp_path: Path) -> None:
    """A 16-bit RGB TIFF, written by hand since Pillow only reads them."""
    path = tmp_path / "a.tif"
    path.write_bytes(_deep_tiff(np.full((8, 8, 3), (65_535, 32_768, 0), dtype="<u2")))
    assert near(colour(decoded(prepared(path).rendition), 0.5, 0.5), (255, 128, 0))


def test_32_bit_grey_is_stretched(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(-5_000, 90_000, 400).astype(np.int32), (100, 1))
    found = rendition(Image.fromarray(ramp), tmp_path / "a.tif")
    assert near(colour(found, 0.01, 0.5), (2, 2, 2))
    assert near(colour(found, 0.99, 0.5), (253, 253, 253))


def test_float_grey_from_zero_to_one_is_taken_as_it_is(tmp_path: Path) -> None:
    values = np.full((50, 50), 0.5, dtype=np.float32)
    values[0, 0] = np.nan
    found = rendition(Image.fromarray(values), tmp_path / "a.tif")
    assert near(colour(found, 0.5, 0.5), (128, 128, 128))


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (60, 60), tone) for tone in (RED, GREEN))
    for name in ("a.gif", "a.webp", "a.png"):
        found = rendition(first, tmp_path / name, save_all=True, append_images=[second], duration=100)
        assert near(colour(found, 0.5, 0.5), RED, within=12)


def test_a_gif_whose_first_frame_does_not_fill_its_screen(tmp_path: Path) -> None:
    """The rest shows white, as what is transparent does."""
    path = tmp_path / "a.gif"
    Image.new("RGB", (40, 40), "red").save(path)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 80, 60)
    path.write_bytes(content)
    result = prepared(path)
    assert (result.metadata.width, result.metadata.height) == (80, 60)
    found = decoded(result.rendition)
    assert near(colour(found, 0.25, 0.3), (255, 0, 0))
    assert near(colour(found, 0.75, 0.9), (255, 255, 255))


def test_lab(tmp_path: Path) -> None:
    found = rendition(Image.new("LAB", (60, 60), (255, 128, 128)), tmp_path / "a.tif")
    assert near(colour(found, 0.5, 0.5), WHITE)


def test_colour_profile_is_applied(tmp_path: Path) -> None:
    """A profile with red and blue exchanged, so that the effect cannot be missed."""
    rgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = rgb.index(b"rXYZ"), rgb.index(b"bXYZ")
    rgb[red : red + 4], rgb[blue : blue + 4] = b"bXYZ", b"rXYZ"
    found = rendition(Image.new("RGB", (60, 60), (250, 0, 0)), tmp_path / "a.png", icc_profile=bytes(rgb))
    red_value, _, blue_value = colour(found, 0.5, 0.5)
    assert blue_value > 200
    assert red_value < 60


@pytest.mark.parametrize("profile", [b"rubbish", b"\0" * 4000])
def test_broken_colour_profile_is_ignored(profile: bytes, tmp_path: Path) -> None:
    found = rendition(Image.new("RGB", (60, 60), RED), tmp_path / "a.png", icc_profile=profile)
    assert near(colour(found, 0.5, 0.5), RED)


def _deep_tiff(pixels: "np.ndarray[tuple[int, int, int], np.dtype[np.uint16]]") -> bytes:
    height, width, _ = pixels.shape
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width * 2, 3), dtype=np.uint8)).save(buffer, "TIFF")
    # The same number of bytes: half the width, twice the depth.
    tiff = Image.open(io.BytesIO(buffer.getvalue()))
    offset = tiff.tag_v2[273][0]  # type: ignore[attr-defined]
    plain = bytearray(buffer.getvalue())
    plain[offset : offset + pixels.nbytes] = pixels.tobytes()
    entry = plain.index((256).to_bytes(2, "little") + b"\4\0" + (1).to_bytes(4, "little"))
    plain[entry + 8 : entry + 12] = width.to_bytes(4, "little")
    bits = plain.index(b"\x08\0\x08\0\x08\0")
    plain[bits : bits + 6] = b"\x10\0\x10\0\x10\0"
    return bytes(plain)
