"""Reads job events, job statuses and dead letters into the view.

A reader without a group, as every API needs all of it.
"""

import asyncio
import sqlite3
import time

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from api.view import dead_letters, writing
from api.view.changes import Changes
from api.view.database import Database
from core.disk import MEND
from core.errors import KafkaUnavailableError
from gateways.kafka.client import administering, answers, asking
from gateways.kafka.connection import ClientOptions
from gateways.kafka.offsets import stable_ends
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from gateways.kafka.sameness import other_logs
from rules.wording import plural
from topics.dead_letter import DEAD_LETTER
from topics.topology import API

log = structlog.get_logger()

BATCH_MESSAGES = 500
RETRY_SECONDS = 1.0
ANSWER_SECONDS = 3.0
CATCH_UP_SECONDS = 15.0


class Feed:
    """The task that keeps the view up to date, and what is known of its progress."""

    def __init__(
        self, kafka: ClientOptions, partitions: int, database: Database, changes: Changes, retention_hours: int
    ) -> None:
        self._kafka = kafka
        self._database = database
        self._changes = changes
        self._retention_seconds = retention_hours * 3600
        self._parts = [
            part
            for topic in (*(read.name for read in API.reads), DEAD_LETTER)
            for part in all_partitions(topic, partitions)
        ]
        self._is_reading = False
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
        if not self._is_reading:
            return self._problem
        behind = sum(max(0, end - self._next[part]) for part, end in self._ends_at_start.items())
        if behind:
            return f"is being read: {plural(behind, 'message is', 'messages are')} to come"
        return None if await answers(self._kafka, ANSWER_SECONDS) else "does not answer"

    async def catch_up(self, topic: str, what: str) -> None:
        """Wait until the view has what a topic has now. Raises KafkaUnavailableError; `what`: its name in that."""
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._catch_up(topic)
        except (TimeoutError, KafkaError) as error:
            raise KafkaUnavailableError(
                f"The {what} cannot be read yet: Kafka {await self.problem() or 'is slow'}. Try again."
            ) from error

    async def _catch_up(self, topic: str) -> None:
        async with asking(self._kafka) as client:
            ends = await stable_ends(client, [part for part in self._parts if part.topic == topic])
        with self._changes.watch(topic) as changed:
            while any(self._next.get(part, 0) < end for part, end in ends.items()):
                await changed.wait()
                changed.clear()

    async def _read(self) -> None:
        self._failed = False
        reader = Reader(self._kafka, self._parts, on_out_of_range=self._out_of_range.__setitem__, on_failed=self._fail)
        try:
            async with reader:
                await self._start_where_the_view_ends(reader)
                self._is_reading = True
                self._changes.notify({part.topic for part in self._parts})
                await self._follow(reader)
        finally:
            self._is_reading = False

    async def _follow(self, reader: Reader) -> None:
        """Write what comes, until it may be of another log than what the view holds."""
        while True:
            records = await reader.take(BATCH_MESSAGES)
            if self._out_of_range or (self._failed and records):
                return
            await self._write(records)
            await self._go_on(reader)
            await self._database.write(writing.forget_files)
            await self._database.read(writing.give_back_disk)

    def _fail(self, _: object) -> None:
        self._failed, self._problem = True, "is compared with what was read of it, as a broker failed"

    async def _write(self, records: list[KafkaRecord]) -> None:
        if records:
            messages = [_message(record) for record in records]
            changed = await self._database.write(lambda connection: writing.write(connection, messages))
            topics = {record.topic for record in records}
            if DEAD_LETTER in topics:
                await self._forget_letters()
            self._changes.notify(changed | topics)

    async def _go_on(self, reader: Reader) -> None:
        """Note what has been read, with the offsets that hold no message, such as the markers of transactions."""
        for part in self._parts:
            position = await reader.position(part)
            if position > self._next[part]:
                self._next[part] = position
                self._changes.notify({part.topic})

    async def _forget_letters(self) -> None:
        oldest = time.time() - self._retention_seconds
        await self._database.write(lambda connection: dead_letters.forget(connection, oldest))

    async def _start_where_the_view_ends(self, reader: Reader) -> None:
        """Go to the view's offsets in all partitions, or from the start where the view is not of these logs.

        They are others where they end before what the view has read, or do not hold what it read last: a broker may
        have lost the end of one, or a topic been made anew.
        Where the oldest messages were deleted meanwhile, reading goes on at the first that is left.
        """
        cluster_id = await self._cluster_id()
        stored = await self._database.read(lambda connection: writing.last_reads(connection, cluster_id))
        known = {TopicPartition(*part): last for part, last in (stored or {}).items()}
        begins = await reader.begins()
        self._ends_at_start = ends = await reader.ends()
        lost = {part for part, offset in self._out_of_range.items() if offset >= begins[part]}
        lost |= {part for part, last in known.items() if last.offset >= ends[part]}
        lost |= await other_logs(self._kafka, known)
        self._out_of_range.clear()
        if stored is None or lost:
            log.warning(
                "view-rebuilt", cluster_id=cluster_id, other_logs=sorted(f"{p.topic}-{p.partition}" for p in lost)
            )
            await self._database.write(lambda connection: writing.rebuild(connection, cluster_id))
            known = {}
        await self._forget_letters()
        self._next = {part: max(known[part].offset + 1 if part in known else 0, begins[part]) for part in self._parts}
        reader.go_to(self._next)

    async def _cluster_id(self) -> str:
        """Name of the cluster: a broker whose data was wiped has another."""
        async with administering(self._kafka) as admin:
            return str((await admin.describe_cluster())["cluster_id"])


def _message(record: KafkaRecord) -> writing.Message:
    return writing.Message(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        at=record.timestamp / 1000,
    )
