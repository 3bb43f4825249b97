"""Transactions that are open: nothing behind the first message of one is read until it ends.

aiokafka has no requests for them: https://kafka.apache.org/protocol (KIP-664).
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from gateways.kafka.offsets import log_ends, stable_ends
from rules.wording import plural

MEND = "End its producer, or abort it (`kafka-transactions.sh abort`)."
_OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction that holds a partition. `since` in seconds since 1970; what the broker does not tell is None."""

    topic: str
    partition: int
    messages: int
    producer: str | None = None
    since: float | None = None

    def age(self, now: float) -> float:
        """Return its age in seconds; 0 where that is not known."""
        return 0.0 if self.since is None else max(0.0, now - self.since)

    def describe(self, now: float) -> str:
        """Say what it holds, and for how long."""
        age = "" if self.since is None else f", open for {self.age(now):.0f} s,"
        messages = plural(self.messages, "message is", "messages are")
        return f"{self._who}{age} holds {self._where}: {messages} not read until it ends. {MEND}"

    @property
    def reason(self) -> str:
        """Why nothing is read, in words that stay the same while it is open."""
        since = "" if self.since is None else f", open since {_iso(self.since)},"
        return f"{self._who}{since} holds {self._where}: nothing behind it is read. {MEND}"

    @property
    def _who(self) -> str:
        return "A transaction" if self.producer is None else f"The transaction of {self.producer!r}"

    @property
    def _where(self) -> str:
        return f"{self.topic}, partition {self.partition}"


class _ListedTransactions(Response):  # type: ignore[misc]  # untyped base
    API_KEY = 66
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("unknown_state_filters", CompactArray(CompactString())),
        (
            "transactions",
            CompactArray(
                ("transactional_id", CompactString()),
                ("producer_id", Int64),
                ("state", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ListStruct(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 66
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ListedTransactions
    SCHEMA = Schema(
        ("state_filters", CompactArray(CompactString())),
        ("producer_id_filters", CompactArray(Int64)),
        ("tags", TaggedFields),
    )


class _List(Request[_ListStruct]):  # type: ignore[misc]  # untyped base
    API_KEY = 66

    def build(self, request_struct_class: type[_ListStruct]) -> _ListStruct:
        return request_struct_class(list(_OPEN), [], {})


class _DescribedTransactions(Response):  # type: ignore[misc]  # untyped base
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString()),
                ("state", CompactString()),
                ("timeout_ms", Int32),
                ("start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString()), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeStruct(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 65
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribedTransactions
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString())), ("tags", TaggedFields))


class _Describe(Request[_DescribeStruct]):  # type: ignore[misc]  # untyped base
    API_KEY = 65

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids

    def build(self, request_struct_class: type[_DescribeStruct]) -> _DescribeStruct:
        return request_struct_class(self._ids, {})


async def holding(client: AIOKafkaClient, parts: Iterable[TopicPartition]) -> list[OpenTransaction]:
    """Return what holds these partitions, the oldest first. Raises KafkaError when no broker answers."""
    wanted = set(parts)
    # The ends first: what comes meanwhile is held by nothing.
    ends, stable = await log_ends(client, wanted), await stable_ends(client, wanted)
    held = {part: ends[part] - stable[part] for part in wanted if ends[part] > stable[part]}
    known = await _known(client) if held else {}
    found = []
    for part, messages in held.items():
        producer, since = known.get(part, (None, None))
        found.append(OpenTransaction(part.topic, part.partition, messages, producer, since))
    return sorted(found, key=lambda one: one.since or time.time())


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


async def _known(client: AIOKafkaClient) -> dict[TopicPartition, tuple[str, float]]:
    """Return by partition the oldest open transaction; nothing where the brokers do not tell."""
    found: dict[TopicPartition, tuple[str, float]] = {}
    for broker in client.cluster.brokers():
        try:
            async with asyncio.timeout(10):
                listed = [one[0] for one in (await client.send(broker.nodeId, _List())).transactions]
                if not listed:
                    continue
                described = (await client.send(broker.nodeId, _Describe(listed))).transactions
        except (KafkaError, IncompatibleBrokerVersion, NotImplementedError, TimeoutError):
            continue
        for code, name, _state, _timeout, start_ms, _id, _epoch, topics, _tags in described:
            if code or start_ms < 0:
                continue
            for topic, partitions, _ in topics:
                for partition in partitions:
                    part = TopicPartition(topic, partition)
                    found[part] = min(
                        found.get(part, (name, start_ms / 1000)), (name, start_ms / 1000), key=lambda x: x[1]
                    )
    return found
