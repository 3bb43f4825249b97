"""Whether something comes often: then it is gathered, as each time costs the same for little as for much."""

import time
from collections import deque

OFTEN = 8
"""Times within a second. A person's few files come less often, and never wait."""


class Pace:
    """How often something came of late."""

    def __init__(self, often: int = OFTEN) -> None:
        self._times: deque[float] = deque(maxlen=often)

    def note(self) -> None:
        """Note that it came now."""
        self._times.append(time.monotonic())

    @property
    def is_high(self) -> bool:
        """Whether it came often within the last second."""
        times = self._times
        return len(times) == times.maxlen and time.monotonic() - times[0] <= 1.0
