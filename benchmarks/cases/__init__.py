"""The cases by name, in the order in which they run."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks.cases import cold, idle, latency, million, ml_bound, model, repeat, rescan, scale_out, search, start
from benchmarks.measure import Result

Case = Callable[[Result, Path, int], Coroutine[Any, Any, None]]

CASES: dict[str, Case] = {
    "cold-jpeg": cold.jpeg,
    "cold-raw-preview": cold.raw_with_preview,
    "cold-raw": cold.raw_without_preview,
    "rescan": rescan.run,
    "ml-bound": ml_bound.run,
    "model": model.run,
    "seed": repeat.run,
    "latency": latency.run,
    "start": start.run,
    "idle": idle.run,
    "scale-out": scale_out.run,
    "search": search.run,
    "million": million.run,
}
