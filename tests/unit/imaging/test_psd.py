"""Photoshop files of every mode, depth and compression show what was written into them, or fail in words."""

import io
import itertools
import struct
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from core.errors import ContentError
from tests.unit.imaging.preparing import decoded, prepared
from tests.unit.imaging.test_tiff import SOFT, Shown, agree, expected, patches, shown
from tests.unit.imaging.tiffs import SIDE, chart

BITMAP, GREY, INDEXED, RGB, CMYK, _, _, MULTICHANNEL, DUOTONE, LAB = range(10)
SECTION = struct.pack(">I", 0)


def psd(
    samples: NDArray[Any],
    depth: int,
    mode: int,
    *,
    packed: bool = False,
    version: int = 1,
    palette: bytes = b"",
    resources: bytes = b"",
    layers: bytes = b"",
) -> bytes:
    """Return a file; `samples`: shape (rows, columns, channels), as stored."""
    rows, columns, channels = samples.shape
    content = struct.pack(">4sH6xHIIHH", b"8BPS", version, channels, rows, columns, depth, mode)
    wide = "Q" if version == 2 else "I"
    for section, size in ((palette, "I"), (resources, "I"), (layers, wide)):
        content += struct.pack(f">{size}", len(section)) + section
    planes = [_stored(samples[..., channel], depth) for channel in range(channels)]
    if not packed:
        return content + b"\0\0" + b"".join(bytes(row) for plane in planes for row in plane)
    lines = [imagecodecs.packbits_encode(bytes(row)) for plane in planes for row in plane]
    counts = np.array([len(line) for line in lines], ">u4" if version == 2 else ">u2")
    return content + b"\0\1" + counts.tobytes() + b"".join(lines)


