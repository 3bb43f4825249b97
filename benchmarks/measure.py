"""What a case gives back: figures of several rounds, with minimum, median and maximum, and the bound to be held."""

import json
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from statistics import median
from typing import Any, Literal

RESULTS = Path(__file__).with_name("results") / "latest.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure over the rounds. `bound` is what its median must reach, from above or from below."""

    name: str
    unit: str
    rounds: list[float]
    bound: float | None = None
    side: Literal["at least", "at most"] = "at least"

    @property
    def holds(self) -> bool | None:
        """Tell whether the bound is kept; None where there is none."""
        if self.bound is None:
            return None
        return median(self.rounds) >= self.bound if self.side == "at least" else median(self.rounds) <= self.bound

    def document(self) -> dict[str, Any]:
        """Return the figure for the file of results."""
        return {
            "unit": self.unit,
            "min": min(self.rounds),
            "median": median(self.rounds),
            "max": max(self.rounds),
            "rounds": self.rounds,
            "must": None if self.bound is None else f"{self.side} {self.bound:g}",
            "holds": self.holds,
        }


@dataclass(slots=True)
class Result:
    """All figures of a case, and what else is worth keeping: raw timings, CPU by process."""

    case: str
    figures: list[Figure] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def add(
        self,
        name: str,
        unit: str,
        rounds: list[float],
        bound: float | None = None,
        side: Literal["at least", "at most"] = "at least",
    ) -> None:
        """Add a figure."""
        self.figures.append(Figure(name, unit, [round(value, 4) for value in rounds], bound, side))

    def save(self) -> None:
        """Put this case into the file of results, beside those of the other cases."""
        kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        kept[self.case] = {
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {"cpus": cpu_count(), "python": platform.python_version(), "system": platform.machine()},
            "figures": {figure.name: figure.document() for figure in self.figures},
            "raw": self.raw,
        }
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
