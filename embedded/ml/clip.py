"""Models that compare pictures and texts, and a captioner, through ONNX (the extra `models`).

They are read from a folder:

    DIR/vision/     model.onnx, preprocessor_config.json (or OpenCLIP's preprocess_cfg.json)
    DIR/text/       model.onnx, tokenizer.json, tokenizer_config.json      (optional: search by text)
    DIR/captioner/  encoder.onnx, decoder.onnx, tokenizer.json,            (optional: captions)
                    preprocessor_config.json, generation_config.json
    DIR/model.json  of `darkroom models`: names the family, by whose way pictures and texts are made ready

Without `model.json` the files were put there by hand, and are believed. The captioner is described in captioner.py.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import onnxruntime
from PIL import Image

from core.errors import FatalError
from embedded.ml import caption as plain
from embedded.ml.captioner import Captioner
from embedded.ml.descriptor import Array
from embedded.ml.idle import Idle
from embedded.ml.pace import Learned, Pace, settle
from embedded.ml.providers import choose
from embedded.ml.safe_batch import SafeBatch
from embedded.ml.towers import TextTower, VisionTower, memory_errors
from embedded.ml.ways import FAMILIES
from embedded.models.manifest import MANIFEST, model_id_of, read_manifest

IDLE_SECONDS = 900.0  # after which a text encoder that nobody used is given up


class ClipModel:
    """The models of a folder. Raises FatalError that names the file that is missing or cannot be used.

    `provider` and `device_id` are ML_PROVIDER and ML_DEVICE_ID; `learned` is where it is remembered how it runs best.
    """

    def __init__(
        self,
        folder: Path,
        *,
        provider: str = "auto",
        device_id: int = 0,
        learned: Path | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        vision, text, captioner = folder / "vision", folder / "text", folder / "captioner"
        weights = vision / "model.onnx"
        if not weights.is_file():
            raise FatalError(f"{folder} has no vision/model.onnx")
        found = Learned(learned)
        device = choose(onnxruntime.get_available_providers(), provider, device_id)
        try:
            manifest = read_manifest(folder) if (folder / MANIFEST).is_file() else None
            family = FAMILIES.get(manifest.family) if manifest else None
            # Named by their content: other weights in the same folder are another model.
            self.model_id = model_id_of(folder, manifest) if manifest and family else f"clip-{_digest(weights)}"
            self._vision, pace, key = settle(
                lambda threads: VisionTower(vision, family, device, threads), found, self.model_id
            )
            self._captioner = Captioner(captioner) if captioner.is_dir() else None
            self.dimension = self._vision.embed([Image.new("RGB", (64, 64), "grey")]).shape[1]
            self._text: Idle[TextTower] | None = None
            if text.is_dir():
                self._text = Idle(lambda: TextTower(text, family, device, pace.threads), idle_seconds)
                if family is None:  # put there by hand: nobody has tried it before
                    _require_one_space(folder, self._text.get(), self.dimension)
        except FatalError:
            raise
        except Exception as error:  # Loaders raise nearly everything; whatever it is, we cannot start.
            raise FatalError(f"the models in {folder} cannot be used: {error}") from error
        self.supports_text = self._text is not None
        self.colours_from: float | None = None
        self.logit_scale = manifest.logit_scale if manifest else None
        self.logit_bias = manifest.logit_bias if manifest else None
        self.device = self._vision.device
        self.caption_model_id = caption_model_id(captioner) if self._captioner else None
        if manifest is not None and self._captioner is None:
            self.caption_model_id = plain.MODEL_ID
        self._safe_batch = SafeBatch(pace.batch, lambda size: found.put(key, Pace(threads=pace.threads, batch=size)))

    @property
    def safe_batch(self) -> int:
        """With how many images at once it runs best, and has memory for, as far as it was tried."""
        return self._safe_batch.size

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Return vectors of length 1, shape (images, dimension). Raises MemoryError where one image is too many."""
        return self._safe_batch.run(self._vision.embed, images)

    def caption(self, image: Image.Image) -> str:
        """Describe an image in a sentence."""
        if self._captioner is None:
            return plain.caption(image)
        with memory_errors():
            return self._captioner.caption(image)

    def embed_text(self, text: str) -> Array:
        """Return a vector of length 1 in the space of the images."""
        assert self._text is not None  # noqa: S101  # The protocol: only where `supports_text`.
        return self._text.get().embed(text)


def _require_one_space(folder: Path, text: TextTower, dimension: int) -> None:
    """Raise FatalError unless texts can be compared with pictures of so many dimensions."""
    if (found := text.embed("a photograph").size) != dimension:
        raise FatalError(
            f"in {folder}, text/model.onnx gives vectors of {found} dimensions and vision/model.onnx of "
            f"{dimension}: they are not of the same CLIP model."
        )


def caption_model_id(folder: Path) -> str:
    """Name a captioner by its content."""
    return f"captioner-{_digest(folder / 'decoder.onnx')}"


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:12]
