"""How a stage sends: records at once, files maybe many to a message."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeVar

from faust import App, Event

from core import metrics
from core.errors import FatalError
from core.settings import Settings
from core.settings import Stage as Name
from streams.messages import header_list
from streams.outbox import Outbox
from topics.bundle import Alike, Own, take_apart
from topics.files import FileOfJob
from topics.record import HeaderList, Headers, Topic
from topics.topology import TOPOLOGY, topics_written

R = TypeVar("R")

Outgoing = tuple[bytes, FileOfJob, Headers]
"""A file with the key of its message and what its headers say."""


class Sending:
    """What a stage sends, to the topics that the topology names. `stop`: ends the worker."""

    app: App

    def __init__(self, name: Name, settings: Settings, stop: Callable[[BaseException], None]) -> None:
        self.name: Name = name
        self.settings = settings
        put_back = (topic.name for topic in TOPOLOGY[name].reads if topic.has_bundles)
        self._writes = topics_written(name).union(put_back)
        self.outbox = Outbox(self.send_raw, settings.kafka_partitions, settings.kafka_files_per_message, stop)

    async def send(
        self, topic: Topic[R], key: str | bytes, record: R, headers: Headers, partition: int | None = None
    ) -> Awaitable[object]:
        """Send a record, to the partition of its key or to another; await the result to know that it is delivered."""
        value, encoded = topic.encode(record), topic.headers(record, headers)
        return await self.send_raw(topic.name, _bytes(key), value, encoded, partition)

    async def send_file(self, topic: Topic[Any], key: str | bytes, record: FileOfJob, headers: Headers) -> None:
        """Send a file, maybe in one message with others, and wait until it is delivered."""
        await self.send_files(topic, [(_bytes(key), record, headers)])

    async def send_files(self, topic: Topic[Any], files: Iterable[Outgoing]) -> list[int]:
        """Send files with their keys, and wait until they are delivered; return the partition of each."""
        partitions: list[int] = []
        deliveries: set[asyncio.Future[None]] = set()
        for alike, some in groupby((take_apart(*file) for file in files), itemgetter(0)):
            at, delivered = self.outbox.send(topic, alike, [own for _, own in some])
            partitions += at
            deliveries |= delivered
        await _delivered(deliveries)
        return partitions

    async def send_alike(self, topic: Topic[Any], alike: Alike, files: Sequence[Own]) -> list[int]:
        """Send files that share the same, and wait until they are delivered; return the partition of each."""
        partitions, deliveries = self.outbox.send(topic, alike, files)
        await _delivered(deliveries)
        return partitions

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: HeaderList, partition: int | None = None
    ) -> Awaitable[object]:
        """Send bytes; await the result to know that they are delivered.

        Raises FatalError for a topic that the topology does not name.
        """
        if topic not in self._writes:
            raise FatalError(f"Stage {self.name} writes {topic}, which topics/topology.py does not say.")
        metrics.SENT.labels(topic).inc()
        delivery: Awaitable[object] = await self.app.producer.send(topic, key, value, partition, None, headers)
        return delivery

    async def pass_on(self, event: Event, topic: str) -> Awaitable[object]:
        """Send a tombstone on to the same partition of the next topic; await the result for its delivery."""
        return await self.send_raw(topic, event.message.key, None, header_list(event), event.message.partition)


async def _delivered(deliveries: "Iterable[asyncio.Future[None]]") -> None:
    for delivered in deliveries:
        await asyncio.shield(delivered)  # who gives up takes it from nobody else


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key
