"""What decodes wholly is stored. What decodes in part fails with the reason, or is stored as damaged if asked for."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cli.samples.scenes import scene
from core.errors import ContentError
from imaging.decoding import prepare
from imaging.hashing import hash_file
from imaging.prepared import Prepared
from tests.photos import photo
from tests.unit.imaging import tiffs
from tests.unit.imaging.preparing import MAX_BYTES, MAX_PIXELS, decoded, prepared

ORIGINAL = Image.fromarray(scene(900, 600, 1))
JPEGS: dict[str, dict[str, Any]] = {
    "baseline": {"quality": 90},
    "progressive": {"quality": 90, "progressive": True},
    "restarts": {"quality": 90, "restart_marker_rows": 1},
    "no halved colours": {"quality": 100, "subsampling": 0},
    "optimised": {"quality": 90, "optimize": True},
}


def encoded(format_name: str, image: Image.Image = ORIGINAL, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def salvaged(content: bytes, tmp_path: Path) -> Prepared:
    path = tmp_path / "a"
    path.write_bytes(content)
    sha256, stamp = hash_file(os.fsencode(path))
    return prepare(
        os.fsencode(path), stamp, sha256, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES, salvage_damaged=True
    )  # fmt: skip


def stored(content: bytes, tmp_path: Path) -> Prepared:
    path = tmp_path / "a"
    path.write_bytes(content)
    return prepared(path)


def whole(content: bytes, whole_content: bytes, tmp_path: Path) -> None:
    """Check that the pixels are those of the whole file, and that nothing is said of damage."""
    found, wanted = stored(content, tmp_path), stored(whole_content, tmp_path)
    assert difference(found, wanted) < 1
    assert found.metadata.damaged is None
    assert (found.metadata.width, found.metadata.height) == (wanted.metadata.width, wanted.metadata.height)


def difference(one: Prepared, other: Prepared, rows: slice = slice(None)) -> float:
    left, right = (np.asarray(decoded(each.rendition))[rows].astype(float) for each in (one, other))
    return float(np.abs(left - right).mean())


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_lacks_its_end_marker_alone(kind: str, mode: str, tmp_path: Path) -> None:
    content = encoded("JPEG", ORIGINAL.convert(mode), **JPEGS[kind])
    for cut in (content[:-2], content[:-1], content[:-2] + bytes(3000)):
        whole(cut, content, tmp_path)


def test_a_cmyk_jpeg_that_lacks_its_end_marker_alone(tmp_path: Path) -> None:
    content = encoded("JPEG", ORIGINAL.convert("CMYK"), quality=90)
    whole(content[:-2], content, tmp_path)


def test_a_photograph_that_lacks_its_end_marker_alone(tmp_path: Path) -> None:
    content = photo("jpg/gps/DSCN0010.jpg").read_bytes()
    whole(content[:-2], content, tmp_path)


def test_junk_behind_a_picture_does_no_harm(tmp_path: Path) -> None:
    content = encoded("JPEG", quality=90)
    for tail in (b"junk" * 100, bytes(5000), content):
        whole(content + tail, content, tmp_path)


WHOLE_BUT_FOR_ITS_END: list[tuple[str, dict[str, Any], int]] = [
    ("PNG", {}, 12),
    ("PNG", {}, 5),
    ("PNG", {"compress_level": 9}, 14),
    ("GIF", {}, 1),
    ("WEBP", {"quality": 90, "exif": b"Exif\0\0II*\0" + bytes(400)}, 30),
    ("WEBP", {"lossless": True, "xmp": b"x" * 400}, 200),
]


@pytest.mark.parametrize(("format_name", "options", "lost"), WHOLE_BUT_FOR_ITS_END)
def test_other_formats_without_their_end(format_name: str, options: dict[str, Any], lost: int, tmp_path: Path) -> None:
    content = encoded(format_name, **options)
    whole(content[:-lost], content, tmp_path)


def _without_end(content: bytes) -> bytes:
    return content


def _with_end(content: bytes) -> bytes:
    """End as whole files do: what a program makes of a broken download."""
    return content + b"\xff\xd9"


def _filled(content: bytes) -> bytes:
    """Fill with zeros, as a file system does that has lost the rest."""
    return content + bytes(len(content))


@pytest.mark.parametrize("end", [_without_end, _with_end, _filled])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_a_part(kind: str, end: Callable[[bytes], bytes], tmp_path: Path) -> None:
    content = encoded("JPEG", **JPEGS[kind])
    cut = end(content[: len(content) * 7 // 10])
    with pytest.raises(ContentError, match="is damaged and cannot be decoded: it ends before the picture does"):
        stored(cut, tmp_path)
    found = salvaged(cut, tmp_path)
    assert found.metadata.damaged is True
    assert (found.metadata.width, found.metadata.height) == (900, 600)
    upper = slice(0, 150)  # of 341 rows
    assert difference(found, stored(content, tmp_path), upper) < (8 if kind == "progressive" else 2)


def test_a_jpeg_that_lacks_more_than_half_is_not_salvaged(tmp_path: Path) -> None:
    content = encoded("JPEG", quality=90)
    for share in (0.3, 0.02):
        with pytest.raises(ContentError, match="damaged"):
            salvaged(content[: int(len(content) * share)], tmp_path)


@pytest.mark.parametrize("lost", [12, 40, 2000])
def test_a_jpeg_that_lacks_its_last_pixels(lost: int, tmp_path: Path) -> None:
    content = photo("jpg/gps/DSCN0010.jpg").read_bytes()
    with pytest.raises(ContentError, match="it ends before the picture does"):
        stored(content[:-lost], tmp_path)
    assert salvaged(content[:-lost], tmp_path).metadata.damaged is True


def test_damage_within_a_jpeg_is_told(tmp_path: Path) -> None:
    """Its last rows are lost, though it has its end: near enough to whole to be stored, and never without a word."""
    assert stored(photo("broken/corrupted.jpg").read_bytes(), tmp_path).metadata.damaged is True


def test_a_jpeg_in_which_libjpeg_loses_its_place_is_told(tmp_path: Path) -> None:
    """All rows have pixels, and some data is left over behind them."""
    content = bytearray(encoded("JPEG", quality=90))
    middle = len(content) // 2
    content[middle : middle + 500] = np.random.default_rng(4).bytes(500).replace(b"\xff", b"\0")
    assert stored(bytes(content), tmp_path).metadata.damaged is True


def test_what_else_is_odd_in_a_jpeg_hides_no_damage(tmp_path: Path) -> None:
    """libjpeg tells of the first oddity only: here of the version in the header."""
    content = encoded("JPEG", quality=90)
    odd = content.replace(b"JFIF\0\x01", b"JFIF\0\x09", 1)
    whole(odd, content, tmp_path)
    with pytest.raises(ContentError, match="it ends before the picture does"):
        stored(odd[: len(odd) * 7 // 10] + b"\xff\xd9", tmp_path)


def _tiff(**options: Any) -> bytes:
    pixels = scene(900, 600, 1)
    return tiffs.tiff(pixels, bits=8, photometric=tiffs.RGB, **options)


PARTS: dict[str, Callable[[], bytes]] = {
    "png": lambda: encoded("PNG"),
    "png of 16 bits": lambda: encoded("PNG", Image.fromarray(scene(900, 600, 1)[..., 0].astype(np.uint16) * 257)),
    "gif": lambda: encoded("GIF"),
    "bmp": lambda: encoded("BMP"),
}


@pytest.mark.parametrize("kind", PARTS)
def test_pictures_of_rows(kind: str, tmp_path: Path) -> None:
    content = PARTS[kind]()
    cut = content[: len(content) * 7 // 10]
    with pytest.raises(ContentError, match="it ends before the picture does"):
        stored(cut, tmp_path)
    found = salvaged(cut, tmp_path)
    assert found.metadata.damaged is True
    there = slice(200, 341) if kind == "bmp" else slice(0, 150)  # BMP has its last rows first
    assert difference(found, stored(content, tmp_path), there) < 4
    with pytest.raises(ContentError, match="damaged"):
        salvaged(content[: len(content) // 3], tmp_path)


@pytest.mark.parametrize("options", [{}, {"compression": tiffs.LZW}, {"planar": 2}, {"tile": 64}, {"rows": 600}])
def test_a_tiff_that_lacks_a_part(options: dict[str, Any], tmp_path: Path) -> None:
    """Its directory stands before the data here, as Pillow and many scanners write it."""
    content = _directory_first(_tiff(**options))
    whole_picture = stored(content, tmp_path)
    cut = content[: len(content) * 9 // 10]
    with pytest.raises(ContentError, match="damaged"):
        stored(cut, tmp_path)
    found = salvaged(cut, tmp_path)
    assert found.metadata.damaged is True
    assert difference(found, whole_picture, slice(0, 150)) < (40 if options.get("planar") == 2 else 3)
    with pytest.raises(ContentError, match="damaged"):
        salvaged(content[: len(content) // 3], tmp_path)


def _directory_first(content: bytes) -> bytes:
    """Lay the same picture down with tifffile, which writes the directory first."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        page = tiff.pages.first
        options: dict[str, Any] = {"compression": page.compression, "planarconfig": page.planarconfig}
        options |= {"tile": page.tile} if page.is_tiled else {"rowsperstrip": page.rowsperstrip}
        pixels = page.asarray()
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb", metadata=None, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_name", ["WEBP", "HEIF", "AVIF"])
def test_formats_that_decode_as_a_whole_or_not_at_all(format_name: str, tmp_path: Path) -> None:
    content = encoded(format_name, quality=90)
    cut = content[: len(content) * 9 // 10]
    for attempt in (stored, salvaged):
        with pytest.raises(ContentError):
            attempt(cut, tmp_path)
