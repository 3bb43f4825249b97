"""A model with the captions of another: a captioner of `darkroom models`, which any model can have beside it."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from embedded.ml.captioner import Captioner
from embedded.ml.clip import caption_model_id
from embedded.ml.descriptor import Array
from embedded.ml.idle import Idle
from embedded.ml.model import Model
from embedded.ml.towers import memory_errors


class Captioned:
    """The captioner is loaded by the first caption, and given up when nobody wants one for `idle_seconds`."""

    def __init__(self, model: Model, folder: Path, idle_seconds: float) -> None:
        self._model = model
        self._captioner = Idle(lambda: Captioner(folder), idle_seconds)
        self.model_id = model.model_id
        self.caption_model_id: str | None = caption_model_id(folder)
        self.dimension = model.dimension
        self.supports_text, self.colours_from = model.supports_text, model.colours_from
        self.logit_scale, self.logit_bias = model.logit_scale, model.logit_bias
        self.device = model.device

    @property
    def safe_batch(self) -> int:
        """As the model's."""
        return self._model.safe_batch

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Embed as the model does."""
        return self._model.embed(images)

    def embed_text(self, text: str) -> Array | None:
        """Embed as the model does."""
        return self._model.embed_text(text)

    def caption(self, image: Image.Image) -> str:
        """Describe an image in a sentence."""
        with memory_errors():
            return self._captioner.get().caption(image)
