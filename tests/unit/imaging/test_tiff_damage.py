"""A TIFF whose data is damaged or not complete fails in words, also where its decoder would pass over that."""

import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from cli.samples.scenes import scene
from core.errors import ContentError
from tests.unit.imaging import tiffs
from tests.unit.imaging.preparing import decoded, prepared
from tests.unit.imaging.test_damage import salvaged

SIDE = 256
PIXELS = scene(SIDE, SIDE, 1)
IN_WORDS = (
    r"a is damaged and cannot be decoded: (it ends before the picture does \(truncated\)|"
    r"(part \d+ of \d+ of )?its data is damaged or not complete)\."
)


def one_strip(data: bytes, **tags: Any) -> bytes:
    page, _, _ = tiffs.page(PIXELS, bits=8, photometric=tiffs.RGB, rows=SIDE)
    return tiffs.file([(page | {int(name[1:]): value for name, value in tags.items()}, [data], False)])


def in_jpeg(data: bytes) -> bytes:
    return one_strip(data, t259=7, t262=tiffs.YCBCR, t530=[2, 2])


def in_old_jpeg(data: bytes) -> bytes:
    return one_strip(data, t259=6, t262=tiffs.YCBCR, t530=[2, 2], t513=8, t514=len(data))


def in_blocks(data: bytes) -> bytes:
    return one_strip(data, t259=tiffs.DEFLATE, t262=tiffs.YCBCR, t530=[1, 2])


def in_fax(compression: int) -> Callable[[bytes], bytes]:
    tags: dict[str, Any] = {"t259": compression, "t262": 1, "t258": [1], "t277": 1, "t339": [1]}
    return lambda data: one_strip(data, **tags)


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _blocks() -> bytes:
    ycc = np.asarray(Image.fromarray(PIXELS).convert("YCbCr"))
    light = ycc[..., 0].reshape(SIDE // 2, 2, SIDE).swapaxes(1, 2)
    return zlib.compress(np.concatenate([light, ycc[::2, :, 1:]], axis=2).tobytes())


def _fax(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0] > 128).save(buffer, "TIFF", compression=name)
    with tifffile.TiffFile(io.BytesIO(buffer.getvalue())) as tiff:
        page = tiff.pages.first
        (offset,), (length,) = page.dataoffsets, page.databytecounts
    return buffer.getvalue()[offset : offset + length]


def _jpeg_xr() -> bytes:
    return bytes(imagecodecs.jpegxr_encode(PIXELS, level=1.0))


KINDS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "jpeg": (_jpeg(), in_jpeg),
    "old jpeg": (_jpeg(), in_old_jpeg),
    "blocks of ycbcr": (_blocks(), in_blocks),
    "fax 2": (_fax("tiff_ccitt"), in_fax(2)),
    "fax 3": (_fax("group3"), in_fax(3)),
    "fax 4": (_fax("group4"), in_fax(4)),
    "jpeg xr": (_jpeg_xr(), lambda data: one_strip(data, t259=22610)),
}


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_data_that_is_cut_fails(kind: str, share: float, tmp_path: Path) -> None:
    """The file itself is whole: a program has copied what there was."""
    data, laid = KINDS[kind]
    path = tmp_path / "a"
    path.write_bytes(laid(data))
    assert prepared(path).metadata.damaged is None
    path.write_bytes(laid(data[: int(len(data) * share)]))
    with pytest.raises(ContentError, match=IN_WORDS):
        prepared(path)


@pytest.mark.parametrize("kind", ["blocks of ycbcr", "fax 2", "fax 3", "fax 4", "jpeg xr"])
def test_data_that_is_garbled_fails(kind: str, tmp_path: Path) -> None:
    data, laid = KINDS[kind]
    half = len(data) // 2
    path = tmp_path / "a"
    path.write_bytes(laid(data[:half] + np.random.default_rng(1).bytes(100) + data[half + 100 :]))
    with pytest.raises(ContentError, match=IN_WORDS):
        prepared(path)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (400, 600), (2000, 3000)], ids=str)
@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("shade", [True, False], ids=["white", "black"])
def test_an_empty_page_is_whole(shade: bool, compression: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a"
    Image.fromarray(np.full(size[::-1], shade)).save(path, "TIFF", compression=compression)
    assert (prepared(path).metadata.width, prepared(path).metadata.height) == size


@pytest.mark.parametrize("length", [4, 8, 20, 100, 200, 5000, 190_000])
@pytest.mark.parametrize("directory", ["first", "last"])
def test_a_file_that_ends_anywhere_fails_in_words(directory: str, length: int, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, PIXELS, photometric="rgb", metadata=None, rowsperstrip=20)
    content = buffer.getvalue() if directory == "first" else tiffs.tiff(PIXELS, bits=8, photometric=tiffs.RGB)
    (tmp_path / "a").write_bytes(content[:length])
    words = r"damaged and cannot be decoded: it(s directory is damaged or cut off| ends before the picture does)"
    with pytest.raises(ContentError, match=words):
        prepared(tmp_path / "a")


def test_of_strips_in_jpeg_those_that_are_whole_are_salvaged(tmp_path: Path) -> None:
    strips = []
    for top in range(0, SIDE, 64):
        buffer = io.BytesIO()
        Image.fromarray(PIXELS[top : top + 64]).save(buffer, "JPEG", quality=95, subsampling=0)
        strips.append(buffer.getvalue())
    strips[-1] = strips[-1][: len(strips[-1]) // 2]
    page, _, _ = tiffs.page(PIXELS, bits=8, photometric=tiffs.YCBCR, rows=64)
    content = tiffs.file([(page | {259: 7, 530: [1, 1]}, strips, False)])
    result = salvaged(content, tmp_path)
    assert result.metadata.damaged is True
    assert np.abs(np.asarray(decoded(result.rendition)).astype(float) - PIXELS)[:190].mean() < 6


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        pytest.param({"t259": 32766}, r"compressed in a way \(32766\) that nothing here decodes", id="compression"),
        pytest.param({"t258": [5, 6, 5]}, r"samples of \(5, 6, 5\) bits", id="samples of several depths"),
        pytest.param({"t262": 6, "t530": [2, 2], "t284": 2}, "keeps colours of 2 x 2 pixels in a way", id="planes"),
    ],
)
def test_what_nothing_decodes_is_not_called_damaged(tags: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(one_strip(PIXELS.tobytes(), **tags))
    with pytest.raises(ContentError, match=rf"a is a TIFF .*{words}.* Save it "):
        prepared(tmp_path / "a")
