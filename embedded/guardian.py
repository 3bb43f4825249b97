"""Outlives a supervisor by a moment: when it is gone, however it went, its children are killed.

The supervisor runs this file by itself. It reads one line a change from standard input: `PID` when
a process group begins, `-PID` when it has ended. The end of the input means that the supervisor is
gone, even by kill -9. It needs nothing but the standard library, so that it starts at once.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Follow the input to its end, then kill what has not ended."""
    alive: set[int] = set()
    for line in sys.stdin:
        pid = int(line)
        if pid > 0:
            alive.add(pid)
        else:
            alive.discard(-pid)
    for pid in alive:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
