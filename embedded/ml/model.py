"""What the service needs from a model, and the model that needs no weights."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from embedded.ml import caption, colours, descriptor
from embedded.ml.descriptor import Array
from embedded.ml.pace import MOST


class Model(Protocol):
    """Embeds and captions RGB images. All methods are called in a thread, several at once."""

    model_id: str
    caption_model_id: str | None
    """None: it has no captioner."""
    dimension: int
    supports_text: bool
    colours_from: float | None
    """It knows texts of colour words alone: the similarity from which on a picture counts as of that colour."""
    logit_scale: float | None
    """With `logit_bias`: it was trained to give probabilities."""
    logit_bias: float | None
    device: str
    """On what it runs: `cpu`, `cuda`, ..."""

    @property
    def safe_batch(self) -> int:
        """How many images there is memory for at once."""

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Return vectors of length 1, shape (images, dimension), for one image or more. Raises MemoryError."""

    def caption(self, image: Image.Image) -> str:
        """Describe an image in a sentence. Called only where there is a `caption_model_id`."""

    def embed_text(self, text: str) -> Array | None:
        """Return a vector of length 1 that lies near those of images that show the text; None where it knows it not.

        Only if `supports_text`, or it knows colours.
        """


class VisualModel:
    """The descriptor and the plain caption."""

    model_id = descriptor.MODEL_ID
    caption_model_id: str | None = caption.MODEL_ID
    dimension = descriptor.DIMENSION
    supports_text = False
    colours_from: float | None = colours.LEAST
    logit_scale: float | None = None
    logit_bias: float | None = None
    device = "cpu"
    safe_batch = MOST

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Describe each image; shape (images, 512)."""
        return np.array([descriptor.describe(image) for image in images])

    def caption(self, image: Image.Image) -> str:
        """Name brightness, orientation and colours."""
        return caption.caption(image)

    def embed_text(self, text: str) -> Array | None:
        """Return a vector of colour words; None for all else: colours and edges know no other words."""
        return colours.vector(text)
