"""Wakes those who wait for a job, so that nobody polls."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Changes:
    """Who waits for which job; used from the event loop only."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the job's document may have changed; the watcher clears it."""
        changed = asyncio.Event()
        self._watchers[job_id].add(changed)
        try:
            yield changed
        finally:
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def notify(self, job_ids: Iterable[str]) -> None:
        """Wake everyone who watches one of these jobs."""
        for job_id in job_ids:
            for changed in self._watchers.get(job_id, ()):
                changed.set()
