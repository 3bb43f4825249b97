"""Each family's own way before and after the model, against an implementation of its own in numpy.

The constants here are written down again, from the papers and the models' own configs: who changes them in the code
fails here, as they would fail nobody's run.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import FatalError
from embedded.ml.clip import ClipModel
from embedded.ml.ways import FAMILIES, image_way
from tests.models import tiny_families
from tests.models.tiny_families import DIMENSION, SIDE, WORDS

Array = NDArray[np.float64]


def picture(width: int, height: int) -> Image.Image:
    """A fixed picture with slopes, waves and a hard edge, different in each channel."""
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / width
    green = 127 + 120 * np.sin(y / 5.0)
    blue = np.where(x + y > (width + height) / 2, 230, 20)
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def triangle(x: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(x))


def cubic(x: Array) -> Array:
    """Keys' kernel with a = -0.5."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1.0
    far = -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


KERNELS = {"bilinear": (triangle, 1.0), "bicubic": (cubic, 2.0)}


def resize(pixels: Array, height: int, width: int, kernel: str) -> Array:
    """Resize by weights over all pixels that lie under the kernel, made as wide as the scale: without aliasing."""
    for axis, size in ((1, width), (0, height)):
        shape, reach = KERNELS[kernel]
        scale = pixels.shape[axis] / size
        stretch = max(scale, 1.0)
        centres = (np.arange(size) + 0.5) * scale
        distance = (np.arange(pixels.shape[axis]) + 0.5 - centres[:, None]) / stretch
        weights = np.where(np.abs(distance) < reach, shape(distance), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        pixels = np.moveaxis(np.tensordot(weights, pixels, axes=(1, axis)), 0, axis)
        pixels = np.clip(np.round(pixels), 0, 255)
    return np.asarray(pixels)


def seen_by_siglip(image: Image.Image) -> Array:
    pixels = resize(np.asarray(image, dtype=np.float64), SIDE, SIDE, "bilinear")
    return np.asarray((pixels / 255 - 0.5) / 0.5)


def seen_by_clip(image: Image.Image) -> Array:
    scale = SIDE / min(image.size)
    width, height = int(image.width * scale), int(image.height * scale)
    pixels = resize(np.asarray(image, dtype=np.float64), height, width, "bicubic")
    top, left = (height - SIDE) // 2, (width - SIDE) // 2
    pixels = pixels[top : top + SIDE, left : left + SIDE]
    mean, std = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])
    return np.asarray((pixels / 255 - mean) / std)


SEEN = {"siglip": seen_by_siglip, "clip": seen_by_clip}
EOS, SOT, EOT = (WORDS.index(token) for token in ("<eos>", "<|startoftext|>", "<|endoftext|>"))
# "A red BIRD in flight", by each family.
SPOKEN = [WORDS.index(word) for word in ("a", "red", "bird", "in", "flight")]
TOKENS = {"siglip": [*SPOKEN, EOS] + [0] * (64 - 6), "clip": [SOT, *SPOKEN, EOT] + [EOT] * (77 - 7)}
LONG = [WORDS.index("bird")] * 100
CUT = {"siglip": [*LONG[:63], EOS], "clip": [SOT, *LONG[:75], EOT]}


def of_picture(family: str, image: Image.Image) -> Array:
    seen = SEEN[family](image).transpose(2, 0, 1).reshape(-1)
    vector = seen @ tiny_families.image_weights().astype(np.float64)
    return np.asarray(vector / np.linalg.norm(vector))


def of_tokens(tokens: list[int]) -> Array:
    weights = tiny_families.text_weights(len(tokens)).astype(np.float64)
    vector = sum(weights[place, token] for place, token in enumerate(tokens))
    return np.asarray(vector / np.linalg.norm(vector))


