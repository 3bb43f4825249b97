"""Sources and their statuses, as the two compacted topics have them, in memory: there are few.

A reader without a group, in each process that needs to know. It begins again from the first message whenever Kafka
fails, as logs may have been made anew; what was known stands until then.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import structlog
from aiokafka import TopicPartition

from core.errors import InvalidMessageError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from topics.source import SOURCE, Source
from topics.source_status import MOUNTS, SOURCE_STATUS, WATCH, SourceStatus, Watching

RETRY_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source, and when it was wanted so: Kafka's time of its record, in seconds since 1970."""

    source: Source
    wanted_at: float
    status: SourceStatus | None = None
    mounted: SourceStatus | None = None
    watching: Watching | None = None


@dataclass(slots=True)
class _Read:
    """What was read since the last begin."""

    sources: dict[str, tuple[Source, float]] = field(default_factory=dict)
    statuses: dict[str, SourceStatus] = field(default_factory=dict)
    last: dict[TopicPartition, int] = field(default_factory=dict)


class Sources:
    """Follows the topics `source` and `source-status` while `run` does."""

    def __init__(self, kafka: ClientOptions, partitions: int) -> None:
        self._kafka = kafka
        self._parts = [
            part for topic in (SOURCE.name, SOURCE_STATUS.name) for part in all_partitions(topic, partitions)
        ]
        self._known = _Read()
        self._changed = asyncio.Event()
        self._is_read = asyncio.Event()
        # How often all that Kafka has was asked for, and the newest of these that was answered.
        self._asked = 0
        self._answered = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with Reader(self._kafka, self._parts) as reader:
                    await self._follow(reader)
            except Exception as error:  # what is known grows old, and is said to
                log.warning("sources-not-read", reason=f"{type(error).__name__}: {error}", retry_seconds=RETRY_SECONDS)
            self._is_read.clear()
            await asyncio.sleep(RETRY_SECONDS)

    async def read(self) -> None:
        """Wait until all that Kafka had at the begin is known."""
        await self._is_read.wait()

    async def catch_up(self) -> None:
        """Wait until all that Kafka has now is known: what was written a moment ago comes with a lag."""
        self._asked += 1
        asked = self._asked
        while self._answered < asked:
            await self._changed.wait()

    @property
    def is_read(self) -> bool:
        """Whether what is known is what Kafka has."""
        return self._is_read.is_set()

    def all(self) -> list[KnownSource]:
        """Return all sources, by name."""
        return [known for name in sorted(self._known.sources) if (known := self.get(name)) is not None]

    def get(self, name: str) -> KnownSource | None:
        """Return a source, or None where there is none of that name."""
        found = self._known.sources.get(name)
        if found is None:
            return None
        status, mounted, watched = (self._known.statuses.get(f"{name}{kind}") for kind in ("", MOUNTS, WATCH))
        return KnownSource(*found, status, mounted, None if watched is None else watched.watching)

    async def changed(self, seconds: float) -> None:
        """Wait for the next message, at most so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    async def know(self, part: TopicPartition, offset: int, seconds: float) -> None:
        """Wait until a message is known. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self._known.last.get(part, -1) < offset:
                await self._changed.wait()

    async def _follow(self, reader: Reader) -> None:
        read = _Read()
        begins, ends = await reader.begins(), await reader.ends()
        reader.go_to(begins)
        async for records in reader.up_to(ends):
            _take(read, records)
        while True:
            asked = self._asked
            if asked > self._answered:
                async for records in reader.up_to(await reader.ends()):
                    _take(read, records)
            self._known, self._answered = read, asked
            self._is_read.set()
            self._changed.set()
            self._changed = asyncio.Event()
            _take(read, await reader.take())


def _take(read: _Read, records: list[KafkaRecord]) -> None:
    for record in records:
        read.last[TopicPartition(record.topic, record.partition)] = record.offset
        name = (record.key or b"").decode("utf-8", "replace")
        try:
            if record.topic == SOURCE.name:
                _take_source(read, name, record)
            elif record.value is not None:
                read.statuses[name] = SOURCE_STATUS.decode(record.value)
            else:
                read.statuses.pop(name, None)
        except InvalidMessageError as error:
            log.warning("source-ignored", name=name, reason=str(error))


def _take_source(read: _Read, name: str, record: KafkaRecord) -> None:
    if record.value is None:
        read.sources.pop(name, None)
        return
    source = SOURCE.decode(record.value)
    if source.name != name:
        raise InvalidMessageError(f"The message of source {source.name} has the key {name!r}: give it its name.")
    read.sources[name] = source, record.timestamp / 1000


@contextlib.asynccontextmanager
async def open_sources(kafka: ClientOptions, partitions: int) -> AsyncIterator[Sources]:
    """Follow them until the block ends."""
    sources = Sources(kafka, partitions)
    running = asyncio.create_task(sources.run())
    try:
        yield sources
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
