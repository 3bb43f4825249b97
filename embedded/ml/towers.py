"""The two halves of a model that compares pictures and texts, through onnxruntime."""

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer

from core.errors import FatalError
from embedded.ml.descriptor import Array
from embedded.ml.parallel import in_parallel
from embedded.ml.providers import Device, started
from embedded.ml.ways import Family, TextWay, image_way

NO_MEMORY = re.compile(r"failed to allocate|out of memory|smaller than requested bytes", re.IGNORECASE)
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
TYPES |= {"tensor(int32)": np.int32}
BY_HAND = 77  # tokens, where a folder does not say
IDS, MASKS = {"input_ids", "text"}, {"attention_mask"}


class VisionTower:
    """Pictures to vectors. Several threads may ask at once: one runs the model, and others make theirs ready."""

    def __init__(self, folder: Path, family: Family | None, device: Device, threads: int) -> None:
        self._way = image_way(folder, family)
        self._session = open_session(folder / "model.onnx", device, threads)
        # Two runs at a time would share the same threads, and each take twice as long and its own memory.
        self._turn = threading.Lock()
        self.device = started(device, self._session.get_providers())
        (self._input,) = self._session.get_inputs()
        wanted = [None, 3, self._way.height, self._way.width]
        _require_shape(folder / "model.onnx", self._input, wanted)
        self._output = _output(folder / "model.onnx", self._session, family.image_outputs if family else None)

    def embed(self, images: Sequence[Image.Image]) -> Array:
        """Return vectors of length 1, shape (images, dimension). Raises MemoryError."""
        pixels = self._empty(len(images))
        for place, ready in zip(pixels, in_parallel(self._way.pixels, images), strict=True):
            place[...] = ready
        return unit(self._run(pixels))

    def run_blank(self, count: int) -> NDArray[Any]:
        """Run with so many grey images, to see how long that takes. Raises MemoryError."""
        pixels = self._empty(count)
        pixels.fill(0.5)
        return self._run(pixels)

    def _empty(self, count: int) -> NDArray[Any]:
        return np.empty((count, 3, self._way.height, self._way.width), TYPES[self._input.type])

    def _run(self, pixels: NDArray[Any]) -> NDArray[Any]:
        with self._turn, memory_errors():
            return np.asarray(self._session.run([self._output], {self._input.name: pixels})[0])


class TextTower:
    """Texts to vectors."""

    def __init__(self, folder: Path, family: Family | None, device: Device, threads: int) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._way = family.text if family else None
        if self._way is None:
            self._prepare_by_hand(folder)
        else:
            self._prepare(folder, self._way)
        self._session = open_session(folder / "model.onnx", device, threads)
        self._inputs = {given.name: given for given in self._session.get_inputs()}
        unknown = self._inputs.keys() - IDS - MASKS
        if unknown or not self._inputs.keys() & IDS:
            raise FatalError(
                f"{folder / 'model.onnx'} does not fit: it wants {', '.join(self._inputs)}, and gets tokens "
                "(input_ids) and which of them count (attention_mask)."
            )
        if self._way is not None:
            for given in self._inputs.values():
                _require_shape(folder / "model.onnx", given, [None, self._way.length])
        self._output = _output(folder / "model.onnx", self._session, family.text_outputs if family else None)

    def embed(self, text: str) -> Array:
        """Return a vector of length 1. Raises MemoryError."""
        ids, mask = self.tokens(text)
        given = {
            name: np.array([mask if name in MASKS else ids], dtype=TYPES[given.type])
            for name, given in self._inputs.items()
        }
        with memory_errors():
            return np.asarray(unit(self._session.run([self._output], given)[0])[0])

    def tokens(self, text: str) -> tuple[list[int], list[int]]:
        """Return the tokens of a text, and which of them count."""
        if self._way is None:
            encoded = self._tokenizer.encode(text)
            return list(encoded.ids), list(encoded.attention_mask)
        ids = self._tokenizer.encode(text.lower() if self._way.lower_case else text, add_special_tokens=False).ids[
            : self._way.length - len(self._start) - 1
        ]
        ids = [*self._start, *ids, self._end]
        padding = self._way.length - len(ids)
        return ids + [self._pad] * padding, [1] * len(ids) + [0] * padding

    def _prepare(self, folder: Path, way: TextWay) -> None:
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

        def number(token: str) -> int:
            found = self._tokenizer.token_to_id(token)
            if found is None:
                raise FatalError(f"{folder / 'tokenizer.json'} does not fit: it has no token {token}.")
            return int(found)

        self._start = [number(way.start)] if way.start else []
        self._end, self._pad = number(way.end), number(way.pad)

    def _prepare_by_hand(self, folder: Path) -> None:
        said = json.loads((folder / "tokenizer_config.json").read_bytes())
        self._tokenizer.enable_truncation(min(int(said.get("model_max_length", BY_HAND)), 1024))
        self._tokenizer.no_padding()


def open_session(model: Path, device: Device, threads: int) -> onnxruntime.InferenceSession:
    """Load an ONNX file, to be run by so many threads where the CPU does it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that wait take no CPU from those that work: decoders, Kafka. With no others, that costs nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(model), options, providers=list(device.providers))


@contextlib.contextmanager
def memory_errors() -> Iterator[None]:
    """Turn onnxruntime's way of running out of memory, which has no type of its own, into a MemoryError."""
    try:
        yield
    except Exception as error:
        if NO_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        raise


def unit(vectors: NDArray[Any]) -> Array:
    """Scale each vector to length 1; one of zeros stays as it is, for the reader to refuse."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return np.asarray(exact / np.where(lengths > 0.0, lengths, 1.0))


def _require_shape(model: Path, given: Any, wanted: list[int | None]) -> None:
    """Raise FatalError unless an input can have a shape: axes that a graph leaves open are names, or nothing."""
    fits = len(given.shape) == len(wanted) and all(
        want is None or not isinstance(axis, int) or axis == want
        for axis, want in zip(given.shape, wanted, strict=True)
    )
    if not fits or given.type not in TYPES:
        raise FatalError(
            f"{model} does not fit: its input {given.name} is {given.type} of shape {given.shape}, and gets {wanted}."
        )


def _output(model: Path, session: onnxruntime.InferenceSession, names: tuple[str, ...] | None) -> str:
    """Return the name of the output that holds one vector for each input."""
    found = {output.name: output for output in session.get_outputs()}
    flat = [name for name, output in found.items() if len(output.shape) == 2]
    for name in flat if names is None else names:
        if name in flat:
            return name
    raise FatalError(
        f"{model} does not fit: its outputs are {', '.join(found)}, and the vector is wanted as "
        f"{' or '.join(names) if names else 'one of two axes'}."
    )
