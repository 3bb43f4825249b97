"""Models of each family, of a few weights, that let everything show which is done before them.

A vector is a weighted sum of all pixels, or of all tokens by their places: another resize, mean, padding or order of
tokens is another vector. The weights are drawn by a seed, so that an independent implementation has them too.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

Constants = dict[str, NDArray[np.float32] | NDArray[np.int64]]

SIDE, DIMENSION = 16, 24
WORDS = ["<pad>", "<eos>", "<|startoftext|>", "<|endoftext|>", "a", "red", "bird", "in", "flight", "unknown"]
LENGTHS = {"siglip": 64, "clip": 77}
CONFIGS: dict[str, dict[str, object]] = {
    "siglip": {
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    },
    "clip": {
        "do_resize": True,
        "size": {"shortest_edge": SIDE},
        "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    },
}
OUTPUTS = {"siglip": ("pooler_output", "pooler_output"), "clip": ("image_embeds", "text_embeds")}


def image_weights() -> NDArray[np.float32]:
    """Return shape (pixels and channels, dimension)."""
    weights = np.random.default_rng(11).normal(size=(3 * SIDE * SIDE, DIMENSION)) / SIDE
    return weights.astype(np.float32)


def text_weights(length: int) -> NDArray[np.float32]:
    """Return shape (places, words, dimension)."""
    return np.random.default_rng(13).normal(size=(length, len(WORDS), DIMENSION)).astype(np.float32)


def files(family: str) -> dict[str, bytes]:
    """Return the files of a model's folder by their places, without its manifest."""
    image, text = OUTPUTS[family]
    return {
        "vision/model.onnx": vision(image),
        "vision/preprocessor_config.json": json.dumps(CONFIGS[family]).encode(),
        "text/model.onnx": _text(text, LENGTHS[family]),
        "text/tokenizer.json": _tokenizer().encode(),
    }


def write(folder: Path, family: str) -> Path:
    """Write a model as `darkroom models` keeps it."""
    for name, content in files(family).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    manifest: dict[str, object] = {
        "name": folder.name,
        "family": family,
        "languages": "",
        "licence": "MIT",
        "fetched_at": "",
    }
    if family == "siglip":
        manifest |= {"logit_scale": 4.7245, "logit_bias": -16.772}
    (folder / "model.json").write_text(json.dumps(manifest | {"sources": {}, "files": {}}))
    return folder


def vision(output: str) -> bytes:
    """Return an image encoder; beside the vector it has what models of this kind have beside it."""
    nodes = [
        helper.make_node("Flatten", ["pixel_values"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], [output]),
        helper.make_node("Identity", ["pixel_values"], ["last_hidden_state"]),
    ]
    given = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    return graph(nodes, given, {"last_hidden_state": 4, output: 2}, {"weights": image_weights()})


def _text(output: str, length: int) -> bytes:
    """Return a text encoder: a table for each place, looked up by the token there."""
    table = text_weights(length).reshape(length * len(WORDS), DIMENSION)
    offsets = np.arange(length, dtype=np.int64) * len(WORDS)
    nodes = [
        helper.make_node("Add", ["input_ids", "offsets"], ["rows"]),
        helper.make_node("Gather", ["table", "rows"], ["last_hidden_state"]),
        helper.make_node("ReduceSum", ["last_hidden_state", "places"], [output], keepdims=0),
    ]
    given = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", length])
    constants: Constants = {"table": table, "offsets": offsets, "places": np.array([1])}
    return graph(nodes, given, {"last_hidden_state": 3, output: 2}, constants)


def _tokenizer() -> str:
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="unknown"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return str(tokenizer.to_str())


def graph(
    nodes: list[onnx.NodeProto],
    given: onnx.ValueInfoProto,
    outputs: dict[str, int],
    constants: Constants,
) -> bytes:
    """Return an ONNX file; `outputs` (float) are name -> number of axes."""
    made = helper.make_graph(
        nodes,
        "tiny",
        [given],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * axes) for name, axes in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())
