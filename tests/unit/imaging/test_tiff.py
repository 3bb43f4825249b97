"""TIFFs of every depth, kind, arrangement and compression show what was written into them."""

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from core.errors import ContentError
from tests.unit.imaging import tiffs
from tests.unit.imaging.preparing import decoded, prepared
from tests.unit.imaging.tiffs import (
    BLACK_IS_ZERO,
    CIELAB,
    DEFLATE,
    ICCLAB,
    LZMA,
    LZW,
    PACKBITS,
    PALETTE,
    PATCHES,
    RGB,
    SEPARATED,
    SIDE,
    WHITE_IS_ZERO,
    YCBCR,
    ZSTD,
    Fractions,
    chart,
    integers,
    tiff,
)

Shown = NDArray[np.float64]
# For what is stored less exactly.
SOFT = chart(3) * 0.5 + 0.25
ORDERS = {"little": "<", "big": ">"}


def shown(content: bytes, tmp_path: Path) -> Shown:
    """Return the colours of the patches, shape (4, 4, 3), as the rendition has them."""
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    return patches(np.asarray(decoded(prepared(path).rendition)))


def patches(pixels: NDArray[Any]) -> Shown:
    size = SIDE // PATCHES
    return pixels[size // 2 :: size, size // 2 :: size].astype(np.float64)


def expected(values: Shown) -> Shown:
    """Return what patches of these values, from 0 to 1, are as 8-bit RGB."""
    rgb = values.repeat(3, axis=2) if values.shape[2] == 1 else values
    return patches(np.round(rgb * 255))


def agree(found: Shown, wanted: Shown, within: float = 6) -> None:
    """Within what JPEG costs."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= within, f"found {found[0].tolist()}, wanted {wanted[0].tolist()}"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16, 24, 32])
def test_grey(bits: int, photometric: int, order: str, tmp_path: Path) -> None:
    values = chart(1) if bits > 1 else np.round(chart(1))
    stored = values if photometric == BLACK_IS_ZERO else 1 - values
    content = tiff(integers(stored, bits), bits=bits, photometric=photometric, order=ORDERS[order])
    agree(shown(content, tmp_path), expected(values))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, WHITE_IS_ZERO])
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_grey_of_floats(bits: int, photometric: int, order: str, tmp_path: Path) -> None:
    values = chart(1)
    stored = values if photometric == BLACK_IS_ZERO else 1 - values
    agree(
        shown(tiff(stored, bits=bits, photometric=photometric, kind=3, order=ORDERS[order]), tmp_path), expected(values)
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [4, 8, 10, 12, 16, 24, 32])
def test_colours(bits: int, planar: int, tile: int | None, order: str, tmp_path: Path) -> None:
    values = chart(3)
    content = tiff(integers(values, bits), bits=bits, photometric=RGB, planar=planar, tile=tile, order=ORDERS[order])
    agree(shown(content, tmp_path), expected(values))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("predictor", [1, 3])
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_colours_of_floats(bits: int, predictor: int, planar: int, order: str, tmp_path: Path) -> None:
    values = chart(3)
    content = tiff(
        values, bits=bits, photometric=RGB, kind=3, planar=planar, predictor=predictor, compression=DEFLATE,
        order=ORDERS[order],
    )  # fmt: skip
    agree(shown(content, tmp_path), expected(values))


COMPRESSED = [
    (compression, predictor, bits, planar, tile, order)
    for compression, predictor in itertools.product((LZW, DEFLATE, PACKBITS, ZSTD, LZMA), (1, 2))
    for bits, planar, tile, order in ((8, 1, None, "<"), (16, 2, None, ">"), (16, 1, 16, "<"), (8, 2, 32, ">"))
]


@pytest.mark.parametrize(("compression", "predictor", "bits", "planar", "tile", "order"), COMPRESSED)
def test_compression(
    compression: int, predictor: int, bits: int, planar: int, tile: int | None, order: str, tmp_path: Path
) -> None:
    values = chart(3)
    content = tiff(
        integers(values, bits), bits=bits, photometric=RGB, planar=planar, tile=tile, order=order,
        compression=compression, predictor=predictor,
    )  # fmt: skip
    agree(shown(content, tmp_path), expected(values))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_palette(bits: int, deep: bool, order: str, tmp_path: Path) -> None:
    """Some programs write colours of 8 bits where the standard has 16."""
    indices = integers(chart(1) if bits > 1 else np.round(chart(1)), min(bits, 8))
    colours = np.random.default_rng(bits).integers(0, 256, (1 << bits, 3))
    table = (colours.T * (257 if deep else 1)).ravel()
    content = tiff(indices, bits=bits, photometric=PALETTE, order=ORDERS[order], tags={320: table})
    agree(shown(content, tmp_path), patches(colours[indices[..., 0]]))


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk(bits: int, planar: int, tmp_path: Path) -> None:
    inks = chart(4)
    content = tiff(integers(inks, bits), bits=bits, photometric=SEPARATED, planar=planar)
    agree(shown(content, tmp_path), expected((1 - inks[..., :3]) * (1 - inks[..., 3:])))


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [CIELAB, ICCLAB])
def test_lab(photometric: int, bits: int, planar: int, tmp_path: Path) -> None:
    rgb = (SOFT * 255).astype(np.uint8)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = np.stack([np.asarray(band) for band in to_lab.apply(Image.fromarray(rgb)).split()], -1).astype(np.int64)
    lab[..., 1:] -= 128 if photometric == CIELAB else 0
    if bits == 16:
        lab[..., 0] = lab[..., 0] * (257 if photometric == CIELAB else 256)
        lab[..., 1:] *= 256
    stored = lab & ((1 << bits) - 1)
    agree(shown(tiff(stored, bits=bits, photometric=photometric, planar=planar), tmp_path), patches(rgb), within=12)


@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("extra", "channels"), [(1, 3), (2, 3), (1, 1), (2, 1), (None, 3), (0, 3), (0, 1)])
def test_transparency(extra: int | None, channels: int, bits: int, planar: int, tmp_path: Path) -> None:
    """Shows white; a further sample of no stated meaning shows nothing."""
    values, alpha = chart(channels), chart(channels + 1)[..., -1:]
    stored = values * alpha if extra == 1 else values
    tags = {} if extra is None else {338: [extra]}
    photometric = RGB if channels == 3 else BLACK_IS_ZERO
    samples = integers(np.concatenate([stored, alpha], axis=2), bits)
    content = tiff(samples, bits=bits, photometric=photometric, planar=planar, tags=tags)
    wanted = values if extra == 0 else values * alpha + (1 - alpha)
    agree(shown(content, tmp_path), expected(wanted))


@pytest.mark.parametrize("bits", [8, 16])
def test_signed_grey_is_stretched(bits: int, tmp_path: Path) -> None:
    values = chart(1)
    half = 1 << (bits - 1)
    stored = (np.round(values * (2 * half - 1)).astype(np.int64) - half) & ((1 << bits) - 1)
    agree(shown(tiff(stored, bits=bits, photometric=BLACK_IS_ZERO, kind=2), tmp_path), expected(values))


def test_floats_beyond_white(tmp_path: Path) -> None:
    """Lights of a picture are cut; a picture that counts to 255 or 65,535 is scaled."""
    values = chart(3)
    bright = np.where(values == 1, 3.0, values)
    agree(shown(tiff(bright, bits=32, photometric=RGB, kind=3), tmp_path), expected(values))
    agree(shown(tiff(values * 65_535, bits=32, photometric=RGB, kind=3), tmp_path), expected(values))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [8, 16])
def test_big_tiff(bits: int, order: str, tmp_path: Path) -> None:
    values = chart(3)
    content = tiff(integers(values, bits), bits=bits, photometric=RGB, big=True, order=ORDERS[order])
    agree(shown(content, tmp_path), expected(values))


def _bits_reversed(data: bytes | bytearray) -> bytes:
    return bytes(int(f"{one:08b}"[::-1], 2) for one in data)


def test_bits_from_the_lowest_on(tmp_path: Path) -> None:
    values = np.round(chart(1))
    tags, parts, tiled = tiffs.page(integers(values, 1), bits=1, photometric=BLACK_IS_ZERO, tags={266: 2})
    agree(shown(tiffs.file([(tags, [_bits_reversed(part) for part in parts], tiled)]), tmp_path), expected(values))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax(compression: str, tmp_path: Path) -> None:
    values = np.round(chart(1))
    buffer = io.BytesIO()
    Image.fromarray(values[..., 0] > 0.5).save(buffer, "TIFF", compression=compression)
    agree(shown(buffer.getvalue(), tmp_path), expected(values))


def _jpeg(pixels: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, subsampling=0, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("tile", [None, 16])
def test_jpeg_inside(tile: int | None, tmp_path: Path) -> None:
    pixels = np.round(SOFT * 255).astype(np.uint8)
    tags, parts, tiled = tiffs.page(integers(SOFT, 8), bits=8, photometric=YCBCR, tile=tile, rows=16)
    sides = (16, 16) if tile else (16, SIDE)
    pieces = [
        pixels[top : top + 16, left : left + sides[1]]
        for top in range(0, SIDE, 16)
        for left in range(0, SIDE, sides[1])
    ]
    assert len(pieces) == len(parts)
    content = tiffs.file([(tags | {259: 7, 530: [1, 1]}, [_jpeg(piece) for piece in pieces], tiled)])
    agree(shown(content, tmp_path), expected(SOFT), within=8)


def test_old_jpeg_inside(tmp_path: Path) -> None:
    """Compression 6, which TIFF 6.0 had and everyone wrote differently: here with a whole JPEG, as most did."""
    pixels = np.round(SOFT * 255).astype(np.uint8)
    stream = _jpeg(pixels)
    tags, _, _ = tiffs.page(integers(SOFT, 8), bits=8, photometric=YCBCR, rows=SIDE)
    content = tiffs.file([(tags | {259: 6, 530: [1, 1], 513: 8, 514: len(stream)}, [stream], False)])
    agree(shown(content, tmp_path), expected(SOFT), within=8)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_ycbcr(subsampling: tuple[int, int], tmp_path: Path) -> None:
    """Not in JPEG: samples of a block lie together, its lightnesses before its colours."""
    across, down = subsampling
    ycc = np.asarray(Image.fromarray(np.round(SOFT * 255).astype(np.uint8)).convert("YCbCr"))
    data = b"".join(
        ycc[top : top + down, left : left + across, 0].tobytes() + ycc[top, left, 1:].tobytes()
        for top in range(0, SIDE, down)
        for left in range(0, SIDE, across)
    )
    tags, _, _ = tiffs.page(integers(SOFT, 8), bits=8, photometric=YCBCR, rows=SIDE)
    content = tiffs.file([(tags | {530: [across, down]}, [data], False)])
    agree(shown(content, tmp_path), expected(SOFT), within=8)


def _ycc(rgb: Shown) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(np.round(rgb * 255).astype(np.uint8)).convert("YCbCr"))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("planar", [1, 2])
@pytest.mark.parametrize("tile", [None, 48])
@pytest.mark.parametrize("bits", [8, 16])
def test_ycbcr_without_halved_colours(bits: int, tile: int | None, planar: int, order: str, tmp_path: Path) -> None:
    samples = _ycc(SOFT).astype(int) * (1 if bits == 8 else 257)
    content = tiff(
        samples, bits=bits, photometric=YCBCR, planar=planar, tile=tile, compression=LZW, order=ORDERS[order],
        tags={530: [1, 1]},
    )  # fmt: skip
    agree(shown(content, tmp_path), expected(SOFT), within=8)


def test_ycbcr_in_jpeg_2000(tmp_path: Path) -> None:
    """As scanners of slides write it: the codec leaves the colours to TIFF."""
    stream = imagecodecs.jpeg2k_encode(_ycc(SOFT), level=0, codecformat="j2k", mct=False, reversible=True)
    tags, _, _ = tiffs.page(integers(SOFT, 8), bits=8, photometric=YCBCR, rows=SIDE)
    agree(shown(tiffs.file([(tags | {259: 33003, 530: [2, 2]}, [stream], False)]), tmp_path), expected(SOFT), within=8)


@pytest.mark.parametrize("is_transformed", [False, True], ids=["left to TIFF", "by the codec"])
def test_aperio_says_rgb_of_its_ycbcr(is_transformed: bool, tmp_path: Path) -> None:
    pixels = np.round(SOFT * 255).astype(np.uint8) if is_transformed else _ycc(SOFT)
    stream = imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k", mct=is_transformed, reversible=True)
    tags, _, _ = tiffs.page(integers(SOFT, 8), bits=8, photometric=RGB, rows=SIDE)
    agree(shown(tiffs.file([(tags | {259: 33003}, [stream], False)]), tmp_path), expected(SOFT), within=8)


@pytest.mark.parametrize("tile", [None, 32])
def test_planes_in_jpeg(tile: int | None, tmp_path: Path) -> None:
    """As ImageMagick writes them: each a JPEG of its own, which does not name its colours."""
    tags, parts, tiled = tiffs.page(integers(SOFT, 8), bits=8, photometric=RGB, planar=2, tile=tile, rows=64)
    side, across = (tile, tile) if tile else (64, SIDE)
    pixels = np.round(SOFT * 255).astype(np.uint8)
    pieces = [
        bytes(imagecodecs.jpeg_encode(pixels[top : top + side, left : left + across, plane].copy(), level=97))
        for plane in range(3)
        for top in range(0, SIDE, side)
        for left in range(0, SIDE, across)
    ]
    assert len(pieces) == len(parts)
    bare = [piece[:2] + piece[piece.index(b"\xff\xdb") :] for piece in pieces]
    agree(shown(tiffs.file([(tags | {259: 7}, bare, tiled)]), tmp_path), expected(SOFT), within=8)


def test_lab_in_floats_fails_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(SOFT, bits=32, photometric=CIELAB, kind=3))
    with pytest.raises(ContentError, match=r"a\.tif is a TIFF with Lab in floats"):
        prepared(tmp_path / "a.tif")


def test_ycbcr_of_a_video_camera(tmp_path: Path) -> None:
    """With black, white and coefficients of its own (BT.709, 16 to 235)."""
    red, green, blue = 0.2126, 0.7152, 0.0722
    light = SOFT @ np.array([red, green, blue])
    cb, cr = (SOFT[..., 2] - light) / (2 - 2 * blue), (SOFT[..., 0] - light) / (2 - 2 * red)
    stored = np.stack([16 + 219 * light, 128 + 224 * cb, 128 + 224 * cr], axis=-1).round().astype(int)
    tags = {
        529: Fractions([(2126, 10_000), (7152, 10_000), (722, 10_000)]),
        530: [1, 1],
        532: Fractions([(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)]),
    }
    agree(shown(tiff(stored, bits=8, photometric=YCBCR, tags=tags), tmp_path), expected(SOFT), within=8)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("compression", [1, 6])
def test_ycbcr_below_a_preview(compression: int, big: bool, tmp_path: Path) -> None:
    stream = _jpeg(np.round(SOFT * 255).astype(np.uint8)) if compression == 6 else _ycc(SOFT).tobytes()
    tags, _, _ = tiffs.page(integers(SOFT, 8), bits=8, photometric=YCBCR, rows=SIDE)
    tags |= {259: compression, 530: [1, 1]} | ({513: 16, 514: len(stream)} if compression == 6 else {})
    preview = BLACK_PREVIEW[0] | {330: (tags, [stream], False)}
    pages = [(preview, *BLACK_PREVIEW[1:])]
    content = tiffs.file(pages, big=big)
    if compression == 6:  # it lies behind its preview
        tags[513] = content.index(stream)
        content = tiffs.file(pages, big=big)
    agree(shown(content, tmp_path), expected(SOFT), within=8)


def _plain(shade: float, side: int, **tags: int) -> Any:
    numbers = {int(name[1:]): value for name, value in tags.items()}
    return tiffs.page(integers(np.full((side, side, 3), shade), 8), bits=8, photometric=RGB, tags=numbers)


BLACK_PREVIEW = _plain(0.0, 16, t254=1)


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([BLACK_PREVIEW, _plain(0.8, 64)], id="a preview first"),
        pytest.param([BLACK_PREVIEW, BLACK_PREVIEW, _plain(0.8, 64, t254=0)], id="two previews first"),
        pytest.param([_plain(0.0, 16, t255=2), _plain(0.8, 64, t255=1)], id="a preview by the old tag"),
        pytest.param([_plain(0.0, 64, t254=4), _plain(0.8, 64)], id="a mask first"),
        pytest.param([_plain(0.0, 64, t262=4), _plain(0.8, 64)], id="a mask by its kind"),
        pytest.param([BLACK_PREVIEW] * 40 + [_plain(0.8, 64)], id="forty previews first"),
        pytest.param([_plain(0.8, 64), _plain(0.0, 128)], id="several pages"),
        pytest.param([_plain(0.8, 64, t254=2), _plain(0.0, 128, t254=2)], id="pages of a document"),
        pytest.param([_plain(0.8, 64, t254=1)], id="nothing but a reduced one"),
        pytest.param(
            [(BLACK_PREVIEW[0] | {330: _plain(0.8, 64)}, *BLACK_PREVIEW[1:])], id="the picture below its preview"
        ),
        pytest.param([(_plain(0.8, 64)[0] | {330: BLACK_PREVIEW}, *_plain(0.8, 64)[1:])], id="a preview below it"),
    ],
)
def test_the_picture_is_taken_and_not_its_preview(pages: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiffs.file(pages))
    result = prepared(path)
    assert (result.metadata.width, result.metadata.height) == (64, 64)
    assert np.abs(np.asarray(decoded(result.rendition)).astype(float) - 204).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, tmp_path: Path) -> None:
    stored = chart(3)[: SIDE // 2]
    content = tiff(integers(stored, 16), bits=16, photometric=RGB, planar=2, tags={274: orientation})
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    turn: dict[int, Callable[[Any], Any]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }
    wanted = turn[orientation](stored)
    result = prepared(path)
    assert (result.metadata.height, result.metadata.width) == wanted.shape[:2]
    assert result.metadata.orientation == orientation
    agree(patches(np.asarray(decoded(result.rendition))), expected(wanted))


def test_a_profile_counts_whatever_the_depth(tmp_path: Path) -> None:
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = srgb.index(b"rXYZ"), srgb.index(b"bXYZ")
    srgb[red : red + 4], srgb[blue : blue + 4] = b"bXYZ", b"rXYZ"
    for bits, planar in ((8, 1), (16, 2)):
        samples = integers(np.broadcast_to([1.0, 0.0, 0.0], (SIDE, SIDE, 3)), bits)
        content = tiff(samples, bits=bits, photometric=RGB, planar=planar, tags={34675: bytes(srgb)})
        found = shown(content, tmp_path)
        assert found[0, 0, 2] > 200
        assert found[0, 0, 0] < 60


@pytest.mark.parametrize("tags", [{256: 50_000, 257: 50_000}, {256: 65_535, 257: 65_535, 322: 65_520, 323: 65_520}])
def test_a_picture_that_claims_to_be_huge_is_refused_from_its_header(tags: dict[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(integers(chart(3), 8), bits=8, photometric=RGB, tags=tags))
    with pytest.raises(ContentError, match=r"pixels; at most 300,000,000 .*MAX_IMAGE_PIXELS"):
        prepared(path)


@pytest.mark.parametrize("photometric", [32844, 32845, 51177, 999])
def test_pixels_of_another_kind_fail_in_words(photometric: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(integers(chart(3), 16), bits=16, photometric=photometric))
    with pytest.raises(ContentError, match=r"a\.tif is a TIFF with pixels of a kind .* that nothing here decodes"):
        prepared(path)


@pytest.mark.parametrize("ink_set", [1, 2], ids=["CMYK", "other inks"])
def test_inks(ink_set: int, tmp_path: Path) -> None:
    inks = chart(4)
    content = tiff(integers(inks, 8), bits=8, photometric=SEPARATED, tags={332: ink_set})
    if ink_set == 1:
        agree(shown(content, tmp_path), expected((1 - inks[..., :3]) * (1 - inks[..., 3:])))
        return
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ContentError, match=r"a\.tif is a TIFF of inks that are not those of CMYK"):
        prepared(tmp_path / "a.tif")
