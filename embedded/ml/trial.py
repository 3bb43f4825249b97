"""Tries a model once, in a process of its own: `python -m embedded.ml.trial FOLDER [LEARNED]` prints it as JSON.

How it runs best on this machine goes to the file LEARNED, where the service finds it. A model that does not fit is
told before anybody relies on it, and one that takes the process down takes only this one.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from PIL import Image

from core import settings as environment
from core.errors import FatalError
from embedded.models.manifest import CAPTIONER, read_manifest
from embedded.models.shelf import Measured

SECONDS = 600.0
TIMES = 2  # of which the faster counts: what else the machine does is no fault of the model
ROOT = Path(__file__).resolve().parents[2]


def try_model(folder: Path, learned: Path | None = None) -> Measured:
    """Load a model, and use it. Raises FatalError that says why it cannot be."""
    command = [sys.executable, "-m", "embedded.ml.trial", str(folder), *([] if learned is None else [str(learned)])]
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


def _measure(folder: Path, learned: Path | None) -> Measured:
    from embedded.ml.captioner import Captioner  # noqa: PLC0415 - what is missing of the extra is told in words
    from embedded.ml.clip import ClipModel  # noqa: PLC0415 - as above

    process, manifest = psutil.Process(), read_manifest(folder)
    before = process.memory_info().rss
    dimension, at_once = None, 1
    if manifest.family == CAPTIONER:
        captioner = Captioner(folder / CAPTIONER)

        def use(pictures: Sequence[Image.Image]) -> object:
            return captioner.caption(*pictures)

    else:
        settings = environment.load()
        model = ClipModel(folder, provider=settings.ml_provider, device_id=settings.ml_device_id, learned=learned)
        dimension, at_once = model.dimension, model.safe_batch
        if model.supports_text and (found := model.embed_text("a photograph").size) != dimension:
            raise FatalError(f"its texts have {found} dimensions, and its pictures {dimension}.")
        if manifest.dimension not in {None, dimension}:
            raise FatalError(f"its vectors have {dimension} dimensions, and {manifest.dimension} are expected.")

        def use(pictures: Sequence[Image.Image]) -> object:
            return model.embed(pictures)

    pictures, times = [Image.new("RGB", (512, 384), "grey")] * at_once, []
    for _ in range(TIMES):
        started = time.perf_counter()
        use(pictures)
        times.append(time.perf_counter() - started)
    memory = max(0, process.memory_info().rss - before)
    return Measured(dimension=dimension, ms=min(times) / at_once * 1000, memory=memory)


if __name__ == "__main__":
    try:
        folder, *learned = map(Path, sys.argv[1:])
        print(_measure(folder, next(iter(learned), None)).model_dump_json())  # noqa: T201 - what this program is for
    except Exception as error:  # Loaders raise nearly everything; whatever it is, the model cannot be used.
        sys.exit(str(error) or repr(error))
