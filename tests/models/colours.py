"""A model of the family SigLIP that knows eight colours, and what has them: the sea is blue, and so is the sky.

A picture's vector is the share of each colour in it, a text's the sum of the colours of its words.
"""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from embedded.models.manifest import MANIFEST, Manifest
from tests.models.tiny_families import CONFIGS, LENGTHS, SIDE, Constants, graph

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
# What of red, green and blue (0 to 1) makes each colour, and how much it is less than that.
_MIXED = {
    "red": ((1, -1, -1), 0),
    "green": ((-1, 1, -1), 0),
    "blue": ((-1, -1, 1), 0),
    "yellow": ((1, 1, -1), -1),
    "cyan": ((-1, 1, 1), -1),
    "magenta": ((1, -1, 1), -1),
    "white": ((1, 1, 1), -2),
    "black": ((-1, -1, -1), 1),
}
MEANINGS = {
    "red": "red fire rose",
    "green": "green grass forest tree",
    "blue": "blue sea sky",
    "yellow": "yellow desert sun sand",
    "cyan": "cyan ice",
    "magenta": "magenta orchid",
    "white": "white snow",
    "black": "black night",
}
SCALE, BIAS = 4.7245, -16.772
"""As SigLIP 2 was trained: a cosine of 0.15 is as good as not."""

_PAD, _EOS, _UNKNOWN = "<pad>", "<eos>", "<unknown>"
_WORDS = [_PAD, _EOS, _UNKNOWN, *(word for words in MEANINGS.values() for word in words.split())]

ENTRY = f"""
[colours]
about = "for tests"
family = "siglip"
languages = "colours"
licence = "Apache-2.0"
notice = "Copyright 2026 Someone"
dimension = {len(COLOURS)}
logit_scale = {SCALE}
logit_bias = {BIAS}
repo = "me/colours"

[colours.files]
"vision/model.onnx" = {{ at = "vision/model.onnx" }}
"vision/preprocessor_config.json" = {{ at = "vision/preprocessor_config.json" }}
"text/model.onnx" = {{ at = "text/model.onnx" }}
"text/tokenizer.json" = {{ at = "text/tokenizer.json" }}
"""
"""For a table of models."""


def files() -> dict[str, bytes]:
    """Return the files of the model's folder by their places, without its manifest."""
    return {
        "vision/model.onnx": _vision(),
        "vision/preprocessor_config.json": json.dumps(CONFIGS["siglip"]).encode(),
        "text/model.onnx": _text(),
        "text/tokenizer.json": _tokenizer().encode(),
    }


def write(folder: Path) -> Path:
    """Write the model as `darkroom models` keeps it."""
    for name, content in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    manifest = Manifest(
        name=folder.name, family="siglip", languages="", licence="", sources={}, files={}, fetched_at="",
        dimension=len(COLOURS), logit_scale=SCALE, logit_bias=BIAS,
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


def _vision() -> bytes:
    """Return an image encoder; what it sees are pixels from -1 to 1."""
    mixed = np.array([_MIXED[colour][0] for colour in COLOURS], dtype=np.float32) / np.float32(2)
    less = np.array([_MIXED[colour][1] for colour in COLOURS], dtype=np.float32) + mixed.sum(axis=1)
    nodes = [
        helper.make_node("Conv", ["pixel_values", "mixed", "less"], ["colours"]),
        helper.make_node("Relu", ["colours"], ["shares"]),
        helper.make_node("ReduceMean", ["shares", "axes"], ["pooler_output"], keepdims=0),
    ]
    given = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    constants: Constants = {"mixed": mixed[:, :, None, None], "less": less, "axes": np.array([2, 3])}
    return graph(nodes, given, {"pooler_output": 2}, constants)


def _text() -> bytes:
    table = np.zeros((len(_WORDS), len(COLOURS)), dtype=np.float32)
    table[_WORDS.index(_UNKNOWN)] = 0.01
    for number, words in enumerate(MEANINGS.values()):
        for word in words.split():
            table[_WORDS.index(word), number] = 1.0
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceSum", ["words", "places"], ["pooler_output"], keepdims=0),
    ]
    given = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", LENGTHS["siglip"]])
    return graph(nodes, given, {"pooler_output": 2}, {"table": table, "places": np.array([1])})


def _tokenizer() -> str:
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(_WORDS)}, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())
