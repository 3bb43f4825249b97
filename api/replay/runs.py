"""Work that outlives its request, such as the replay of a topic: one at a time, its progress can be asked for."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from api.schemas.replay import Run
from core.errors import DarkroomError, RequestError
from rules.identity import new_id

REMEMBERED = 100

log = structlog.get_logger()


class Runs:
    """The runs of this process. One that a restart ended is begun again by asking again: nothing is done twice."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def start(self, what: str, work: Callable[[Run], Awaitable[None]], *, dry_run: bool = False) -> Run:
        """Begin; `work` notes its progress in the run. Raises RequestError(409) while another one goes on."""
        if self._task is not None and not self._task.done():
            going_on = next(reversed(self._runs.values()))
            raise RequestError(f"Wait for another run to end: {going_on.what} (run {going_on.id}).", 409)
        run = Run(id=new_id(), what=what, dry_run=dry_run)
        self._runs[run.id] = run
        if len(self._runs) > REMEMBERED:
            self._runs.popitem(last=False)
        self._task = asyncio.create_task(self._do(run, work))
        return run

    def get(self, run_id: str) -> Run:
        """Return a run. Raises RequestError(404) for one that is not known."""
        try:
            return self._runs[run_id]
        except KeyError as error:
            raise RequestError(
                f"There is no run {run_id!r}: a restart of the service ends and forgets runs. Begin it again.", 404
            ) from error

    async def close(self) -> None:
        """End what goes on."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _do(self, run: Run, work: Callable[[Run], Awaitable[None]]) -> None:
        log.info("run-begun", run_id=run.id, what=run.what, dry_run=run.dry_run)
        try:
            await work(run)
        except Exception as error:  # it has no request left that could answer it
            run.state = "failed"
            run.message = str(error) if isinstance(error, DarkroomError) else f"{type(error).__name__}: {error}"
            log.exception("run-failed", run_id=run.id)
        else:
            run.state = "done"
            log.info("run-done", run_id=run.id, published=run.published, left_out=run.left_out)
