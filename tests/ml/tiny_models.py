"""CLIP and a captioner of a few weights, whose answers can be told in advance.

An image's vector is its mean colour; a text's is the mean of its colour words; the captioner says
`a <colour> picture`.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

SIDE = 8  # pixels
WORDS = ["<pad>", "<start>", "<end>", "a", "red", "green", "blue", "picture"]
COLOURS = {"red": 0, "green": 1, "blue": 2}


def write(folder: Path) -> Path:
    """Write all three models below the folder, and return it."""
    write_vision(folder / "vision")
    _write_text(folder / "text")
    _write_captioner(folder / "captioner")
    return folder


def write_vision(folder: Path, dimension: int = 3) -> None:
    """Write the image encoder; dimensions above three stay zero."""
    means = _node("ReduceMean", ["pixel_values", "axes"], ["means"], keepdims=0)
    widen = _node("MatMul", ["means", "widen"], ["image_embeds"])
    constants = {"axes": np.array([2, 3]), "widen": np.eye(3, dimension, dtype=np.float32)}
    _save(folder / "model.onnx", [means, widen], {"pixel_values": ("float", 4)}, {"image_embeds": 2}, constants)
    size = {"height": SIDE, "width": SIDE}
    _json(folder / "preprocessor_config.json", {"do_resize": True, "size": size, "do_rescale": True})


def write_hungry_vision(folder: Path) -> None:
    """Write an image encoder that has memory for one image at a time: a second one wants 16 TiB."""
    write_vision(folder)
    nodes = [
        _node("Shape", ["pixel_values"], ["batch"], start=0, end=1),
        _node("Sub", ["batch", "one"], ["too_many"]),
        _node("Mul", ["too_many", "huge"], ["wanted"]),
        _node("ConstantOfShape", ["wanted"], ["zeros"]),
        _node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        _node("ReduceMean", ["pixel_values", "axes"], ["means"], keepdims=0),
        _node("Add", ["means", "zero"], ["image_embeds"]),
    ]
    constants = {"one": np.array([1]), "huge": np.array([1 << 42]), "axes": np.array([2, 3])}
    _save(folder / "model.onnx", nodes, {"pixel_values": ("float", 4)}, {"image_embeds": 2}, constants)


def _write_text(folder: Path) -> None:
    table = np.full((len(WORDS), 3), 0.01, dtype=np.float32)
    for colour, channel in COLOURS.items():
        table[WORDS.index(colour), channel] = 2.0
    gather = _node("Gather", ["table", "input_ids"], ["words"])
    mean = _node("ReduceMean", ["words", "axes"], ["text_embeds"], keepdims=0)
    constants = {"table": table, "axes": np.array([1])}
    _save(folder / "model.onnx", [gather, mean], {"input_ids": ("int64", 2)}, {"text_embeds": 2}, constants)
    _write_tokenizer(folder)
    _json(folder / "tokenizer_config.json", {"model_max_length": 77, "pad_token": "<pad>"})


def _write_captioner(folder: Path) -> None:
    mean = _node("ReduceMean", ["pixel_values", "axes"], ["means"], keepdims=0)
    token = _node("Unsqueeze", ["means", "one"], ["last_hidden_state"])
    constants = {"axes": np.array([2, 3]), "one": np.array([1])}
    _save(folder / "encoder.onnx", [mean, token], {"pixel_values": ("float", 4)}, {"last_hidden_state": 3}, constants)

    follows = np.zeros((len(WORDS), len(WORDS)), dtype=np.float32)
    for word, then in (("<start>", "a"), *((colour, "picture") for colour in COLOURS), ("picture", "<end>")):
        follows[WORDS.index(word), WORDS.index(then)] = 10.0
    leaning = np.zeros((3, len(WORDS)), dtype=np.float32)
    for colour, channel in COLOURS.items():
        leaning[channel, WORDS.index(colour)] = 1.0
    gather = _node("Gather", ["follows", "input_ids"], ["likely"])
    lean = _node("MatMul", ["encoder_hidden_states", "leaning"], ["bias"])
    add = _node("Add", ["likely", "bias"], ["logits"])
    inputs = {"input_ids": ("int64", 2), "encoder_hidden_states": ("float", 3)}
    constants = {"follows": follows, "leaning": leaning}
    _save(folder / "decoder.onnx", [gather, lean, add], inputs, {"logits": 3}, constants)
    _write_tokenizer(folder)
    _json(
        folder / "preprocessor_config.json",
        {"size": {"height": SIDE, "width": SIDE}, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]},
    )
    start, end = WORDS.index("<start>"), WORDS.index("<end>")
    _json(folder / "generation_config.json", {"decoder_start_token_id": start, "eos_token_id": end})


def _write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def _node(operation: str, inputs: list[str], outputs: list[str], **attributes: int) -> onnx.NodeProto:
    node = helper.make_node(operation, inputs, outputs)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def _save(
    file: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[str, int]],
    outputs: dict[str, int],
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]],
) -> None:
    """Write a graph; inputs are name -> (type, number of axes), outputs (float) name -> number of axes."""
    types = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, types[kind], [None] * axes) for name, (kind, axes) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * axes) for name, axes in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)


def _json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))
