"""Lets a command that runs parts be stopped in order, by Ctrl-C, by SIGTERM, or by closing the terminal."""

import asyncio
import os
import signal
from collections.abc import Coroutine

INTERRUPTED = 130


def run_until_signal(work: Coroutine[None, None, None]) -> bool:
    """Run `work`; a signal cancels it. Return whether it came to its own end.

    A second signal ends the process at once; the guardian then kills the parts.
    """

    async def run() -> None:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            if task.cancelling():
                os._exit(INTERRUPTED)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores it on purpose
                loop.add_signal_handler(number, interrupt)
        await task

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        return False
    return True
