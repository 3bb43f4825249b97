"""How fast messages went through the stages in the last half hour: for the chart on the system page.

Each is about one file or many; how many files went through is in the status of their job.
"""

from collections import deque
from dataclasses import dataclass

from core.settings import Stage
from rules.watchdog import Sample
from topics.topology import FILE_TOPICS

STEP_SECONDS = 10.0
KEPT_SAMPLES = 181


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second of each stage, in the step that ended at `at` (seconds since 1970)."""

    at: float
    rates: dict[Stage, float]


class Throughput:
    """Keeps how far the stages had read, every ten seconds."""

    def __init__(self) -> None:
        self._read: deque[tuple[float, dict[Stage, int]]] = deque(maxlen=KEPT_SAMPLES)

    def add(self, at: float, sample: Sample) -> None:
        """Take a look at the stages, unless the last one that was kept is too fresh."""
        if not self._read or at - self._read[-1][0] >= STEP_SECONDS:
            self._read.append((at, {stage: _finished(sample, stage) for stage in FILE_TOPICS}))

    def rates(self) -> list[Rates]:
        """Return what was done in each step, the oldest first. A gap in the samples is one long step."""
        steps = zip(self._read, list(self._read)[1:], strict=False)
        return [
            Rates(at, {stage: round(max(0, now[stage] - before[stage]) / (at - begun), 2) for stage in now})
            for (begun, before), (at, now) in steps
        ]


def _finished(sample: Sample, stage: Stage) -> int:
    return sum(position.committed for position in sample[stage].positions if position.topic == FILE_TOPICS[stage].name)
