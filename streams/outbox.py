"""What a stage sends about files, gathered into bundles: many files of one job and one partition in one message.

A bundle leaves when it is full, when `flush` says that nothing more can come for it now, or after a linger. What comes
alone into an outbox that has been empty for a while leaves at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.partitions import partitions_of
from streams.window import start
from topics import bundle
from topics.files import FileOfJob
from topics.record import HeaderList, Headers, Topic

LINGER_SECONDS = 0.02

Publish = Callable[[str, bytes, bytes, HeaderList, int], Awaitable[Awaitable[Any]]]
"""Sends key, value and headers to a partition of a topic, and returns the delivery."""
Outgoing = tuple[bytes, FileOfJob, Headers]
"""A file with the key of its message and what its headers say."""

_Kind = tuple[str, int, bytes, Headers]


@dataclass(slots=True)
class _Open:
    """A bundle that still takes files."""

    topic: Topic[Any]
    partition: int
    first: Outgoing
    delivered: "asyncio.Future[None]"
    files: list[bundle.Own] = field(default_factory=list)
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

    def send(self, topic: Topic[Any], files: Sequence[Outgoing]) -> "list[tuple[int, asyncio.Future[None]]]":
        """Take files; return the partition that each goes to, and what is done when it is delivered."""
        partitions = partitions_of([key for key, _, _ in files], self._partitions)
        return [(at, self._add(topic, at, file)) for at, file in zip(partitions, files, strict=True)]

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

    def _add(self, topic: Topic[Any], partition: int, file: Outgoing) -> "asyncio.Future[None]":
        _, record, headers = file
        own = bundle.own(record, headers)
        kind = (topic.name, partition, own.shared, own.headers)
        waiting = self._open.get(kind)
        if waiting is not None and waiting.size + own.size > bundle.MAX_BYTES:
            self._leave(kind)
            waiting = None
        loop = asyncio.get_running_loop()
        if waiting is None:
            waiting = self._open[kind] = _Open(topic, partition, file, loop.create_future())
        waiting.files.append(own)
        waiting.size += own.size
        if len(waiting.files) >= self._max_files:
            self._leave(kind)
        elif self._due is None:
            # Alone, it leaves when what is being done now is done.
            linger = LINGER_SECONDS if loop.time() - self._left < LINGER_SECONDS else 0.0
            self._due = loop.call_later(linger, self.flush)
        return waiting.delivered

    def _leave(self, kind: _Kind) -> None:
        self._left = asyncio.get_running_loop().time()
        task = start(self._send(self._open.pop(kind)))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _send(self, leaving: _Open) -> None:
        key, record, headers = leaving.first
        if len(leaving.files) == 1:
            value, encoded = leaving.topic.encode(record), leaving.topic.headers(record, headers)
        else:
            value = bundle.encode(leaving.files)
            encoded = leaving.topic.headers(record, leaving.files[0].headers, len(leaving.files))
        try:
            await (await self._publish(leaving.topic.name, key, value, encoded, leaving.partition))
        except Exception as error:
            self._on_fatal(error)
        else:
            leaving.delivered.set_result(None)
