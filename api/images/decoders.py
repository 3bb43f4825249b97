"""The service's processes that decode pictures: limited as a worker's are, and with a bound to what waits for them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import BusyError
from core.settings import Settings
from gateways.cpu import Cpu

FEWEST, MOST = 2, 4
"""Processes: one picture that takes long must not hold up all others, and the machine is there for the stages."""
WAITING = 32


class Decoders:
    """Processes that are started when they are first needed; each is bound by FILE_MEMORY_BYTES and the timeout."""

    def __init__(self, settings: Settings) -> None:
        processes = max(FEWEST, min(MOST, settings.cpu_processes))
        self._cpu = Cpu(
            processes,
            timeout=settings.file_timeout_seconds,
            memory=settings.file_memory_bytes,
            preload=["imaging.decoding"],
        )
        self._places = processes + WAITING

    @contextmanager
    def place(self) -> Iterator[Cpu]:
        """Hold a place in the queue, and all that is done for it, until the block ends. Raises BusyError."""
        if self._places == 0:
            raise BusyError("Too many pictures wait to be decoded: ask again in a moment.")
        self._places -= 1
        try:
            yield self._cpu
        finally:
            self._places += 1

    async def close(self) -> None:
        """End the processes."""
        await asyncio.to_thread(self._cpu.close)
