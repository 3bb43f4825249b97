"""One part of an installation, as a child process: what it is, how it is started and ended, and what it said last."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

LOG_TAIL_LINES = 10
LARGEST_LOG_BYTES = 10_000_000

# The shell names itself to the guardian before it becomes the part, so that no moment is left in
# which a killed supervisor leaves an unknown child behind. The guardian's pipe is its standard input.
_LAUNCH = 'echo $$ >&0; exec "$@" </dev/null'


@dataclass(frozen=True)
class Part:
    """One child process: its command, where it answers, and how to find out that it does.

    `is_ready` takes the process id, by which it can tell a restart from the process before. A part that was ready,
    and then is not for `stuck_seconds` while all that it needs is, gets killed and restarted. `vital`: where it does
    not come up at the first start, there is nothing to go on for.
    """

    name: str
    command: Sequence[str]
    address: str
    is_ready: Callable[[int], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 60.0
    grace_seconds: float = 5.0
    stuck_seconds: float = 60.0
    vital: bool = False


async def launch(part: Part, log: Path, environment: Mapping[str, str], *, guardian: int) -> asyncio.subprocess.Process:
    """Start a part that writes to a log, and names itself to the guardian, whose pipe this is."""
    with _opened(log) as output:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            _LAUNCH,
            part.name,
            *part.command,
            stdin=guardian,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**environment, **part.environment},
            start_new_session=True,
        )


def _opened(log: Path) -> BinaryIO:
    if log.exists() and log.stat().st_size > LARGEST_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


def last_words(log: Path) -> str:
    """Return the end of a log, for a person."""
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:] if log.exists() else []
    return "\n".join([f"The end of its log, {log}:", *(f"    {line}" for line in lines)])


async def terminate(process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    """Ask a process to end, and kill it when it has not after the grace."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace_seconds)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def describe(exit_code: int) -> str:
    """Say how a process has ended."""
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    return f"was killed by {signal.Signals(-exit_code).name}"
