"""The extra `models`, with tiny ONNX models whose answers are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import FatalError
from embedded.ml.clip import ClipModel
from embedded.ml.descriptor import Array
from embedded.ml.safe_batch import SafeBatch
from tests.ml import tiny_models

RED, BLUE = (Image.new("RGB", (40, 30), colour) for colour in ("red", "blue"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def model(folder: Path) -> ClipModel:
    return ClipModel(folder)


def test_images_get_the_vectors_of_the_image_encoder(model: ClipModel) -> None:
    assert model.dimension == 3
    np.testing.assert_allclose(model.embed([RED, BLUE]), [[1, 0, 0], [0, 0, 1]], atol=1e-6)


def test_a_text_lies_nearest_to_the_image_that_shows_it(model: ClipModel) -> None:
    assert model.supports_text
    text = model.embed_text("a blue picture")
    assert np.linalg.norm(text) == pytest.approx(1)
    red, blue = model.embed([RED, BLUE]) @ text
    assert blue > 0.99 > red


def test_the_captioner_says_what_it_sees_and_stops(model: ClipModel) -> None:
    assert model.caption(RED) == "a red picture"
    assert model.caption(BLUE) == "a blue picture"


def test_a_captioner_that_never_ends_is_cut_off(model: ClipModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.ml.captioner.MAX_TOKENS", 2)
    assert model.caption(RED) == "a red"


def test_text_encoder_and_captioner_are_optional(tmp_path: Path) -> None:
    tiny_models.write_vision(tmp_path / "vision")
    model = ClipModel(tmp_path)
    assert (model.supports_text, model.caption_model_id) == (False, None)


def test_other_weights_are_another_model(model: ClipModel, tmp_path: Path) -> None:
    tiny_models.write_vision(tmp_path / "vision", dimension=4)
    assert ClipModel(tmp_path).model_id != model.model_id
    assert ClipModel(tmp_path).model_id == ClipModel(tmp_path).model_id


def test_how_many_there_is_memory_for_is_found_by_trying_and_remembered(tmp_path: Path) -> None:
    tiny_models.write_hungry_vision(tmp_path / "vision")
    learned = tmp_path / "learned"
    model = ClipModel(tmp_path, learned=learned)
    assert model.safe_batch == 1
    np.testing.assert_allclose(model.embed([RED, BLUE, RED]), [[1, 0, 0], [0, 0, 1], [1, 0, 0]], atol=1e-6)
    before = learned.read_bytes()
    assert ClipModel(tmp_path, learned=learned).safe_batch == 1
    assert learned.read_bytes() == before


def test_a_batch_that_there_is_no_memory_for_any_more_is_halved_once_and_for_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = tmp_path / "learned"
    model = ClipModel(folder, learned=learned)
    assert model.safe_batch == 32
    embed = model._vision.embed

    def embed_with_little(images: Sequence[Image.Image]) -> Array:
        if len(images) > 2:
            raise MemoryError
        return embed(images)

    monkeypatch.setattr(model._vision, "embed", embed_with_little)
    np.testing.assert_allclose(model.embed([RED, BLUE, RED, BLUE, BLUE])[-2:], [[0, 0, 1], [0, 0, 1]], atol=1e-6)
    assert model.safe_batch == 2
    assert ClipModel(folder, learned=learned).safe_batch == 2, "it is remembered"


def test_a_picture_that_there_is_no_memory_for_is_a_memory_error() -> None:
    def embed(images: Sequence[Image.Image]) -> Array:
        raise MemoryError

    told: list[int] = []
    batch = SafeBatch(8, told.append)
    with pytest.raises(MemoryError):
        batch.run(embed, [RED, BLUE])
    assert (batch.size, told) == (1, [1])


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"vision/model\.onnx"):
        ClipModel(tmp_path)


@pytest.mark.parametrize("name", ["vision/model.onnx", "text/tokenizer.json", "captioner/decoder.onnx"])
def test_a_broken_file_stops_the_start_and_is_named(tmp_path: Path, name: str) -> None:
    tiny_models.write(tmp_path)
    (tmp_path / name).write_bytes(b"not a model")
    with pytest.raises(FatalError, match="cannot be used"):
        ClipModel(tmp_path)


def test_encoders_of_different_models_are_noticed(tmp_path: Path) -> None:
    tiny_models.write(tmp_path)
    tiny_models.write_vision(tmp_path / "vision", dimension=4)
    with pytest.raises(FatalError, match="not of the same CLIP model"):
        ClipModel(tmp_path)
