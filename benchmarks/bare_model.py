"""The same work without Darkroom: read renditions, and run the model over them in batches, one after the other.

    python -m benchmarks.bare_model MODEL RENDITIONS BATCH

prints JSON: the seconds from the first rendition to the last vector, the peak of memory in bytes, and the vector of
the first rendition. onnxruntime has its own number of threads.
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from benchmarks.vit import SIDE

Floats = NDArray[np.float32]


def main() -> None:
    """Time the loop over a folder; the model is loaded, and was used, before."""
    model, renditions, batch = Path(sys.argv[1]), sorted(Path(sys.argv[2]).iterdir()), int(sys.argv[3])
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])

    def run(paths: list[Path]) -> Floats:
        (vectors,) = session.run(None, {"pixel_values": np.stack([pixels(path) for path in paths])})
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    run(renditions[:batch])
    begin = time.perf_counter()
    vectors = np.concatenate([run(renditions[first : first + batch]) for first in range(0, len(renditions), batch)])
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    json.dump({"seconds": seconds, "peak": peak, "vector": vectors[0].tolist()}, sys.stdout)


def pixels(path: Path) -> Floats:
    """Decode a rendition and make it ready."""
    image = Image.open(path).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return (np.asarray(image, dtype=np.float32) / 127.5 - 1).transpose(2, 0, 1)


if __name__ == "__main__":
    main()
