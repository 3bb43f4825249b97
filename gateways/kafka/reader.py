"""Reads whole partitions as a reader without a group, whom no stage notices and who commits nothing."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeAlias

from aiokafka import ConsumerRecord, TopicPartition

from gateways.kafka.connection import ClientOptions
from gateways.kafka.consumer import Connected, new_consumer
from gateways.kafka.fetching import Fetching
from gateways.kafka.offsets import log_ends

KafkaRecord: TypeAlias = ConsumerRecord[bytes, bytes]

POLL_MILLISECONDS = 1000
# What an event says of a file, about: its message does not say how many it is about.
BYTES_OF_FILE = 256


def all_partitions(topic: str, count: int) -> list[TopicPartition]:
    """Return all partitions of a topic that has so many."""
    return [TopicPartition(topic, number) for number in range(count)]


class Reader(Connected):
    """Reads these partitions, from where `go_to` says. `options`: of `new_consumer`.

    `async with`: it is connected until the block ends. Everything raises KafkaError where Kafka does not answer.
    """

    def __init__(self, kafka: ClientOptions, parts: Iterable[TopicPartition], **options: Any) -> None:
        self._parts = list(parts)
        self._consumer = new_consumer(kafka, **options)

    async def __aenter__(self) -> Self:
        """Connect."""
        await super().__aenter__()
        self._fetching = Fetching(self._consumer._fetcher)
        return self

    # Asked before `go_to`: on a connection that fetches, questions wait for the next message.
    async def begins(self) -> dict[TopicPartition, int]:
        """Return the first offset that Kafka still has of each partition."""
        found: dict[TopicPartition, int] = await self._consumer.beginning_offsets(self._parts)
        return found

    async def ends(self) -> dict[TopicPartition, int]:
        """Return how far each partition may be read now."""
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(self._parts)
        return found

    async def at_times(self, milliseconds: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        """Return the offset of the first message at or after these times; None where there is none."""
        found = await self._consumer.offsets_for_times(dict(milliseconds))
        return {part: None if known is None else known.offset for part, known in found.items()}

    def go_to(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._consumer.assign([*offsets])
        for part, offset in offsets.items():
            self._consumer.seek(part, offset)

    async def position(self, part: TopicPartition) -> int:
        """Return the offset that is read next. It passes what holds no message, such as the markers of transactions."""
        found: int = await self._consumer.position(part)
        return found

    async def take(self, max_records: int | None = None) -> list[KafkaRecord]:
        """Return what comes within a second: of each partition in its order. What comes often is gathered."""
        fetched = await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=max_records)
        if fetched:
            size = sum(len(record.value or b"") for records in fetched.values() for record in records)
            self._fetching.came(size // BYTES_OF_FILE)
        return [record for records in fetched.values() for record in records]

    async def up_to(
        self, ends: Mapping[TopicPartition, int], max_records: int | None = None
    ) -> AsyncIterator[list[KafkaRecord]]:
        """Give what stands before these ends, as it comes. Of a log that loses its end meanwhile, what is left.

        Reading goes on at the ends.
        """
        limits = dict(ends)
        while open_ := [part for part, end in limits.items() if await self.position(part) < end]:
            fetched = await self._consumer.getmany(*open_, timeout_ms=POLL_MILLISECONDS, max_records=max_records)
            found: list[KafkaRecord] = []
            for part, records in fetched.items():
                found += [record for record in records if record.offset < limits[part]]
                if records[-1].offset >= limits[part]:
                    self._consumer.seek(part, limits[part])
            if found:
                yield found
            if not fetched:
                left = await log_ends(self._consumer._client, open_)
                limits |= {part: min(limits[part], left[part]) for part in open_}


async def holds_message(kafka: ClientOptions, part: TopicPartition, first: int, last: int) -> bool:
    """Tell whether any message stands between two offsets, in place of markers or what cannot be read."""
    async with Reader(kafka, [part]) as reader:
        reader.go_to({part: first})
        async for records in reader.up_to({part: last + 1}):
            if any(record.offset >= first for record in records):
                return True
    return False
