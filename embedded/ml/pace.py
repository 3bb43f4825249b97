"""How a model runs fastest here: on how many threads, and with how many images at once. Tried once, and remembered."""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import psutil
from pydantic import BaseModel, Field, TypeAdapter

FEWEST, MOST = 8, 32  # images at once; a message to embed has up to 8, which are best asked about together
GAIN = 0.03  # of the time of an image: what is gained by less is not worth the memory, and the wait of a search
REQUEST_SECONDS = 0.01  # that a request to the service takes beside its images
BUDGET_SECONDS = 30.0  # a larger batch is not tried where that would take longer
TURNS = 3
MEASURE_SECONDS = 0.3  # of runs that take less there are several
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use of the CPUs: microseconds of so many, or `max`."""

log = logging.getLogger("darkroom.ml")


class Pace(BaseModel):
    """How a model runs best, `batch` images at once."""

    threads: int = Field(ge=1)
    batch: int = Field(ge=1)


_PACES = TypeAdapter(dict[str, Pace])


class Learned:
    """The paces that were found on this machine, in a file, if there is one."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def get(self, key: str) -> Pace | None:
        """Return what was found; None: nothing was."""
        return self._read().get(key)

    def put(self, key: str, pace: Pace) -> None:
        """Remember what was found."""
        if self._file is None:
            return
        found = self._read() | {key: pace}
        with suppress(OSError):  # It is tried again at the next start.
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft = self._file.with_name(f"{self._file.name}.new")
            draft.write_text(json.dumps(_PACES.dump_python(found)))
            draft.replace(self._file)

    def _read(self) -> dict[str, Pace]:
        with suppress(OSError, ValueError):
            if self._file is not None:
                return _PACES.validate_json(self._file.read_bytes())
        return {}


class Runs(Protocol):
    """A model that can be timed."""

    device: str

    def run_blank(self, count: int) -> object:
        """Run with so many blank images. Raises MemoryError."""


Model = TypeVar("Model", bound=Runs)


def settle(open_model: Callable[[int], Model], learned: Learned, model_id: str) -> tuple[Model, Pace, str]:
    """Open a model as it runs best, which is tried where nothing is known yet; return also the key of what is known.

    `open_model` opens it for so many threads.
    """
    counts = thread_counts()
    model = open_model(counts[0])
    key = f"{model_id} {model.device} {counts[-1]}"
    pace = learned.get(key)
    if pace is None:
        log.info("tried once: with how many threads, and images at once, %s runs best here", model_id)
        tried = counts if model.device == "cpu" else counts[:1]
        stopwatch = _Stopwatch(open_model, model, counts[0])
        # A runtime keeps the memory of the largest batch that it ever had: what is tried is given back.
        del model
        pace = tune(stopwatch.seconds, tried)
        del stopwatch
        learned.put(key, pace)
        log.info("on %d threads, with %d images at once", pace.threads, pace.batch)
        model = open_model(pace.threads)
    elif pace.threads != counts[0]:
        model = open_model(pace.threads)
    return model, pace, key


def tune(seconds: Callable[[int, int], float], counts: Sequence[int]) -> Pace:
    """Return the threads, of `counts`, and the batch with which an image takes the least time.

    `seconds(threads, batch)` tells how long an image takes, or raises MemoryError. Batches grow from FEWEST while that
    gains something, and shrink where there is no memory. Raises MemoryError where there is none for one image.
    """
    until = time.monotonic() + BUDGET_SECONDS
    threads = min(counts, key=lambda count: seconds(count, 1)) if len(counts) > 1 else counts[0]

    def cost(batch: int) -> float:
        try:
            return seconds(threads, batch) + REQUEST_SECONDS / batch
        except MemoryError:
            if batch == 1:
                raise
            return math.inf

    batch, least = FEWEST, cost(FEWEST)
    while least == math.inf:
        batch //= 2
        least = cost(batch)
    while FEWEST <= batch <= MOST // 2 and TURNS * 3 * batch * least < until - time.monotonic():
        # They take turns: what else runs on the machine comes and goes.
        turns = [(cost(batch), cost(2 * batch)) for _ in range(TURNS)]
        less, found = map(min, zip(*turns, strict=True))
        if found > less * (1 - GAIN):
            break
        batch, least = 2 * batch, found
    return Pace(threads=threads, batch=batch)


class _Stopwatch:
    """Times a model with other threads and batches; the last one that was opened is kept."""

    def __init__(self, open_model: Callable[[int], Runs], model: Runs, threads: int) -> None:
        self._open = open_model
        self._model = model
        self._threads = threads
        self._is_warm = False

    def seconds(self, threads: int, batch: int) -> float:
        if threads != self._threads:
            self._model, self._threads, self._is_warm = self._open(threads), threads, False
        if not self._is_warm:
            self._model.run_blank(1)
            self._is_warm = True
        times: list[float] = []
        while not times or (sum(times) < MEASURE_SECONDS and len(times) < 5):
            started = time.perf_counter()
            self._model.run_blank(batch)
            times.append(time.perf_counter() - started)
        return min(times) / batch


def thread_counts() -> list[int]:
    """Return how many threads may be best on a CPU: one for each core, or for each of the threads of these."""
    cpus = usable_cpus()
    cores = psutil.cpu_count(logical=False) or cpus
    return sorted({min(cores, cpus), cpus})


def usable_cpus() -> int:
    """Return how many CPUs this process may use, by its affinity and by what its container gives it.

    onnxruntime counts those of the machine, and threads that share a CPU wait for each other.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = QUOTA.read_text().split()
        return max(1, min(here, -(-int(quota) // int(period))))
    return here
