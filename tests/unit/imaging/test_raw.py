"""RAW files: DNGs made here, and one from a real camera."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.samples.dng import Shot, encode_dng
from cli.samples.scenes import scene
from core.errors import ContentError
from tests.photos import photo
from tests.unit.imaging.preparing import colour, decoded, prepared

# Four plain corners, so that a wrong turn or wrong colours cannot be missed. No corner is bright enough for LibRaw's
# brightening to clip it.
CORNERS = np.zeros((800, 1200, 3), dtype=np.uint8)
CORNERS[:400, :600] = (200, 40, 40)
CORNERS[:400, 600:] = (40, 200, 40)
CORNERS[400:, :600] = (40, 40, 200)
CORNERS[400:, 600:] = (200, 200, 200)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 1), (3, 2), (8, 3)])
def test_dng_is_upright_with_its_colours(orientation: int, turns: int, preview: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(np.rot90(CORNERS, turns), preview=preview, orientation=orientation))

    result = prepared(path)

    assert result.metadata.format == "DNG"
    assert (result.metadata.width, result.metadata.height) == (1200, 800)
    assert result.metadata.orientation == orientation
    for jpeg, size in ((result.thumbnail, (200, 133)), (result.rendition, (512, 341))):
        image = decoded(jpeg)
        assert image.width == size[0]
        assert abs(image.height - size[1]) <= 1, "the preview's own height is rounded"
        strongest = [int(np.argmax(colour(image, x, y))) for x, y in ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75))]
        assert strongest == [0, 1, 2]
        red, green, blue = colour(image, 0.75, 0.75)
        assert min(red, green, blue) > 180
        assert max(red, green, blue) - min(red, green, blue) < 12


def test_shot_is_known(tmp_path: Path) -> None:
    shot = Shot(
        taken_at="2021:03:04 05:06:07",
        offset="-03:30",
        iso=1600,
        f_number=Fraction(56, 10),
        exposure_time=Fraction(1, 80),
        focal_length=Fraction(105, 2),
        make="Maker",
        model="Model 7",
        lens="Lens 52.5",
    )
    (tmp_path / "a.dng").write_bytes(encode_dng(CORNERS, preview=False, shot=shot))
    known = prepared(tmp_path / "a.dng").metadata
    assert known.taken_at == "2021-03-04T05:06:07-03:30"
    assert (known.iso, known.aperture, known.exposure_time, known.focal_length) == (1600, 5.6, 0.0125, 52.5)
    assert (known.camera_make, known.camera_model, known.lens) == ("Maker", "Model 7", "Lens 52.5")


def test_large_preview_is_used_and_a_small_one_is_not(tmp_path: Path) -> None:
    """The sensor data is blackened behind the preview: whose colours come out tells which was used."""
    for side, used in ((1200, True), (480, False)):
        path = tmp_path / f"{side}.dng"
        pixels = np.full((side * 2 // 3, side, 3), 200, dtype=np.uint8)
        content = bytearray(encode_dng(pixels, preview=True))
        content[-pixels.size // 3 * 2 :] = b"\0\0" * (pixels.size // 3)
        path.write_bytes(content)
        brightness = colour(decoded(prepared(path).rendition), 0.5, 0.5)[1]
        assert (brightness > 150) == used


def test_damaged_preview_gives_way_to_the_sensor_data(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    content = bytearray(encode_dng(CORNERS, preview=True))
    start = content.index(b"\xff\xd8\xff")
    content[start + 2 : start + 600] = bytes(598)  # its tables
    path.write_bytes(content)
    assert decoded(prepared(path).rendition).size == (512, 341)


def test_name_does_not_matter(tmp_path: Path) -> None:
    for name in ("a.dng", "a.tif", "a.jpg"):
        (tmp_path / name).write_bytes(encode_dng(scene(900, 600, 4), preview=False))
    assert prepared(tmp_path / "a.dng") == prepared(tmp_path / "a.tif") == prepared(tmp_path / "a.jpg")


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.dng"))
    path.write_bytes(encode_dng(CORNERS, preview=False))
    assert prepared(path).metadata.format == "DNG"


def test_ordinary_tiff_with_a_raw_name_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.nef"
    Image.fromarray(scene(300, 200, 4)).save(path, "TIFF")
    assert prepared(path).metadata.format == "TIFF"


def test_truncated_sensor_data(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(CORNERS, preview=False))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(
        ContentError, match=r"a\.dng is a RAW file that LibRaw cannot decode: it ends before the picture"
    ):
        prepared(path)


def test_pixel_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(CORNERS, preview=True))
    with pytest.raises(ContentError, match="1200 x 800 = 960,000 pixels"):
        prepared(path, max_pixels=959_999)


def test_raw_of_a_real_camera() -> None:
    """Values from exiftool; the size is LibRaw's, which includes the sensor's border."""
    result = prepared(photo("raw/kodak_dc50.kdc"))
    known = result.metadata
    assert (known.format, known.width, known.height, known.orientation) == ("KDC", 768, 512, 1)
    assert known.camera_make == "Eastman Kodak Company"
    assert known.camera_model == "Kodak Digital Science DC50 Zoom Camera"
    assert (known.aperture, known.exposure_time, known.focal_length) == (6.2, 0.00435, 37.0)
    # A sunny view: blue sky above, houses in the light.
    red, _, blue = colour(decoded(result.rendition), 0.1, 0.1)
    assert blue >= red - 40
    assert decoded(result.thumbnail).size == (200, 133)
