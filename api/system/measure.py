"""What the API measures: its own requests, and what its watchdog sees of stages and jobs."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import metrics
from core.settings import Stage
from rules.watchdog import Sample
from topics.job_status import State

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measured:
    """Times each request until its answer begins: an event stream may go on for hours. `prefix`: of most routes."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()

        async def timed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # As it was declared: a path with the ids of jobs and pictures would make a metric of each.
                # FastAPI leaves out what the route was included below.
                route = getattr(scope.get("route"), "path", "")
                if route and scope["path"].startswith(f"{self._prefix}/"):
                    route = self._prefix + route
                method = scope["method"] if scope["method"] in METHODS else "_OTHER"
                labels = (method, route, str(message["status"]))
                metrics.HTTP.labels(*labels).observe(time.monotonic() - started)
            await send(message)

        await self._app(scope, receive, timed)


def stages(sample: Sample, groups: Mapping[Stage, str]) -> None:
    """Note how far the stages are behind."""
    for stage, seen in sample.items():
        metrics.STAGE_UP.labels(stage).set(seen.has_workers)
        for position in seen.positions:
            metrics.LAG.labels(groups[stage], position.topic, position.partition).set(position.lag)


def blind() -> None:
    """Forget what was seen of the stages: an old number would look like a fresh one."""
    metrics.LAG.clear()
    metrics.STAGE_UP.clear()


def jobs(unfinished: Iterable[State], stalled: int) -> None:
    """Note the states of the unfinished jobs, and how many of them are stalled."""
    by_state = Counter(unfinished)
    for state in ("queued", "scanning", "running", "paused"):
        metrics.JOBS.labels(state).set(by_state[state])
    metrics.STALLED.set(stalled)
