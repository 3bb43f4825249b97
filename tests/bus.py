"""A plain Kafka client for tests: publishes to the topics and waits for what comes out, with a deadline."""

import asyncio
import dataclasses
import json
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from core.settings import STAGES, Settings
from gateways.kafka.consumer import new_consumer
from tests.deadlines import HANG_SECONDS
from topics import bundle
from topics.admin import create_topics
from topics.record import Topic
from topics.sentinel import sentinel_headers
from topics.topology import TOPICS

FINISHED = {"completed", "completed_with_errors", "failed", "cancelled"}
PARTITIONS = 4
_OF_FILES: dict[str, Topic[Any]] = {topic.name: topic for topic in TOPICS if topic.has_bundles}
# A killed worker leaves its group when its session (10 s) ends.


class Bus:
    """Sees every message of some topics from the moment it was opened."""

    def __init__(self, brokers: str, *topics: str) -> None:
        self.brokers = brokers
        self._topics = topics
        self._producer = AIOKafkaProducer(bootstrap_servers=brokers, max_request_size=4 << 20)
        # What is asked of Kafka on this connection waits for the fetch before it.
        self._consumer = new_consumer({"bootstrap_servers": brokers}, fetch_max_bytes=64 << 20, fetch_max_wait_ms=100)
        self.messages: list[ConsumerRecord] = []
        # What each file of them would be alone.
        self.records: list[ConsumerRecord] = []
        self._decoded: dict[str, list[dict[str, Any]]] = {}
        self._decoded_records: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        assigned = [TopicPartition(topic, number) for topic in self._topics for number in range(PARTITIONS)]
        self._consumer.assign(assigned)
        await self._consumer.seek_to_end(*assigned)
        for partition in assigned:
            await self._consumer.position(partition)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def publish(
        self,
        topic: str,
        key: str,
        value: Any,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> None:
        """Send a message; a dict goes as JSON, None as a tombstone."""
        raw = json.dumps(value).encode() if isinstance(value, dict) else value
        await self._producer.send_and_wait(topic, raw, key=key.encode(), headers=headers or [], partition=partition)

    async def close_job(self, job_id: str, topic: str = "raw-path", walk_id: str = "walk") -> None:
        """Send the sentinels of a walk."""
        for number in range(PARTITIONS):
            await self.publish(topic, job_id, None, sentinel_headers(job_id, walk_id, None), number)

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = HANG_SECONDS) -> Any:
        """Read on until a condition over `records` is true, and return it. Fails after the deadline."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"Not within {seconds:g} s: {what}. Seen: {self._summary()}")
            for records in (await self._consumer.getmany(timeout_ms=int(min(left, 0.5) * 1000))).values():
                self._take(records)
        return found

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Return the offset behind the last message of each partition."""
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return found

    def _take(self, records: list[ConsumerRecord]) -> None:
        self.messages.extend(records)
        for record in records:
            self.records.extend(files_of(record))

    def values(self, topic: str, **fields: Any) -> list[dict[str, Any]]:
        """Return the JSON values of a topic that have these fields; what is no object is left out."""
        # Asked again and again while a test waits: each message is decoded once.
        decoded = self._decoded.setdefault(topic, [])
        fresh = islice(self.records, self._decoded_records.get(topic, 0), None)
        decoded.extend(value for r in fresh if r.topic == topic and (value := _object(r.value)))
        self._decoded_records[topic] = len(self.records)
        return [value for value in decoded if all(value.get(name) == wanted for name, wanted in fields.items())]

    def of_job(self, topic: str, job_id: str, *, whole: bool = False) -> list[ConsumerRecord]:
        """Return the messages of a topic with this job in their headers, also tombstones, in order of arrival.

        Those about many files as what each would be alone, unless they are wanted `whole`.
        """
        wanted = ("job_id", job_id.encode())
        return [
            record
            for record in (self.messages if whole else self.records)
            if record.topic == topic and wanted in record.headers
        ]

    def events(self, job_id: str, kind: str) -> list[dict[str, Any]]:
        """Return a job's events of one type."""
        return self.values("job-event", job_id=job_id, type=kind)

    def outcomes(self, job_id: str) -> dict[str, dict[str, Any]]:
        """Return what job-event says of the outcomes of a job's files, by path."""
        return {file["path"]: file for event in self.events(job_id, "outcomes") for file in event["files"]}

    async def finished(self, job_id: str, seconds: float = HANG_SECONDS) -> dict[str, Any]:
        """Wait for a job's end and return its status document."""

        def end() -> dict[str, Any] | None:
            states = [s for s in self.values("job-status", job_id=job_id) if s["status"] in FINISHED]
            return max(states, key=lambda s: s["offset"]) if states else None

        status: dict[str, Any] = await self.until(end, f"the end of job {job_id}", seconds)
        return status

    async def quiet(self, seconds: float) -> None:
        """Read on for a time, for what must not come."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for records in (await self._consumer.getmany(timeout_ms=int(min(left, 0.5) * 1000))).values():
                self._take(records)
            await asyncio.sleep(0)

    def _summary(self) -> str:
        newest = self.values("job-status")[-1:]
        counts: dict[str, int] = {}
        for record in self.records:
            counts[record.topic] = counts.get(record.topic, 0) + 1
        return f"{counts}; newest status {newest}"


def files_of(record: ConsumerRecord) -> list[ConsumerRecord]:
    """Return a message of many files as the messages that each would have alone, at its offset; another as it is."""
    topic = _OF_FILES.get(record.topic)
    if topic is None or bundle.opened(topic, record.value or b"", record.headers) is None:
        return [record]
    return [_alone(topic, record, entry) for entry in bundle.decode(topic, record.value, record.headers)]


def _alone(topic: Topic[Any], record: ConsumerRecord, entry: bundle.Entry[Any]) -> ConsumerRecord:
    if entry.refused is not None:
        key, value, headers = entry.refused.key, entry.refused.value, entry.headers.encode()
    else:
        key, value = bundle.key_of(topic, entry.record), topic.encode(entry.record)
        headers = topic.headers(entry.record, entry.headers)
    return dataclasses.replace(record, key=key, value=value, headers=tuple(headers))


def _object(value: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def skip_backlog(brokers: str) -> None:
    """Let the consumer groups of all stages begin behind what earlier tests left in the topics."""
    asyncio.run(_skip_backlog(brokers))


async def _skip_backlog(brokers: str) -> None:
    await create_topics(Settings(), brokers)
    partitions = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(PARTITIONS)]
    admin, asking = AIOKafkaAdminClient(bootstrap_servers=brokers), AIOKafkaConsumer(bootstrap_servers=brokers)
    await admin.start()
    await asking.start()
    try:
        ends = {part: end for part, end in (await asking.end_offsets(partitions)).items() if end}
        if ends:
            await asyncio.gather(*(_skip_backlog_of(admin, brokers, f"darkroom-{stage}", ends) for stage in STAGES))
    finally:
        await asking.stop()
        await admin.close()


async def _skip_backlog_of(
    admin: AIOKafkaAdminClient, brokers: str, group: str, ends: dict[TopicPartition, int]
) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(ends))
        await consumer.committed(next(iter(ends)))  # waits until there is a coordinator; the admin client does not
        deadline = time.monotonic() + HANG_SECONDS
        # A worker that was killed is a member until its session ends.
        while await members(admin, group):
            assert time.monotonic() < deadline, "A worker of another test is still running."
            await asyncio.sleep(0.2)
        await consumer.commit(ends)
    finally:
        await consumer.stop()


async def members(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    """Return the members of a consumer group."""
    (answer,) = await admin.describe_consumer_groups([group])
    found: list[Any] = answer.to_object()["groups"][0]["members"]
    return found
