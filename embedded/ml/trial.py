"""Tries a model once, in a process of its own: `python -m embedded.ml.trial FOLDER` prints what it found as JSON.

A model that does not fit is told before anybody relies on it, and one that takes the process down takes only this one.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from PIL import Image

from core.errors import FatalError
from embedded.models.manifest import CAPTIONER, read_manifest
from embedded.models.shelf import Measured

SECONDS = 600.0
IMAGES = 3  # of which the fastest counts: what else the machine does is no fault of the model
ROOT = Path(__file__).resolve().parents[2]


def try_model(folder: Path) -> Measured:
    """Load a model, and use it. Raises FatalError that says why it cannot be."""
    command = [sys.executable, "-m", "embedded.ml.trial", str(folder)]
    try:
        run = subprocess.run(  # noqa: S603 - the command is our own
            command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FatalError(f"The model in {folder} did not embed a picture within {SECONDS:.0f} s.") from error
    if run.returncode:
        said = run.stderr.strip().splitlines()[-1:] or [f"the process ended with {run.returncode}"]
        raise FatalError(f"The model came whole, and cannot be used here, so it was not taken in: {said[0]}")
    return Measured.model_validate_json(run.stdout)


def _measure(folder: Path) -> Measured:
    from embedded.ml.captioner import Captioner  # noqa: PLC0415 - what is missing of the extra is told in words
    from embedded.ml.clip import ClipModel  # noqa: PLC0415 - as above

    process, manifest = psutil.Process(), read_manifest(folder)
    before = process.memory_info().rss
    dimension = None
    if manifest.family == CAPTIONER:
        captioner = Captioner(folder / CAPTIONER)
        use: Callable[[Image.Image], object] = captioner.caption
    else:
        model = ClipModel(folder)
        dimension = model.dimension
        if model.supports_text and (found := model.embed_text("a photograph").size) != dimension:
            raise FatalError(f"its texts have {found} dimensions, and its pictures {dimension}.")
        if manifest.dimension not in {None, dimension}:
            raise FatalError(f"its vectors have {dimension} dimensions, and {manifest.dimension} are expected.")

        def use(picture: Image.Image) -> object:
            return model.embed([picture])

    picture, times = Image.new("RGB", (512, 384), "grey"), []
    for _ in range(IMAGES):
        started = time.perf_counter()
        use(picture)
        times.append(time.perf_counter() - started)
    memory = max(0, process.memory_info().rss - before)
    return Measured(dimension=dimension, ms=min(times) * 1000, memory=memory)


if __name__ == "__main__":
    try:
        print(_measure(Path(sys.argv[1])).model_dump_json())  # noqa: T201 - what this program is for
    except Exception as error:  # Loaders raise nearly everything; whatever it is, the model cannot be used.
        sys.exit(str(error) or repr(error))
