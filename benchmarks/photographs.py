"""Photographs to be timed with: seeded, and no two alike, so that nothing is known from an earlier run."""

import io
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cli.samples.dng import encode_dng

LARGE = (4000, 3000)
RAW = (5472, 3648)
PROCESSES = 2
RENDITION = (512, 384)
TILE = 500
"""Pixels: the sides of a large JPEG are multiples of it."""

Pixels = NDArray[np.uint8]


def write_large_jpegs(folder: Path, count: int, seed: int) -> list[Path]:
    """Write JPEGs of 12 megapixels, 3 to 6 MB each."""
    return _write(folder, _large_jpeg, "jpg", count, seed)


def write_small_jpegs(folder: Path, count: int, seed: int) -> list[Path]:
    """Write JPEGs of 64 x 64 pixels, about 1 KB each."""
    return _write(folder, _small_jpeg, "jpg", count, seed)


def write_renditions(folder: Path, count: int, seed: int) -> list[Path]:
    """Write JPEGs as ML gets them, about 40 KB each."""
    return _write(folder, _rendition, "jpg", count, seed)


def write_raws_with_preview(folder: Path, count: int, seed: int) -> list[Path]:
    """Write DNGs of 20 megapixels, 16 bit, 40 MB each, with an embedded JPEG of 1024 pixels."""
    return _write(folder, _raw_with_preview, "dng", count, seed)


def write_raws_without_preview(folder: Path, count: int, seed: int) -> list[Path]:
    """Write DNGs of 20 megapixels, 16 bit, 40 MB each, with nothing but the sensor's data."""
    return _write(folder, _raw_without_preview, "dng", count, seed)


def _write(folder: Path, make: Callable[[int], bytes], suffix: str, count: int, seed: int) -> list[Path]:
    folder.mkdir(parents=True)
    paths = [folder / f"{number:06d}.{suffix}" for number in range(count)]
    with ProcessPoolExecutor(PROCESSES) as pool:
        seeds = range(seed, seed + count)
        list(pool.map(_write_one, paths, repeat(make), seeds, chunksize=max(1, min(500, count // 8))))
    return paths


def _write_one(path: Path, make: Callable[[int], bytes], seed: int) -> None:
    path.write_bytes(make(seed))


def _scene(size: tuple[int, int], seed: int, grain: int) -> Pixels:
    """Return soft shapes, shape (height, width, 3), under grain of so many levels, as a sensor gives it."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256 - grain, (24, 32, 3), dtype=np.uint8))
    scene = np.array(coarse.resize(size, Image.Resampling.BILINEAR))
    if grain:
        # One tile of noise, laid over the picture: as hard for a decoder as noise that is new everywhere.
        tile = random.integers(0, grain, (TILE, 1, TILE, 1), dtype=np.uint8)
        scene.reshape(-1, TILE, size[0] // TILE, TILE, 3)[...] += tile
    return scene


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _large_jpeg(seed: int) -> bytes:
    return _jpeg(_scene(LARGE, seed, grain=24), quality=88)


def _rendition(seed: int) -> bytes:
    grain = np.random.default_rng(seed).integers(0, 24, (RENDITION[1], RENDITION[0], 1), np.uint8)
    return _jpeg(_scene(RENDITION, seed, grain=0) // 2 + grain, quality=88)


def _small_jpeg(seed: int) -> bytes:
    return _jpeg(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1), 85)


def _raw_with_preview(seed: int) -> bytes:
    return encode_dng(_scene(RAW, seed, grain=0), preview=True)


def _raw_without_preview(seed: int) -> bytes:
    return encode_dng(_scene(RAW, seed, grain=0), preview=False)
