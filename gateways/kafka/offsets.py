"""Where the logs of partitions begin and end, whatever a consumer reads of them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy

RETRY_SECONDS = 0.1
# Longer than a broker takes to come back, or another to take its place.
LEADER_SECONDS = 60.0
UNCOMMITTED, COMMITTED = 0, 1

Offsets = dict[TopicPartition, int]


class _Place(Enum):
    """Where in a log, and to whom: its isolation level."""

    BEGIN = (OffsetResetStrategy.EARLIEST, UNCOMMITTED)
    STABLE_END = (OffsetResetStrategy.LATEST, COMMITTED)
    END = (OffsetResetStrategy.LATEST, UNCOMMITTED)


async def log_begins(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> Offsets:
    """Return the offset of the first message of each that Kafka still has. For retries and errors see `log_ends`."""
    return await _found(client, parts, _Place.BEGIN)


async def stable_ends(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> Offsets:
    """Return how far each may be read: to its end, or to the first open transaction. See `log_ends`."""
    return await _found(client, parts, _Place.STABLE_END)


async def log_ends(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> Offsets:
    """Return the offset behind the last message of each, also where a transaction is open.

    Asks again for a minute while a partition has no leader. Raises KafkaError for what stays.
    """
    return await _found(client, parts, _Place.END)


async def _found(client: AIOKafkaClient, parts: Iterable[TopicPartition], place: _Place) -> Offsets:
    wanted = set(parts)
    found: Offsets = {}
    deadline = time.monotonic() + LEADER_SECONDS
    while missing := wanted - found.keys():
        try:
            found |= await _ask(client, missing, place)
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
            client.force_metadata_update()
            await asyncio.sleep(RETRY_SECONDS)
    return found


async def _ask(client: AIOKafkaClient, parts: Iterable[TopicPartition], place: _Place) -> Offsets:
    strategy, isolation = place.value
    unknown = {part.topic for part in parts if client.cluster.leader_for_partition(part) is None}
    await asyncio.gather(*[client.add_topic(topic) for topic in unknown])  # all of them come with one answer
    by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        leader = client.cluster.leader_for_partition(part)
        if leader is None or leader < 0:
            raise LeaderNotAvailableError(part)
        by_leader[leader][part.topic].append((part.partition, strategy))
    found = {}
    for leader, topics in by_leader.items():
        for topic, answers in (await client.send(leader, OffsetRequest(-1, isolation, list(topics.items())))).topics:
            for partition, code, _timestamp, offset in answers:
                if code:
                    raise for_code(code)(f"{topic}-{partition}")
                found[TopicPartition(topic, partition)] = offset
    return found
