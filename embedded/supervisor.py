"""Runs parts as child processes: starts them in waves, restarts what dies or hangs, stops them in reverse order.

Each part has its own session, so that Ctrl-C in the terminal reaches the supervisor alone, and its
own log file. A guardian process kills what is left if the supervisor itself is killed.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Never, Self, TypeVar

from core.errors import FatalError
from embedded import guardian, state
from embedded.part import Part, describe, last_words, launch, terminate

T = TypeVar("T")
Tell = Callable[[str, str], None]
"""Takes the name of a part and what happened to it, in words for a person."""

# So often in so short a time is a part that cannot stay up: it is tried more slowly, and the others go on.
FAILED_DEATHS = 5
FAILED_SECONDS = 60.0
FAILED_PAUSE_SECONDS = 30.0
LONGEST_BACKOFF_SECONDS = 10.0
POLL_SECONDS = 0.1
PROBE_SECONDS = 2.0


class Supervisor:
    """Keeps parts running inside `async with`; entering returns when every part answers, or was given time to.

    Each wave starts when the ones before it are ready, and so does a part that is restarted; what cannot stay up
    is not waited for. Entering raises FatalError, with everything stopped again, when the folder is in use or a
    vital part does not come up.
    """

    def __init__(
        self,
        data: Path,
        waves: Sequence[Sequence[Part]],
        tell: Tell,
        *,
        addresses: Mapping[str, str] | None = None,
        first_backoff_seconds: float = 0.5,
        failed_pause_seconds: float = FAILED_PAUSE_SECONDS,
    ) -> None:
        self._data = data
        self._waves = waves
        self._tell = tell
        self._first_backoff_seconds = first_backoff_seconds
        self._failed_pause_seconds = failed_pause_seconds
        self._came_up: set[str] = set()
        self._state = state.RunState(
            pid=os.getpid(),
            addresses=dict(addresses or {}),
            parts={part.name: state.PartState(address=part.address) for wave in waves for part in wave},
        )
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ready: dict[str, asyncio.Event] = {}
        # Ready, or failed: nobody waits for it any more.
        self._settled: dict[str, asyncio.Event] = {}
        self._cleanup = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._cleanup.enter_context(state.lock(self._data))
        try:
            self._logs.mkdir(exist_ok=True)
            self._cleanup.callback(state.remove, self._data)
            await self._start_guardian()
            for wave in self._waves:
                await self._start(wave)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def wait(self) -> Never:
        """Wait for ever. Raises FatalError when nothing can be kept running any more."""
        guarding = asyncio.create_task(self._guardian.wait())
        try:
            done, _ = await asyncio.wait({*self._tasks.values(), guarding}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            guarding.cancel()
        raise FatalError("The process that guards the parts ended. Start again.")

    async def during(self, work: Coroutine[None, None, T]) -> T:
        """Return what `work` returns. Raises FatalError, with the work cancelled, as `wait` does."""
        working, failing = asyncio.create_task(work), asyncio.create_task(self.wait())
        race: set[asyncio.Task[Any]] = {working, failing}
        try:
            await asyncio.wait(race, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else failing.result()
        finally:
            for task in race:
                task.cancel()
            await asyncio.gather(*race, return_exceptions=True)

    def pid(self, name: str) -> int | None:
        """Return the process id of a part; None while it is dead."""
        return self._state.parts[name].pid

    def log(self, name: str) -> Path:
        """Return the log file of a part."""
        return self._logs / f"{name}.log"

    @property
    def _logs(self) -> Path:
        return self._data / "logs"

    async def _start_guardian(self) -> None:
        reading, self._to_guardian = os.pipe()
        try:
            self._guardian = await asyncio.create_subprocess_exec(
                sys.executable, "-I", guardian.__file__, stdin=reading, start_new_session=True
            )
        finally:
            os.close(reading)
        self._cleanup.push_async_callback(self._guardian.wait)
        self._cleanup.callback(os.close, self._to_guardian)

    async def _start(self, wave: Sequence[Part]) -> None:
        needs = tuple(self._ready)
        for part in wave:
            self._ready[part.name], self._settled[part.name] = asyncio.Event(), asyncio.Event()
            self._tasks[part.name] = asyncio.create_task(self._keep_running(part, needs))
        await self.during(self._until_ready(wave))

    async def _until_ready(self, wave: Sequence[Part]) -> None:
        """Wait until each part has answered once, or failed; they have been starting since the same moment."""
        started = time.monotonic()
        for part in wave:
            try:
                left = started + part.start_seconds - time.monotonic()
                await asyncio.wait_for(self._settled[part.name].wait(), left)
            except TimeoutError as error:
                reason = f"does not answer at {part.address} after {part.start_seconds:.0f} s"
                if part.vital:
                    raise FatalError(f"{part.name} {reason}. {last_words(self.log(part.name))}") from error
                self._fail(part, reason)

    async def _keep_running(self, part: Part, needs: Sequence[str]) -> None:
        deaths: deque[float] = deque(maxlen=FAILED_DEATHS)
        while True:
            ending = describe(await self._run(part, needs))
            now = time.monotonic()
            deaths.append(now)
            recent = sum(now - death < FAILED_SECONDS for death in deaths)
            if recent == FAILED_DEATHS and not self._known(part).failed:
                reason = f"{ending} for the {FAILED_DEATHS}th time within a minute"
                if part.vital and part.name not in self._came_up:
                    raise FatalError(f"{part.name} {reason}. {last_words(self.log(part.name))}")
                self._fail(part, reason)
            if self._known(part).failed:
                pause = self._failed_pause_seconds
            else:
                pause = min(self._first_backoff_seconds * 2 ** (recent - 1), LONGEST_BACKOFF_SECONDS)
                self._tell(part.name, f"{ending}; it starts again in {pause:g} s.\nIts log: {self.log(part.name)}")
            await asyncio.sleep(pause)
            # A part that died for want of an earlier one would only die again.
            for need in needs:
                await self._settled[need].wait()

    def _known(self, part: Part) -> state.PartState:
        return self._state.parts[part.name]

    def _fail(self, part: Part, reason: str) -> None:
        """Note that a part cannot stay up, for whoever asks, and say so. The others go on, and so do its starts."""
        self._known(part).failed = f"{part.name} {reason}. Its log: {self.log(part.name)}"
        state.write(self._data, self._state)
        self._settled[part.name].set()
        self._tell(
            part.name,
            f"FAILED: it {reason}. All else goes on without it; it is tried again every "
            f"{self._failed_pause_seconds:g} s.\n{last_words(self.log(part.name))}",
        )

    def _succeed(self, part: Part) -> None:
        self._came_up.add(part.name)
        self._ready[part.name].set()
        self._settled[part.name].set()
        if self._known(part).failed:
            self._known(part).failed = None
            state.write(self._data, self._state)

    async def _run(self, part: Part, needs: Sequence[str]) -> int:
        """Run a part until it ends, and return its exit code. Being cancelled stops it."""
        process = await launch(part, self.log(part.name), os.environ, guardian=self._to_guardian)
        self._note_pid(part, process.pid)
        watching = asyncio.create_task(self._watch(part, process, needs))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            watching.cancel()
            await terminate(process, part.grace_seconds)
            self._tell(part.name, "stopped.")
            raise
        finally:
            watching.cancel()
            # A part may have left children of its own, such as a pool of workers.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(BrokenPipeError):
                os.write(self._to_guardian, f"-{process.pid}\n".encode())
            self._ready[part.name].clear()
            if not self._known(part).failed:
                self._settled[part.name].clear()
            self._note_pid(part, None)

    def _note_pid(self, part: Part, pid: int | None) -> None:
        self._state.parts[part.name].pid = pid
        state.write(self._data, self._state)

    async def _watch(self, part: Part, process: asyncio.subprocess.Process, needs: Sequence[str]) -> None:
        """Say when a part is ready; from then on, kill it when it does not answer for too long."""
        started = time.monotonic()
        while not await part.is_ready(process.pid):  # noqa: ASYNC110 - another process cannot set an event
            await asyncio.sleep(POLL_SECONDS)
        self._tell(part.name, f"ready: {part.address} ({time.monotonic() - started:.1f} s)")
        self._succeed(part)
        ready = self._ready[part.name]
        silent_since: float | None = None
        while silent_since is None or time.monotonic() - silent_since < part.stuck_seconds:
            await asyncio.sleep(PROBE_SECONDS)
            if await part.is_ready(process.pid):
                ready.set()
                silent_since = None
            else:
                ready.clear()
                # A part is not to blame while one that it needs is silent itself.
                silent_since = (silent_since or time.monotonic()) if self._have_all(needs) else None
        self._tell(part.name, f"does not answer for {part.stuck_seconds:g} s: it is killed.")
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    def _have_all(self, needs: Sequence[str]) -> bool:
        return all(self._ready[need].is_set() for need in needs)

    async def _stop(self) -> None:
        """Stop the parts, the last one first, each before the next."""
        for task in reversed(self._tasks.values()):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._cleanup.aclose()
