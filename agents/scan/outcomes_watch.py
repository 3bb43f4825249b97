"""The files that a walk has published and that have no outcome yet, kept by what `job-event` tells.

A job's status cannot say it: it counts the files of all walks, a file that had its outcome before changes no count
when it comes again, and a job that has ended has no status that is followed. But every file that is published brings
a report of its outcome, each time that it comes.
"""

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable

from core.errors import InvalidMessageError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from topics.job_event import JOB_EVENT, Outcomes
from topics.job_event_codec import OutcomesAlike, decode_keyed, files_of


class Outstanding:
    """The files of one walk that have no outcome yet, by file id."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._changed = asyncio.Event()
        # When how many had theirs, within the last second.
        self._ended: deque[tuple[float, int]] = deque()

    def __len__(self) -> int:
        return len(self._files)

    def add(self, file_ids: Iterable[str]) -> None:
        """Count files, before they are published."""
        self._files.update(file_ids)

    def end(self, file_ids: Iterable[str]) -> None:
        """Count those out that have an outcome now."""
        before = len(self._files)
        self._files.difference_update(file_ids)
        if len(self._files) < before:
            self._ended.append((time.monotonic(), before - len(self._files)))
            self._tell()

    def ended_lately(self) -> int:
        """Return how many have had their outcome within the last second."""
        while self._ended and self._ended[0][0] < time.monotonic() - 1.0:
            self._ended.popleft()
        return sum(files for _, files in self._ended)

    def forget(self) -> None:
        """Count all out, as nothing about them is on its way any more."""
        self._files.clear()
        self._tell()

    async def changed(self) -> None:
        """Wait until the next of them has its outcome."""
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class OutcomesWatch:
    """Follows `job-event` from now on, without a group, for the walks of this process."""

    def __init__(self, kafka: ClientOptions, partitions: int, on_fatal: Callable[[BaseException], None]) -> None:
        self._kafka = kafka
        self._partitions = all_partitions(JOB_EVENT.name, partitions)
        self._on_fatal = on_fatal
        self._walks: defaultdict[str, list[Outstanding]] = defaultdict(list)
        self._following = asyncio.Event()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            async with Reader(self._kafka, self._partitions, auto_offset_reset="latest") as reader:
                reader.go_to(await reader.ends())
                self._following.set()
                while True:
                    for record in await reader.take():
                        self._take(record)
        except Exception as error:
            self._on_fatal(error)

    @contextlib.asynccontextmanager
    async def walk(self, job_id: str) -> AsyncIterator[Outstanding]:
        """Keep account of a walk's files until the block ends."""
        await self._following.wait()
        outstanding = Outstanding()
        self._walks[job_id].append(outstanding)
        try:
            yield outstanding
        finally:
            self._walks[job_id].remove(outstanding)
            if not self._walks[job_id]:
                del self._walks[job_id]

    def _take(self, record: KafkaRecord) -> None:
        # Most events are of no walk here: they are not even decoded.
        walks = self._walks.get((record.key or b"").decode("utf-8", "replace"))
        if not walks:
            return
        try:
            event = decode_keyed(record.key, record.value)
        except InvalidMessageError:
            return  # track says so
        if isinstance(event, Outcomes | OutcomesAlike):
            for outstanding in walks:
                outstanding.end(files_of(event))