@pytest.fixture(scope="module", params=["siglip", "clip"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_families.write(tmp_path_factory.mktemp(family) / "tiny", family)


@pytest.fixture(scope="module")
def model(folder: Path) -> ClipModel:
    return ClipModel(folder)


@pytest.mark.parametrize("size", [(60, 40), (40, 60), (33, 33), (9, 21)], ids=str)
def test_a_picture_gets_the_vector_of_its_family(model: ClipModel, family: str, size: tuple[int, int]) -> None:
    image = picture(*size)
    (vector,) = model.embed([image])
    assert vector.shape == (DIMENSION,)
    assert vector @ of_picture(family, image) > 0.9999
    other = {"siglip": "clip", "clip": "siglip"}[family]
    assert vector @ of_picture(other, image) < 0.999, "the test would not see another way"


def test_a_text_gets_the_vector_of_its_family(model: ClipModel, family: str) -> None:
    vector = model.embed_text("A red BIRD in flight")
    np.testing.assert_allclose(vector, of_tokens(TOKENS[family]), atol=1e-5)
    np.testing.assert_allclose(model.embed_text("bird " * 100), of_tokens(CUT[family]), atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_written_here_is_what_the_code_has(name: str) -> None:
    """So no constant is wrong by less than the vectors of a small picture show."""
    family, said = FAMILIES[name], tiny_families.CONFIGS[name]
    assert (list(family.mean), list(family.std)) == (said["image_mean"], said["image_std"])
    assert family.text.length == tiny_families.LENGTHS[name]


def refused(folder: Path, tmp_path: Path, file: str, content: bytes) -> str:
    wrong = shutil.copytree(folder, tmp_path / "wrong")
    (wrong / file).write_bytes(content)
    with pytest.raises(FatalError) as error:
        ClipModel(wrong).embed_text("a")
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_mean": [0.485, 0.456, 0.406]}, "does not fit: its mean is"),
        ({"image_std": [0.229, 0.224, 0.225]}, "does not fit: its std is"),
        ({"size": {"height": 32, "width": 32}, "do_center_crop": False}, "does not fit"),
        ({"image_std": "wide"}, "does not say how pictures are made ready"),
    ],
    ids=["mean", "std", "size", "nonsense"],
)
def test_a_config_of_another_family_is_refused(
    folder: Path, family: str, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    config = json.dumps(tiny_families.CONFIGS[family] | change).encode()
    message = refused(folder, tmp_path, "vision/preprocessor_config.json", config)
    assert said in message
    assert "wrong/vision/" in message


def test_weights_of_another_family_are_refused(folder: Path, family: str, tmp_path: Path) -> None:
    other = "something_else" if family == "siglip" else "pooler_output"
    assert "the vector is wanted as" in refused(folder, tmp_path, "vision/model.onnx", tiny_families.vision(other))


def test_a_tokenizer_of_another_family_is_refused(folder: Path, family: str, tmp_path: Path) -> None:
    end = FAMILIES[family].text.end
    tokenizer = tiny_families.files(family)["text/tokenizer.json"].replace(end.encode(), b"other")
    assert f"tokenizer.json does not fit: it has no token {end}" in refused(
        folder, tmp_path, "text/tokenizer.json", tokenizer
    )


def test_the_form_of_openclip_is_read_too(tmp_path: Path) -> None:
    said = {"size": [256, 256], "mode": "RGB", "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    (tmp_path / "preprocess_cfg.json").write_text(json.dumps(said | {"resize_mode": "squash"}))
    way = image_way(tmp_path, FAMILIES["siglip"])
    assert (way.height, way.width, way.shorter, way.resample) == (256, 256, None, Image.Resampling.BICUBIC)


def test_a_shorter_side_that_is_not_the_cut_is_kept(tmp_path: Path) -> None:
    said = tiny_families.CONFIGS["clip"] | {"size": {"shortest_edge": 20}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    image = picture(20, 30)
    pixels = image_way(tmp_path, None).pixels(image)
    raw = np.asarray(image, dtype=np.float64)[7:23, 2:18] / 255
    expected = (raw - np.array(said["image_mean"])) / np.array(said["image_std"])
    np.testing.assert_allclose(pixels, expected.transpose(2, 0, 1), atol=1e-5)


def test_a_text_encoder_takes_memory_only_while_it_is_used(folder: Path) -> None:
    model = ClipModel(folder, idle_seconds=0.05)
    assert model._text is not None
    assert model.supports_text
    assert not model._text.is_there
    before = model.embed_text("a red bird")
    while model._text.is_there:
        pass
    np.testing.assert_array_equal(model.embed_text("a red bird"), before)
