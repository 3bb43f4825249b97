"""A vision transformer of the real shape, ViT-B/16 at 224 pixels, with weights that are drawn: 86 million, 344 MB."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from embedded.models.manifest import MANIFEST, Manifest

SIDE, PATCH, WIDTH, HEADS, LAYERS, INNER = 224, 16, 768, 12, 12, 3072
PATCHES = (SIDE // PATCH) ** 2
HEAD = WIDTH // HEADS
OPSET, IR = 20, 9


def write(folder: Path, seed: int) -> None:
    """Write a model as `darkroom models` keeps it, of the family of the one that is fetched by default."""
    vision = folder / "vision"
    vision.mkdir(parents=True)
    onnx.save(_Graph(seed).model(), vision / "model.onnx")
    (vision / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "size": {"height": SIDE, "width": SIDE},
                "resample": 2,
                "do_normalize": True,
                "image_mean": [0.5] * 3,
                "image_std": [0.5] * 3,
            }
        )
    )
    manifest = Manifest(
        name=folder.name,
        family="siglip",
        languages="",
        licence="",
        sources={},
        files={},
        fetched_at="",
        dimension=WIDTH,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())


class _Graph:
    """Puts the graph together; each value has a name of its own."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        """Return the whole: patches, twelve layers, the mean of what comes out."""
        patches = self._apply("Conv", "pixel_values", self._drawn(WIDTH, 3, PATCH, PATCH), strides=[PATCH, PATCH])
        flat = self._apply("Reshape", patches, self._whole_numbers(0, WIDTH, PATCHES))
        seen = self._apply("Add", self._apply("Transpose", flat, perm=[0, 2, 1]), self._drawn(1, PATCHES, WIDTH))
        for _ in range(LAYERS):
            seen = self._apply("Add", seen, self._attention(self._normalised(seen)))
            seen = self._apply("Add", seen, self._perceptron(self._normalised(seen)))
        last = self._normalised(seen)
        self._nodes.append(
            helper.make_node("ReduceMean", [last, self._whole_numbers(1)], ["pooler_output"], keepdims=0)
        )
        graph = helper.make_graph(
            self._nodes,
            "vit-b-16",
            [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
            [helper.make_tensor_value_info("pooler_output", TensorProto.FLOAT, ["batch", WIDTH])],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)

    def _attention(self, seen: str) -> str:
        query, key, value = (self._heads(self._linear(seen, WIDTH, WIDTH)) for _ in range(3))
        turned = self._apply("Transpose", key, perm=[0, 1, 3, 2])
        scores = self._apply("Mul", self._apply("MatMul", query, turned), self._number(HEAD**-0.5))
        mixed = self._apply("MatMul", self._apply("Softmax", scores, axis=-1), value)
        together = self._apply("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = self._apply("Reshape", together, self._whole_numbers(0, PATCHES, WIDTH))
        return self._linear(flat, WIDTH, WIDTH)

    def _heads(self, seen: str) -> str:
        split = self._apply("Reshape", seen, self._whole_numbers(0, PATCHES, HEADS, HEAD))
        return self._apply("Transpose", split, perm=[0, 2, 1, 3])

    def _perceptron(self, seen: str) -> str:
        wide = self._apply("Gelu", self._linear(seen, WIDTH, INNER), approximate="tanh")
        return self._linear(wide, INNER, WIDTH)

    def _linear(self, seen: str, given: int, made: int) -> str:
        return self._apply("Add", self._apply("MatMul", seen, self._drawn(given, made)), self._drawn(made))

    def _normalised(self, seen: str) -> str:
        scale = self._weight(np.ones(WIDTH, dtype=np.float32))
        return self._apply("LayerNormalization", seen, scale, self._drawn(WIDTH), axis=-1)

    def _apply(self, operation: str, *inputs: str, **attributes: Any) -> str:
        name = f"value-{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [name], **attributes))
        return name

    def _drawn(self, *shape: int) -> str:
        return self._weight(self._random.standard_normal(shape, dtype=np.float32) * np.float32(0.02))

    def _whole_numbers(self, *numbers: int) -> str:
        return self._weight(np.array(numbers, dtype=np.int64))

    def _number(self, number: float) -> str:
        return self._weight(np.array(number, dtype=np.float32))

    def _weight(self, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = f"weight-{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name
