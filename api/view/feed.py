"""Reads job events, job statuses and dead letters into the view.

A plain consumer without a group, as every API needs all of it.
"""

import asyncio
import sqlite3
import time
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from api.view import letters, writing
from api.view.changes import Changes
from api.view.database import Lane
from core.connection import ClientOptions
from core.disk import MEND
from gateways.broker import broker_answers
from gateways.kafka.consumer import new_consumer
from gateways.kafka.sameness import other_logs
from topics.dead_letter import DEAD_LETTER
from topics.topology import API

log = structlog.get_logger()

BATCH_MESSAGES = 500
RETRY_SECONDS = 1.0
# Where many messages came, the next are gathered: a transaction costs the same for one as for many.
BUSY_MESSAGES = 8
GATHERING_SECONDS = 0.1


class Feed:
    """The task that keeps the view up to date, and what is known of its progress."""

    def __init__(
        self, kafka: ClientOptions, partitions: int, lane: Lane, changes: Changes, retention_hours: int
    ) -> None:
        self._kafka = kafka
        self._lane = lane
        self._changes = changes
        self._retention_seconds = retention_hours * 3600
        self._parts = [
            TopicPartition(topic, partition)
            for topic in (*(read.name for read in API.reads), DEAD_LETTER)
            for partition in range(partitions)
        ]
        self._consumer: AIOKafkaConsumer | None = None
        self._next: dict[TopicPartition, int] = {}
        self._ends_at_start: dict[TopicPartition, int] = {}
        # Positions that are not in their log any more.
        self._out_of_range: dict[TopicPartition, int] = {}
        # Whether a broker gave no answer since: it may come back with less, and have grown beyond what was read.
        self._failed = False
        self._problem = "has not been reached yet"

    async def run(self) -> None:
        """Read until cancelled. Whatever goes wrong is logged, shown by `problem`, and tried again."""
        while True:
            try:
                await self._read()
            except sqlite3.OperationalError as error:
                self._problem = f"is not written down: {error}. {MEND}"
                log.error("view-not-written", reason=self._problem, retry_seconds=RETRY_SECONDS)  # noqa: TRY400
            except Exception as error:  # a view that stops in silence would answer with old news for ever
                self._problem = f"cannot be read: {type(error).__name__}: {error}"
                log.exception("view-feed-failed", retry_seconds=RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    async def problem(self) -> str | None:
        """Say why the view may be behind; None when it has what Kafka had at the start, and Kafka answers."""
        if self._consumer is None:
            return self._problem
        behind = sum(max(0, end - self._next[part]) for part, end in self._ends_at_start.items())
        if behind:
            return f"is being read: {behind} messages are to come"
        return None if await broker_answers(self._kafka) else "does not answer"

    async def catch_up(self, topic: str) -> None:
        """Wait until the view has what a topic has now. Raises KafkaError where Kafka does not answer."""
        # On a connection of its own: on one that fetches, the question would wait for the next message.
        consumer = new_consumer(self._kafka)
        try:
            await consumer.start()
            ends = await consumer.end_offsets([part for part in self._parts if part.topic == topic])
        finally:
            await consumer.stop()
        with self._changes.watch(topic) as changed:
            while any(self._next.get(part, 0) < end for part, end in ends.items()):
                await changed.wait()
                changed.clear()

    async def _read(self) -> None:
        self._failed = False
        consumer = new_consumer(self._kafka, on_out_of_range=self._out_of_range.__setitem__, on_failed=self._fail)
        await consumer.start()
        try:
            await self._start_where_the_view_ends(consumer)
            self._consumer = consumer
            self._changes.notify({part.topic for part in self._parts})
            while True:
                fetched = await consumer.getmany(timeout_ms=1000, max_records=BATCH_MESSAGES)
                # What came may be of another log. It is not folded into what the view holds before that is known.
                if self._out_of_range or (self._failed and fetched):
                    return
                await self._write([record for records in fetched.values() for record in records])
                await self._go_on(consumer)
                await self._lane.write(writing.forget_files)
                await self._lane.read(writing.give_back_disk)
                if sum(map(len, fetched.values())) >= BUSY_MESSAGES:
                    await asyncio.sleep(GATHERING_SECONDS)
        finally:
            self._consumer = None
            with suppress(Exception):  # what ended the reading matters, not what closing says after it
                await consumer.stop()

    def _fail(self, _: object) -> None:
        self._failed, self._problem = True, "is compared with what was read of it, as a broker failed"

    async def _write(self, records: list[ConsumerRecord[bytes, bytes]]) -> None:
        if records:
            messages = [_message(record) for record in records]
            changed = await self._lane.write(lambda connection: writing.write(connection, messages))
            topics = {record.topic for record in records}
            if DEAD_LETTER in topics:
                await self._forget_letters()
            self._changes.notify(changed | topics)

    async def _go_on(self, consumer: AIOKafkaConsumer) -> None:
        """Note what has been read, with the offsets that hold no message, such as the markers of transactions."""
        for part in self._parts:
            position = await consumer.position(part)
            if position > self._next[part]:
                self._next[part] = position
                self._changes.notify({part.topic})

    async def _forget_letters(self) -> None:
        oldest = time.time() - self._retention_seconds
        await self._lane.write(lambda connection: letters.forget(connection, oldest))

    async def _start_where_the_view_ends(self, consumer: AIOKafkaConsumer) -> None:
        """Assign all partitions from the view's offsets, or from the start where the view is not of these logs.

        They are others where they end before what the view has read, or do not hold what it read last: a broker may
        have lost the end of one, or a topic been made anew.
        Where the oldest messages were deleted meanwhile, reading goes on at the first that is left.
        """
        cluster_id = await self._cluster_id()
        stored = await self._lane.read(lambda connection: writing.last_reads(connection, cluster_id))
        known = {TopicPartition(*part): last for part, last in (stored or {}).items()}
        # Asked before anything is assigned: on a connection that fetches, questions wait for the next message.
        begins = await consumer.beginning_offsets(self._parts)
        self._ends_at_start = ends = await consumer.end_offsets(self._parts)
        lost = {part for part, offset in self._out_of_range.items() if offset >= begins[part]}
        lost |= {part for part, last in known.items() if last.offset >= ends[part]}
        lost |= await other_logs(self._kafka, known)
        self._out_of_range.clear()
        if stored is None or lost:
            log.warning(
                "view-rebuilt", cluster_id=cluster_id, other_logs=sorted(f"{p.topic}-{p.partition}" for p in lost)
            )
            await self._lane.write(lambda connection: writing.rebuild(connection, cluster_id))
            known = {}
        await self._forget_letters()
        self._next = {part: max(known[part].offset + 1 if part in known else 0, begins[part]) for part in self._parts}
        consumer.assign(self._parts)
        for part, offset in self._next.items():
            consumer.seek(part, offset)

    async def _cluster_id(self) -> str:
        """Name of the cluster: a broker whose data was wiped has another."""
        admin = AIOKafkaAdminClient(**self._kafka)
        await admin.start()
        try:
            return str((await admin.describe_cluster())["cluster_id"])
        finally:
            await admin.close()


def _message(record: ConsumerRecord[bytes, bytes]) -> writing.Message:
    return writing.Message(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        at=record.timestamp / 1000,
    )
