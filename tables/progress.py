"""What people see of a job beside its account: how far each stage is, how fast, what it waits for, and its log.

Nothing here decides when a job is over. Stages may tell it late, twice, or not at all.
"""

from typing import Literal

from pydantic import BaseModel

from core.settings import STAGES, Stage
from topics.job_event import LeftOut

# The newest lines, and of all together so many characters: every document has them.
LOG_LINES = 100
LOG_LINE_CHARACTERS = 1000
LOG_CHARACTERS = 3000
RATE_SAMPLES = 20
RATE_SAMPLE_SECONDS = 0.5


class Progress(BaseModel):
    """Times are seconds since 1970, by the clocks of those who told them."""

    queued_at: float | None = None
    started_at: float | None = None
    last_progress_at: float | None = None

    moved: dict[Stage, int] = dict.fromkeys(STAGES, 0)  # files that each stage has handed on
    ml_images_sent: int = 0
    waiting: dict[Stage, Literal["ml", "qdrant"]] = {}
    left_out: LeftOut | None = None  # of the newest walk
    samples: list[tuple[float, int]] = []  # (time, files with an outcome)
    logs: list[str] = []

    # What the watchdog said, and did.
    stalled: str | None = None
    active_offset: int = -1  # of the newest event that is not its word
    restarts: int = 0
    walks_again: int = 0

    @property
    def rate(self) -> float:
        """Files a second, over the last samples."""
        if len(self.samples) < 2:
            return 0.0
        (first_at, first), (last_at, last) = self.samples[0], self.samples[-1]
        return round(max(0, last - first) / (last_at - first_at), 2) if last_at > first_at else 0.0

    def sample(self, at: float, files: int) -> None:
        """Note how many files have their outcome, unless the last sample is too fresh."""
        if not self.samples or at - self.samples[-1][0] >= RATE_SAMPLE_SECONDS:
            self.samples = [*self.samples[1 - RATE_SAMPLES :], (at, files)]

    def note(self, at: float) -> None:
        """Note that the job has got on. That time never runs back: the clocks of two machines differ."""
        self.last_progress_at = max(at, self.last_progress_at or at)
        self.stalled = None

    def log(self, line: str) -> None:
        """Add a line to the log; the oldest go."""
        logs = [*self.logs[1 - LOG_LINES :], line[:LOG_LINE_CHARACTERS]]
        while sum(map(len, logs)) > LOG_CHARACTERS:
            del logs[0]
        self.logs = logs
