"""TIFFs look as ImageMagick and vips show them, which read them by libtiff."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.imaging.test_tiff import agree, patches, shown
from tests.unit.imaging.tiffs import (
    BLACK_IS_ZERO,
    CIELAB,
    DEFLATE,
    LZW,
    PALETTE,
    RGB,
    SEPARATED,
    SIDE,
    WHITE_IS_ZERO,
    chart,
    integers,
    tiff,
)

pytestmark = pytest.mark.system

KINDS: dict[str, dict[str, Any]] = {
    "grey 1": {"bits": 1, "photometric": BLACK_IS_ZERO},
    "grey 4": {"bits": 4, "photometric": BLACK_IS_ZERO},
    "grey 8": {"bits": 8, "photometric": WHITE_IS_ZERO},
    "grey 12": {"bits": 12, "photometric": BLACK_IS_ZERO},
    "grey 16": {"bits": 16, "photometric": WHITE_IS_ZERO},
    "grey 32": {"bits": 32, "photometric": BLACK_IS_ZERO},
    "colours 8": {"bits": 8, "photometric": RGB, "compression": LZW, "predictor": 2},
    "colours 16": {"bits": 16, "photometric": RGB, "compression": DEFLATE, "order": ">"},
    "colours 16 apart": {"bits": 16, "photometric": RGB, "planar": 2},
    "colours 16 in tiles": {"bits": 16, "photometric": RGB, "tile": 32, "order": ">"},
    "big": {"bits": 16, "photometric": RGB, "big": True},
    "palette 4": {"bits": 4, "photometric": PALETTE, "tags": {320: np.arange(48) * 1365}},
    "cmyk 8": {"bits": 8, "photometric": SEPARATED},
    "cmyk 16": {"bits": 16, "photometric": SEPARATED},
    "lab 8": {"bits": 8, "photometric": CIELAB},
}
FLOATS: dict[str, dict[str, Any]] = {
    "grey 32": {"bits": 32, "photometric": BLACK_IS_ZERO},
    "colours 16": {"bits": 16, "photometric": RGB},
    "colours 32": {"bits": 32, "photometric": RGB, "compression": DEFLATE, "predictor": 3},
    "colours 32 apart": {"bits": 32, "photometric": RGB, "planar": 2, "order": ">"},
}
_CHANNELS = {RGB: 3, SEPARATED: 4, CIELAB: 3}


def magick(path: Path) -> np.ndarray[Any, Any]:
    command = ["convert", f"{path}[0]", "-colorspace", "sRGB", "-depth", "8", "rgb:-"]
    found = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(found, np.uint8).reshape(SIDE, SIDE, 3)


def vips(path: Path) -> np.ndarray[Any, Any]:
    shown_path = path.with_suffix(".ppm")
    subprocess.run(["vips", "colourspace", path, shown_path, "srgb"], capture_output=True, check=True)
    return magick(shown_path)


@pytest.mark.parametrize("kind", KINDS)
def test_integers(kind: str, tmp_path: Path) -> None:
    options = dict(KINDS[kind])
    photometric = options["photometric"]
    values = chart(_CHANNELS.get(photometric, 1))
    if photometric == CIELAB:
        values = values * 0.2 + [0.4, 0.0, 0.0]
    content = tiff(integers(np.round(values) if options["bits"] == 1 else values, options["bits"]), **options)
    found = shown(content, tmp_path)
    agree(found, patches(magick(tmp_path / "a.tif")), within=10)
    if photometric in {RGB, BLACK_IS_ZERO, WHITE_IS_ZERO} and options["bits"] in {8, 16} and "planar" not in options:
        agree(found, patches(vips(tmp_path / "a.tif")), within=10)


@pytest.mark.parametrize("kind", FLOATS)
def test_floats(kind: str, tmp_path: Path) -> None:
    options = FLOATS[kind]
    content = tiff(chart(3 if options["photometric"] == RGB else 1), kind=3, **options)
    agree(shown(content, tmp_path), patches(magick(tmp_path / "a.tif")))
