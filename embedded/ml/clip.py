"""CLIP for images and text, and a captioner, through ONNX on the CPU (the extra `models`).

Models are read from a local folder and never downloaded:

    DIR/vision/     model.onnx, preprocessor_config.json
    DIR/text/       model.onnx, tokenizer.json, tokenizer_config.json      (optional: search by text)
    DIR/captioner/  encoder.onnx, decoder.onnx, tokenizer.json,            (optional: captions)
                    preprocessor_config.json, generation_config.json

`vision` and `text` are the files of fastembed's `Qdrant/clip-ViT-B-32-vision` and `-text`; other CLIP
exports work if they have the same inputs. The captioner is described in captioner.py.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from fastembed import ImageEmbedding, TextEmbedding
from numpy.typing import NDArray
from PIL import Image

from core.errors import FatalError
from embedded.ml.captioner import Captioner
from embedded.ml.descriptor import Array

# To fastembed these names stand for what is done before and after the model; the weights come from our folder.
VISION, TEXT = "Qdrant/clip-ViT-B-32-vision", "Qdrant/clip-ViT-B-32-text"


class ClipModel:
    """The models of a folder. Raises FatalError that names the file that is missing or cannot be used."""

    def __init__(self, folder: Path) -> None:
        vision, text, captioner = folder / "vision", folder / "text", folder / "captioner"
        weights = vision / "model.onnx"
        if not weights.is_file():
            raise FatalError(f"--clip-models {folder} has no vision/model.onnx")
        try:
            self._vision = ImageEmbedding(VISION, specific_model_path=str(vision), providers=["CPUExecutionProvider"])
            self._text = (
                TextEmbedding(TEXT, specific_model_path=str(text), providers=["CPUExecutionProvider"])
                if text.is_dir()
                else None
            )
            self._captioner = Captioner(captioner) if captioner.is_dir() else None
            self.dimension = self.embed([Image.new("RGB", (64, 64), "grey")]).shape[1]
            text_dimension = self.embed_text("a photograph").size if self._text else self.dimension
        except Exception as error:  # Loaders raise nearly everything; whatever it is, we cannot start.
            raise FatalError(f"the models in {folder} cannot be used: {error}") from error
        if text_dimension != self.dimension:
            raise FatalError(
                f"in {folder}, text/model.onnx gives vectors of {text_dimension} dimensions and vision/model.onnx of "
                f"{self.dimension}: they are not of the same CLIP model."
            )
        self.supports_text = self._text is not None
        # Named by their content: other weights in the same folder are another model.
        self.model_id = f"clip-{_digest(weights)}"
        self.caption_model_id = f"captioner-{_digest(captioner / 'decoder.onnx')}" if self._captioner else None

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Return vectors of length 1, shape (images, dimension)."""
        with _memory_errors():
            return _unit(self._vision.embed(list(images), batch_size=len(images)))

    def caption(self, image: Image.Image) -> str:
        """Describe an image in a sentence."""
        assert self._captioner is not None  # noqa: S101  # The protocol: only where there is a caption_model_id.
        with _memory_errors():
            return self._captioner.caption(image)

    def embed_text(self, text: str) -> Array:
        """Return a vector of length 1 in the space of the images."""
        assert self._text is not None  # noqa: S101  # The protocol: only where `supports_text`.
        with _memory_errors():
            return np.asarray(_unit(self._text.embed([text]))[0])


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn onnxruntime's way of running out of memory, which has no type of its own, into a MemoryError."""
    try:
        yield
    except Exception as error:
        if "Failed to allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise


def _unit(vectors: Iterable[NDArray[Any]]) -> Array:
    """Scale each vector to length 1; one of zeros stays as it is, for the reader to refuse."""
    exact = np.array(list(vectors), dtype=np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.where(lengths > 0.0, lengths, 1.0))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:12]
