"""The watchers of the sources whose partitions this worker has: begun, and closed at a rebalance."""

import asyncio
from collections.abc import Callable, Iterable

from agents.scan.sources.watched_source import WatchedSource, WatchedWalk
from core.settings import Settings
from topics.scan_request import ScanRequest
from topics.source import Source


class Watchers:
    """One watcher for each source that is to be watched, by its name. `on_fatal`: ends the worker."""

    def __init__(self, settings: Settings, on_fatal: Callable[[BaseException], None]) -> None:
        self._settings = settings
        self._on_fatal = on_fatal
        self._running: dict[str, tuple[WatchedSource, asyncio.Task[None]]] = {}

    def keep(self, sources: Iterable[Source]) -> None:
        """Watch these sources as they are wanted now, and no others."""
        wanted = {source.name: source for source in sources if source.watch and not source.paused}
        for name, (watched, task) in list(self._running.items()):
            if wanted.get(name) != watched.source:
                task.cancel()
                del self._running[name]
        for name, source in wanted.items():
            if name not in self._running:
                watched = WatchedSource(source, self._settings)
                task = asyncio.create_task(watched.run(), name=f"watch-{name}")
                task.add_done_callback(self._ended)
                self._running[name] = watched, task

    def get(self, name: str) -> WatchedSource | None:
        """Return the watcher of a source, if it is watched here."""
        running = self._running.get(name)
        return None if running is None else running[0]

    def walk(self, request: ScanRequest) -> WatchedWalk | None:
        """Return what the walk of a request has to do with a watcher."""
        watched = None if request.source is None else self.get(request.source)
        return None if watched is None else watched.walk()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fatal(error)
