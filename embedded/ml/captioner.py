"""An image captioner through ONNX: an encoder, and a decoder that is asked for one token at a time.

Its folder, as optimum exports vision-encoder-decoder models:

    encoder.onnx              pixel_values (1, 3, height, width) -> hidden states (1, n, width of the model)
    decoder.onnx              input_ids (1, m), encoder_hidden_states -> logits (1, m, vocabulary)
    tokenizer.json
    preprocessor_config.json  size, image_mean, image_std, resample
    generation_config.json    decoder_start_token_id, eos_token_id
"""

from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from pydantic import BaseModel
from tokenizers import Tokenizer

from embedded.ml.pace import usable_cpus
from embedded.ml.providers import CPU
from embedded.ml.towers import open_session
from embedded.ml.ways import image_way

MAX_TOKENS = 40  # A caption that has not ended by then is cut off.


class _Generation(BaseModel):
    decoder_start_token_id: int
    eos_token_id: int


class Captioner:
    """The captioner of a folder. Raises what its loaders raise for a missing or broken file."""

    def __init__(self, folder: Path) -> None:
        self._encoder = _session(folder / "encoder.onnx")
        self._decoder = _session(folder / "decoder.onnx")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._way = image_way(folder, None)
        self._generation = _Generation.model_validate_json((folder / "generation_config.json").read_bytes())

    def caption(self, image: Image.Image) -> str:
        """Describe an RGB image, taking the likeliest token each time."""
        (hidden, *_) = self._encoder.run(None, {"pixel_values": self._way.pixels(image)[None]})
        tokens = [self._generation.decoder_start_token_id]
        while len(tokens) <= MAX_TOKENS:
            so_far = np.array([tokens], dtype=np.int64)
            (logits,) = self._decoder.run(["logits"], {"input_ids": so_far, "encoder_hidden_states": hidden})
            token = int(logits[0, -1].argmax())
            if token == self._generation.eos_token_id:
                break
            tokens.append(token)
        return str(self._tokenizer.decode(tokens[1:], skip_special_tokens=True)).strip()


def _session(model: Path) -> onnxruntime.InferenceSession:
    return open_session(model, CPU, usable_cpus())
