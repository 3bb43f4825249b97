"""What Pillow does not decode, or wrongly: BMP with masks, deep JPEG and JPEG 2000, PNG with a damaged text."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cli.samples.dng import encode_dng
from core.errors import ContentError
from tests.unit.imaging.pngs import chunk, png
from tests.unit.imaging.preparing import decoded, prepared
from tests.unit.imaging.test_raw import CORNERS
from tests.unit.imaging.test_tiff import SOFT, agree, expected, shown
from tests.unit.imaging.tiffs import SIDE, chart

VALUES = chart(3)
ALPHA = chart(4)[..., 3:]
GREY = chart(1)

MASKS: dict[str, tuple[int, list[int]]] = {
    "565": (16, [0xF800, 0x07E0, 0x001F]),
    "555": (16, [0x7C00, 0x03E0, 0x001F]),
    "444": (16, [0x0F00, 0x00F0, 0x000F]),
    "blue first": (32, [0xFF, 0xFF00, 0xFF0000]),
    "red first": (32, [0xFF0000, 0xFF00, 0xFF]),
    "shifted": (32, [0xFF000000, 0xFF0000, 0xFF00]),
    "ten bits": (32, [0x3FF00000, 0xFFC00, 0x3FF]),
    "with alpha": (32, [0xFF0000, 0xFF00, 0xFF, 0xFF000000]),
}


def bmp(values: NDArray[np.float64], bits: int, masks: list[int], *, header: int, upside_down: bool) -> bytes:
    """Return a BMP; `values`: shape (rows, columns, colours), from 0 to 1."""
    pixels = np.zeros(values.shape[:2], np.int64)
    for channel, mask in enumerate(masks):
        lowest = mask & -mask
        pixels |= np.round(values[..., channel] * (mask // lowest)).astype(np.int64) * lowest
    rows = [row.tobytes() for row in pixels.astype(f"<u{bits // 8}")]
    body = b"".join(row + b"\0" * (-len(row) % 4) for row in (rows if upside_down else rows[::-1]))
    packed = struct.pack("<4I", *masks, *[0] * (4 - len(masks)))
    height, width = len(values), values.shape[1]
    info = struct.pack("<IiiHHIIiiII", header, width, -height if upside_down else height, 1, bits, 3, 0, 0, 0, 0, 0)
    info += packed[:12] if header == 40 else packed.ljust(header - 40, b"\0")[: header - 40]
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(body), 0, 0, 14 + len(info)) + info + body


@pytest.mark.parametrize("upside_down", [False, True], ids=["upwards", "downwards"])
@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
@pytest.mark.parametrize("kind", MASKS)
def test_bmp(kind: str, header: int, upside_down: bool, tmp_path: Path) -> None:
    bits, masks = MASKS[kind]
    shows_alpha = len(masks) == 4 and header >= 56
    content = bmp(np.concatenate([VALUES, ALPHA], 2), bits, masks, header=header, upside_down=upside_down)
    wanted = VALUES * ALPHA + 1 - ALPHA if shows_alpha else VALUES
    agree(shown(content, tmp_path), expected(wanted), within=10)


def test_bmp_with_a_width_that_fills_no_row_and_with_an_end_that_is_missing(tmp_path: Path) -> None:
    content = bmp(VALUES[:50, :33], *MASKS["565"], header=40, upside_down=False)
    (tmp_path / "a").write_bytes(content)
    assert decoded(prepared(tmp_path / "a").rendition).size == (33, 50)
    (tmp_path / "a").write_bytes(content[:-10])
    with pytest.raises(ContentError, match="it ends before the picture does"):
        prepared(tmp_path / "a")


@pytest.mark.parametrize("wrapped", ["jp2", "j2k"])
@pytest.mark.parametrize("transformed", [True, False], ids=["transformed", "plain"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 10, 12, 16])
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_jpeg_2000(kind: str, bits: int, transformed: bool, wrapped: str, tmp_path: Path) -> None:
    values = {"grey": GREY[..., 0], "rgb": VALUES, "rgba": np.concatenate([VALUES, ALPHA], 2)}[kind]
    values = np.round(values) if bits == 1 else values
    samples = np.round(values * ((1 << bits) - 1)).astype(np.uint8 if bits <= 8 else np.uint16)
    content = bytes(
        imagecodecs.jpeg2k_encode(
            samples, level=0, codecformat=wrapped, bitspersample=bits, mct=transformed, reversible=True
        )
    )
    wanted = values[..., None] if kind == "grey" else values[..., :3]
    if kind == "rgba" and decoded_mode(content) == "RGBA":
        wanted = wanted * values[..., 3:] + 1 - values[..., 3:]
    agree(shown(content, tmp_path), expected(wanted))


def decoded_mode(content: bytes) -> str:
    return Image.open(io.BytesIO(content)).mode


@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_2000_in_ycbcr(bits: int, tmp_path: Path) -> None:
    ycc = np.asarray(Image.fromarray(np.round(SOFT * 255).astype(np.uint8)).convert("YCbCr"))
    samples = ycc if bits == 8 else ycc.astype(np.uint16) * 257
    content = bytearray(imagecodecs.jpeg2k_encode(samples, level=0, codecformat="jp2", mct=False, reversible=True))
    place = content.index(b"colr") + 7
    content[place : place + 4] = (18).to_bytes(4, "big")
    agree(shown(bytes(content), tmp_path), expected(SOFT))


def _deep_jpegs() -> dict[str, tuple[bytes | bytearray, Any]]:
    twelve, lossless = (SOFT * 4095).round().astype(np.uint16), (VALUES * 65535).round().astype(np.uint16)
    grey = (GREY[..., 0] * 4095).round().astype(np.uint16)
    return {
        "12 bits": (imagecodecs.jpeg8_encode(twelve, level=97, bitspersample=12), SOFT),
        "12 bits, grey": (imagecodecs.jpeg8_encode(twelve[..., 0].copy(), level=97, bitspersample=12), SOFT[..., :1]),
        "lossless 16 bits": (imagecodecs.jpeg8_encode(lossless, lossless=True, predictor=1, bitspersample=16), VALUES),
        "lossless 12 bits, grey": (imagecodecs.ljpeg_encode(grey, bitspersample=12), GREY),
    }


@pytest.mark.parametrize("kind", _deep_jpegs())
def test_deep_jpeg(kind: str, tmp_path: Path) -> None:
    content, values = _deep_jpegs()[kind]
    agree(shown(bytes(content), tmp_path), expected(values), within=8)
    path = tmp_path / "a"
    path.write_bytes(content[:-30])
    with pytest.raises(ContentError, match="is damaged and cannot be decoded"):
        prepared(path)


def test_a_deep_jpeg_is_turned_and_described(tmp_path: Path) -> None:
    block = Image.Exif()
    block[271], block[274] = "Maker", 3
    exif = b"Exif\0\0" + block.tobytes().removeprefix(b"Exif\0\0")
    content = bytes(_deep_jpegs()["12 bits"][0])
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    agree(shown(content[:2] + segment + content[2:], tmp_path), expected(np.rot90(SOFT, 2)), within=8)
    known = prepared(tmp_path / "a.tif").metadata
    assert (known.format, known.camera_make, known.orientation, known.width) == ("JPEG", "Maker", 3, SIDE)


@pytest.mark.parametrize("kind", [b"tEXt", b"tIME", b"eXIf", b"zzZz"])
@pytest.mark.parametrize("behind", [False, True], ids=["before the pixels", "behind them"])
def test_a_png_with_a_damaged_chunk_that_no_pixel_needs(kind: bytes, behind: bool, tmp_path: Path) -> None:
    damaged = bytearray(chunk(kind, b"a\0bcdefg"))
    damaged[-1] ^= 1
    content = png(np.round(VALUES * 255).astype(int), 8, 2, *([] if behind else [bytes(damaged)]))
    if behind:
        end = content.index(b"IEND") - 4
        content = content[:end] + bytes(damaged) + content[end:]
    agree(shown(content, tmp_path), expected(VALUES))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param(b"pHYs", b"\0\0", id="short density"),
        pytest.param(b"tRNS", b"\0\0", id="short colour"),
        pytest.param(b"acTL", b"\0\0", id="short animation"),
        pytest.param(b"iCCP", b"x\0\0" + zlib.compress(bytes(20 << 20)), id="a profile of 20 MiB"),
        pytest.param(b"zTXt", b"x\0\0" + zlib.compress(bytes(20 << 20)), id="a text of 20 MiB"),
    ],
)
def test_a_png_with_a_chunk_that_is_none(kind: bytes, content: bytes, tmp_path: Path) -> None:
    agree(shown(png(np.round(VALUES * 255).astype(int), 8, 2, chunk(kind, content)), tmp_path), expected(VALUES))


def test_a_raw_whose_preview_lacks_its_last_rows_is_developed(tmp_path: Path) -> None:
    content = bytearray(encode_dng(CORNERS, preview=True))
    start = content.index(b"\xff\xd8\xff")
    end = content.index(b"\xff\xd9", start)
    content[end - 150 : end] = b"\xff\xd9" + bytes(148)
    (tmp_path / "a.dng").write_bytes(content)
    result = prepared(tmp_path / "a.dng")
    found = np.asarray(decoded(result.rendition)).astype(int)
    assert (result.metadata.damaged, found.shape[:2]) == (None, (341, 512))
    assert np.ptp(found[-4:, -100:], axis=-1).max() < 16  # the last corner is plain, down to its end
    assert found[-4:, -100:].min() > 180
