"""Reads a topic as a member of a consumer group, in order, and commits what has been done with it."""

import asyncio
from collections.abc import Iterable

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from gateways.kafka.connection import ClientOptions
from gateways.kafka.consumer import Connected, new_consumer
from gateways.kafka.last_reads import LastReads
from gateways.kafka.offsets import log_ends
from gateways.kafka.reader import POLL_MILLISECONDS, KafkaRecord
from gateways.kafka.sameness import other_logs
from rules.positions import Begin, begin_at

log = structlog.get_logger()


class Member(Connected):
    """A member of a group: it begins where the group was, or else where the log ends: what was before is no news.

    A log that is not the one that was read (it lost its end, or was made anew) is read from its first message.
    `async with`: it is a member until the block ends.
    """

    def __init__(self, kafka: ClientOptions, group: str, topic: str) -> None:
        self._group = group
        self._failed = asyncio.Event()
        self._last_reads = LastReads()
        self._consumer = new_consumer(kafka, group_id=group, on_failed=lambda _: self._failed.set())
        self._consumer.subscribe([topic], listener=_Beginnings(self, kafka))

    async def take(self, max_records: int) -> dict[TopicPartition, list[KafkaRecord]] | None:
        """Return what comes within a second, by partition. None: it may be of another log, as a new member can tell."""
        fetched: dict[TopicPartition, list[KafkaRecord]]
        fetched = await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS, max_records=max_records)
        if self._failed.is_set() and fetched:
            return None
        for part, records in fetched.items():
            self._last_reads.add(part, records)
        return fetched

    async def commit(self, part: TopicPartition, offset: int) -> None:
        """Note that all before an offset is done."""
        await self._consumer.commit(self._last_reads.commit({part: offset}))

    async def go_back(self, part: TopicPartition, offset: int) -> None:
        """Take the messages of a partition from an offset on once more; all before it is done."""
        self._consumer.seek(part, offset)
        await self.commit(part, offset)

    async def begin(self, kafka: ClientOptions, parts: list[TopicPartition]) -> None:
        """Set where each of the partitions that were given to this member begins.

        Committed at once: what comes while nobody listens is not missed.
        """
        consumer = self._consumer
        firsts, ends = await consumer.beginning_offsets(parts), await log_ends(consumer._client, parts)
        others = await other_logs(kafka, await self._last_reads.begin(consumer, parts))
        for part in parts:
            committed = await consumer.committed(part)
            begin = begin_at(committed, firsts[part], ends[part], is_another=part in others)
            if committed is None:
                begin = Begin(ends[part])
            if begin.anew:
                known = {"topic": part.topic, "partition": part.partition, "read_to": committed}
                log.error("log-read-anew", group=self._group, **known)
            consumer.seek(part, begin.offset)
            if begin.offset != committed:
                await self.commit(part, begin.offset)


class _Beginnings(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    def __init__(self, member: Member, kafka: ClientOptions) -> None:
        self._member = member
        self._kafka = kafka

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Do nothing: what was done is committed."""

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Set where each begins."""
        if parts := list(assigned):
            await self._member.begin(self._kafka, parts)
