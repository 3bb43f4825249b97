"""Where the logs of partitions end, whatever a consumer may read of them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy

RETRY_SECONDS = 0.1
UNCOMMITTED = 0


async def log_ends(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset behind the last message of each, also where a transaction is open.

    Asks again while a partition has no leader: the caller bounds the time. Raises KafkaError for what stays.
    """
    wanted = set(parts)
    found: dict[TopicPartition, int] = {}
    while missing := wanted - found.keys():
        try:
            found |= await _ends(client, missing)
        except KafkaError as error:
            if not error.retriable:
                raise
            client.force_metadata_update()
            await asyncio.sleep(RETRY_SECONDS)
    return found


async def _ends(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for part in parts:
        leader = client.cluster.leader_for_partition(part)
        if leader is None or leader < 0:
            client.add_topic(part.topic)
            raise LeaderNotAvailableError(part)
        by_leader[leader][part.topic].append((part.partition, OffsetResetStrategy.LATEST))
    found = {}
    for leader, topics in by_leader.items():
        for topic, answers in (await client.send(leader, OffsetRequest(-1, UNCOMMITTED, list(topics.items())))).topics:
            for partition, code, _timestamp, end in answers:
                if code:
                    raise for_code(code)(f"{topic}-{partition}")
                found[TopicPartition(topic, partition)] = end
    return found
