"""PNGs of every colour type, depth and transparency."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.imaging.pngs import chunk, png
from tests.unit.imaging.preparing import colour, decoded, prepared
from tests.unit.imaging.test_pixels import near

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
WHITE = (255, 255, 255)
KINDS = [
    (GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (GREY, 16), (RGB, 8), (RGB, 16), (PALETTE, 1), (PALETTE, 2),
    (PALETTE, 4), (PALETTE, 8), (GREY_ALPHA, 8), (GREY_ALPHA, 16), (RGB_ALPHA, 8), (RGB_ALPHA, 16),
]  # fmt: skip


def halves(left: list[int], right: list[int]) -> NDArray[Any]:
    """Return samples of two colours side by side."""
    return np.stack([np.array(left)] * 64 + [np.array(right)] * 64)[None].repeat(64, 0)


def shown(content: bytes, tmp_path: Path) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    image = decoded(prepared(path).rendition)
    return colour(image, 0.25, 0.5), colour(image, 0.75, 0.5)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("kind", "depth"), KINDS)
def test_all_kinds(kind: int, depth: int, transparent: bool, tmp_path: Path) -> None:
    """Two colours side by side; where one is transparent, it is the left one."""
    full = (1 << depth) - 1
    low, high = (0, 1) if depth == 1 else (full // 3, full * 2 // 3)
    left_grey, right_grey = round(low * 255 / full), round(high * 255 / full)
    left, right = (left_grey,) * 3, (right_grey,) * 3
    chunks = []
    if kind in {GREY, RGB}:
        samples = halves([low] * (1 if kind == GREY else 3), [high] * (1 if kind == GREY else 3))
        if transparent:
            chunks = [chunk(b"tRNS", struct.pack(f">{samples.shape[2]}H", *samples[0, 0]))]
    elif kind == PALETTE:
        samples = halves([low], [high])
        left, right = (200, 40, 40), (40, 40, 200)
        palette = bytearray(3 * (full + 1))
        palette[3 * low : 3 * low + 3], palette[3 * high : 3 * high + 3] = bytes(left), bytes(right)
        chunks = [chunk(b"PLTE", bytes(palette))]
        if transparent:
            chunks.append(chunk(b"tRNS", bytes(0 if one == low else 255 for one in range(full + 1))))
    else:
        colours = 1 if kind == GREY_ALPHA else 3
        samples = halves([low] * colours + [0 if transparent else full], [high] * colours + [full])
    found = shown(png(samples, depth, kind, *chunks), tmp_path)
    assert near(found[0], WHITE if transparent else left, within=9)
    assert near(found[1], right, within=9)


def test_a_transparent_colour_of_16_bits_is_that_one_alone(tmp_path: Path) -> None:
    """Its neighbour, which has the same high bytes, is opaque."""
    for kind, count in ((GREY, 1), (RGB, 3)):
        samples = halves([21_845] * count, [21_846] * count)
        clear = chunk(b"tRNS", struct.pack(f">{count}H", *samples[0, 0]))
        left, right = shown(png(samples, 16, kind, clear), tmp_path)
        assert near(left, WHITE)
        assert near(right, (85, 85, 85))


@pytest.mark.parametrize("depth", [8, 16])
def test_what_is_half_transparent(depth: int, tmp_path: Path) -> None:
    full = (1 << depth) - 1
    samples = halves([0, 0, 0, full // 2], [full, 0, 0, full // 2])
    left, right = shown(png(samples, depth, RGB_ALPHA), tmp_path)
    assert near(left, (128, 128, 128))
    assert near(right, (255, 128, 128))