def _stored(plane: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    if depth == 1:
        return np.packbits(plane.astype(bool), axis=1)
    if depth == 32:
        return plane.astype(">f4").view(np.uint8)
    return np.round(plane * ((1 << depth) - 1)).astype(f">u{depth // 8}").view(np.uint8)


def resource(number: int, content: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + b"\0" * (len(content) % 2)


WAYS = [
    pytest.param(packed, version, id=f"{'packed' if packed else 'raw'}-{'psb' if version == 2 else 'psd'}")
    for packed, version in itertools.product((False, True), (1, 2))
]


@pytest.mark.parametrize(("packed", "version"), WAYS)
@pytest.mark.parametrize("depth", [8, 16, 32])
@pytest.mark.parametrize("further", [0, 1, 2], ids="{} further channels".format)
@pytest.mark.parametrize("mode", [GREY, RGB, CMYK, DUOTONE], ids=["grey", "rgb", "cmyk", "duotone"])
def test_colours(mode: int, further: int, depth: int, packed: bool, version: int, tmp_path: Path) -> None:
    """Further channels are selections that someone saved: they show nothing."""
    count = {RGB: 3, CMYK: 4}.get(mode, 1)
    values = chart(count + further)
    wanted = values[..., :count]
    if mode == CMYK:  # no ink is the greatest value
        wanted = values[..., :3] * values[..., 3:4]
    palette = b"duotone" if mode == DUOTONE else b""
    content = psd(values, depth, mode, packed=packed, version=version, palette=palette)
    agree(shown(content, tmp_path), expected(wanted), within=9)


@pytest.mark.parametrize(("packed", "version"), WAYS)
def test_bitmap(packed: bool, version: int, tmp_path: Path) -> None:
    values = np.round(chart(1))
    agree(shown(psd(1 - values, 1, BITMAP, packed=packed, version=version), tmp_path), expected(values))


def test_a_bitmap_whose_rows_end_within_a_byte(tmp_path: Path) -> None:
    samples = np.ones((SIDE, SIDE - 3, 1))
    samples[:, 64:] = 0
    (tmp_path / "a").write_bytes(psd(samples, 1, BITMAP))
    found = np.asarray(decoded(prepared(tmp_path / "a").rendition))
    assert found.shape == (SIDE, SIDE - 3, 3)
    assert found[:, :60].max() < 8
    assert found[:, 70:].min() > 247


@pytest.mark.parametrize(("packed", "version"), WAYS)
def test_palette(packed: bool, version: int, tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    values = chart(1)
    content = psd(values, 8, INDEXED, packed=packed, version=version, palette=colours.T.tobytes())
    agree(shown(content, tmp_path), patches(colours[np.round(values[..., 0] * 255).astype(int)]))


@pytest.mark.parametrize("depth", [8, 16])
def test_lab(depth: int, tmp_path: Path) -> None:
    rgb = (SOFT * 255).astype(np.uint8)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.stack([np.asarray(band) for band in to_lab.apply(Image.fromarray(rgb)).split()], -1).astype(float)
    stored = lab / 255
    if depth == 16:
        stored[..., 1:] = lab[..., 1:] * 256 / 65535
    agree(shown(psd(stored, depth, LAB), tmp_path), patches(rgb), within=12)


@pytest.mark.parametrize("depth", [8, 16, 32])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("says", ["count of layers", "layers behind", "merged transparency"])
def test_transparency_shows_white(says: str, version: int, depth: int, tmp_path: Path) -> None:
    """As the file says; else a further channel is a selection."""
    wide = "Q" if version == 2 else "I"
    if says == "count of layers":
        layers = struct.pack(f">{wide}h", 2, -1)
    else:
        key, block = (b"Mt16", b"") if says == "merged transparency" else (b"Lr16", struct.pack(">h2x", -1))
        layers = struct.pack(f">{wide}I4s4s{wide}", 0, 0, b"8BIM", key, len(block)) + block
    values = chart(4)
    content = psd(values, depth, RGB, version=version, layers=layers)
    agree(shown(content, tmp_path), expected(values[..., :3] * values[..., 3:] + 1 - values[..., 3:]))


def test_its_profile_and_metadata_count(tmp_path: Path) -> None:
    primaries = [0.64, 0.33, 1.0, 0.3, 0.6, 1.0, 0.15, 0.06, 1.0]
    profile = imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=primaries, gamma=1.0)
    block = Image.Exif()
    block[271] = "Maker"
    resources = resource(1039, bytes(profile)) + resource(1058, block.tobytes().removeprefix(b"Exif\0\0"))
    path = tmp_path / "a"
    path.write_bytes(psd(np.full((SIDE, SIDE, 3), 0.2), 16, RGB, resources=resources))
    result = prepared(path)
    assert (result.metadata.format, result.metadata.camera_make) == ("PSD", "Maker")
    # 0.2 of the light is 124 in sRGB.
    assert np.abs(np.asarray(decoded(result.rendition)).astype(int) - 124).max() <= 4


REFUSED: dict[str, tuple[bytes, str]] = {
    "multichannel": (psd(chart(3), 8, MULTICHANNEL), "does not say which colours its channels are. Convert it to RGB"),
    "no merged picture": (
        psd(chart(3), 8, RGB, resources=resource(1057, b"\0\0\0\1\0")),
        'was saved without its merged picture. Save it with "Maximize Compatibility"',
    ),
    "cut": (psd(chart(3), 16, RGB)[:-500], "is damaged and cannot be decoded: it ends before the picture does"),
    "cut in the layers": (psd(chart(3), 16, RGB)[:30], "is damaged and cannot be decoded: it ends before"),
    "damaged": (
        psd(chart(3), 16, RGB, packed=True)[:-400] + bytes(400),
        "is damaged and cannot be decoded: its data is damaged or not complete",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_shown_fails_in_words(kind: str, tmp_path: Path) -> None:
    content, words = REFUSED[kind]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ContentError, match=f"a {'is a Photoshop file .*' if kind[0] in 'mn' else ''}{words}"):
        prepared(tmp_path / "a")


def test_one_that_claims_to_be_huge_is_refused_from_its_header(tmp_path: Path) -> None:
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 2, 3, 300_000, 300_000, 8, RGB)
    (tmp_path / "a").write_bytes(header + bytes(40))
    with pytest.raises(ContentError, match="pixels; at most"):
        prepared(tmp_path / "a")


@pytest.mark.system
@pytest.mark.parametrize("options", [["-depth", "8"], ["-depth", "16"], ["-depth", "16", "-compress", "none"]], ids=str)
@pytest.mark.parametrize("name", ["a.psd", "a.psb"])
def test_of_imagemagick(name: str, options: list[str], tmp_path: Path) -> None:
    values = chart(4)
    buffer = io.BytesIO()
    Image.fromarray((values * 255).round().astype(np.uint8)).save(buffer, "PNG")
    subprocess.run(["convert", "-", *options, str(tmp_path / name)], input=buffer.getvalue(), check=True)
    found: Shown = patches(np.asarray(decoded(prepared(tmp_path / name).rendition)))
    agree(found, expected(values[..., :3] * values[..., 3:] + 1 - values[..., 3:]))
