"""What a stage sends about files, gathered into bundles: many files of one job and one partition in one message.

A bundle leaves when it is full, when `flush` says that nothing more can come for it now, or after a linger. What comes
alone into an outbox that has been empty for a while leaves at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.partitions import partitions_of
from streams.tasks import start
from topics import bundle
from topics.bundle import Alike, Own
from topics.record import HeaderList, Topic

LINGER_SECONDS = 0.02

Publish = Callable[[str, bytes, bytes, HeaderList, int], Awaitable[Awaitable[Any]]]
"""Sends key, value and headers to a partition of a topic, and returns the delivery."""

_Kind = tuple[str, int, Alike]


@dataclass(slots=True)
class _Open:
    """A bundle that still takes files."""

    topic: Topic[Any]
    partition: int
    alike: Alike
    delivered: "asyncio.Future[None]"
    files: list[Own] = field(default_factory=list)
    size: int = 0


class Outbox:
    """Gathers what one stage sends. `max_files`: of a bundle; 1 for the form that every version reads."""

    def __init__(
        self, publish: Publish, partitions: int, max_files: int, on_fatal: Callable[[BaseException], None]
    ) -> None:
        self._publish = publish
        self._partitions = partitions
        self._max_files = max_files
        self._on_fatal = on_fatal
        self._open: dict[_Kind, _Open] = {}
        self._due: asyncio.TimerHandle | None = None
        self._left = 0.0
        self._leaving: set[asyncio.Task[None]] = set()

    def send(
        self, topic: Topic[Any], alike: Alike, files: Sequence[Own]
    ) -> "tuple[list[int], set[asyncio.Future[None]]]":
        """Take files; return the partition that each goes to, and what is done when all are delivered."""
        partitions = partitions_of([file.key for file in files], self._partitions)
        by_partition: defaultdict[int, list[Own]] = defaultdict(list)
        for partition, file in zip(partitions, files, strict=True):
            by_partition[partition].append(file)
        delivered: set[asyncio.Future[None]] = set()
        for partition, some in by_partition.items():
            delivered.update(self._add(topic, alike, partition, some))
        return partitions, delivered

    def flush(self) -> None:
        """Let all that was taken go."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        for kind in [*self._open]:
            self._leave(kind)

    async def drained(self) -> None:
        """Let all go, and wait until it is delivered."""
        self.flush()
        await asyncio.gather(*self._leaving)

    def _add(
        self, topic: Topic[Any], alike: Alike, partition: int, files: Sequence[Own]
    ) -> "Iterable[asyncio.Future[None]]":
        kind = (topic.name, partition, alike)
        most = min(self._max_files, topic.most_files or self._max_files)
        loop = asyncio.get_running_loop()
        for file in files:
            waiting = self._open.get(kind)
            if waiting is not None and waiting.size + len(file.fields) > bundle.MAX_BYTES:
                self._leave(kind)
                waiting = None
            if waiting is None:
                waiting = self._open[kind] = _Open(topic, partition, alike, loop.create_future())
            yield waiting.delivered
            waiting.files.append(file)
            waiting.size += len(file.fields)
            if len(waiting.files) >= most:
                self._leave(kind)
        if self._open and self._due is None:
            # Alone, it leaves when what is being done now is done.
            linger = LINGER_SECONDS if loop.time() - self._left < LINGER_SECONDS else 0.0
            self._due = loop.call_later(linger, self.flush)

    def _leave(self, kind: _Kind) -> None:
        self._left = asyncio.get_running_loop().time()
        task = start(self._send(self._open.pop(kind)))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _send(self, leaving: _Open) -> None:
        try:
            value, headers = bundle.message(leaving.topic, leaving.alike, leaving.files)
            key = leaving.files[0].key
            await (await self._publish(leaving.topic.name, key, value, headers, leaving.partition))
        except Exception as error:
            self._on_fatal(error)
        else:
            leaving.delivered.set_result(None)
