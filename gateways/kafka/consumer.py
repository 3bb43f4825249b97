"""Consumers as Darkroom has them: they read committed messages only, and pass what cannot be read.

aiokafka raises for a batch that it cannot read, each time; and where the broker itself cannot read its log, it asks
for the same offset again for ever. So what the broker answers is looked through (`gateways.kafka.batches`) before
aiokafka sees it, in every consumer of every process. What is left out is said in the log and counted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, KafkaError, NoError, OffsetOutOfRangeError, UnknownError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy

from core import metrics
from gateways.kafka.batches import Unreadable, empty, readable
from gateways.kafka.connection import ClientOptions

READ_COMMITTED = "read_committed"
# A broker that cannot read an offset may be able to in a moment, or another that takes its place.
STUCK_SECONDS = 5.0
PAUSE_SECONDS = 0.1
# The broker gives one batch, whatever is asked for.
PROBE_BYTES = 1
# The distance of offsets in a batch is a number of 32 bits.
MOST_OFFSETS = (1 << 31) - 1

log = structlog.get_logger()

LeftOut = Callable[[TopicPartition, Unreadable], None]
OutOfRange = Callable[[TopicPartition, int], None]
Failed = Callable[[Set[TopicPartition]], None]


def new_consumer(
    kafka: ClientOptions,
    *topics: str,
    on_out_of_range: OutOfRange | None = None,
    on_failed: Failed | None = None,
    **options: Any,
) -> AIOKafkaConsumer:
    """Return a consumer, not started: it commits only what it is told to, and begins at the first message."""
    defaults: dict[str, Any] = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": READ_COMMITTED,
    }
    consumer = AIOKafkaConsumer(*topics, **kafka, **defaults | options)
    read_carefully(consumer, on_out_of_range=on_out_of_range, on_failed=on_failed)
    return consumer


def read_carefully(
    consumer: AIOKafkaConsumer,
    *,
    on_left_out: LeftOut | None = None,
    on_out_of_range: OutOfRange | None = None,
    on_failed: Failed | None = None,
) -> None:
    """Have a consumer that has not started pass what cannot be read.

    `on_left_out` is told of it, once an offset, in the consumer's thread; `on_out_of_range` of a position that is not
    in the log any more, behind its end or before its beginning; `on_failed` of partitions whose broker gave no answer,
    or is not theirs: what is fetched next may be of another log.
    """
    client = consumer._client
    client.send = _Careful(client.send, on_left_out, on_out_of_range, on_failed).send


@dataclass(frozen=True, slots=True)
class _Stuck:
    """A position that brings nothing though there is more behind it."""

    offset: int
    since: float


class _Careful:
    """Stands between a fetcher and its broker."""

    def __init__(
        self,
        send: Callable[..., Awaitable[Any]],
        on_left_out: LeftOut | None,
        on_out_of_range: OutOfRange | None,
        on_failed: Failed | None,
    ) -> None:
        self._send = send
        self._on_left_out = on_left_out
        self._on_out_of_range = on_out_of_range
        self._on_failed = on_failed
        self._told: dict[TopicPartition, int] = {}
        self._stuck: dict[TopicPartition, _Stuck] = {}

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request, as aiokafka's client does."""
        if not isinstance(request, FetchRequest):
            return await self._send(node_id, request, **options)
        asked = {TopicPartition(topic, part[0]): part[1] for topic, parts in request.topics for part in parts}
        try:
            response = await self._send(node_id, request, **options)
        except KafkaError:
            self._fail(asked.keys())
            raise
        topics = []
        for topic, parts in response.topics:
            looked_through = []
            for part in parts:
                tp = TopicPartition(topic, part[0])
                looked_through.append(await self._look_through(node_id, request, tp, asked[tp], part))
                await asyncio.sleep(0)  # the records of each were decoded
            topics.append((topic, looked_through))
        response.topics = topics
        if self._stuck.keys() & asked.keys():
            await asyncio.sleep(PAUSE_SECONDS)
        return response

    async def _look_through(
        self, node_id: int, request: FetchRequest, tp: TopicPartition, at: int, part: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Return what the broker says of a partition as aiokafka may see it."""
        number, code, highwater, *between, data = part
        error = for_code(code)
        # An old broker tells of no stable offset.
        stable = between[0] if between and isinstance(between[0], int) and between[0] >= 0 else highwater
        if error is OffsetOutOfRangeError:
            log.warning("offset-out-of-range", topic=tp.topic, partition=tp.partition, offset=at)
            if self._on_out_of_range is not None:
                self._on_out_of_range(tp, at)
        if error in {CorruptRecordException, UnknownError} or (error is NoError and not data and at < stable):
            return await self._looked_behind(node_id, request, tp, at, part)
        self._stuck.pop(tp, None)
        if error not in {NoError, OffsetOutOfRangeError}:
            self._fail({tp})
        if error is not NoError or not data:
            return part
        whole, left_out = readable(data, at, highwater)
        for one in left_out:
            self._tell(tp, one)
        return number, code, highwater, *between, whole

    def _fail(self, parts: Set[TopicPartition]) -> None:
        if self._on_failed is not None:
            self._on_failed(parts)

    async def _looked_behind(
        self, node_id: int, request: FetchRequest, tp: TopicPartition, at: int, part: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Lead to the next offset that the broker gives, where it has given nothing for a while.

        Where it fails without saying that its log is broken, and gives nothing up to the end, the fault may be another.
        """
        stuck = self._stuck.get(tp)
        if stuck is None or stuck.offset != at:
            self._stuck[tp] = _Stuck(at, time.monotonic())
            return part
        if time.monotonic() - stuck.since < STUCK_SECONDS:
            return part
        number, code, highwater, *between, _ = part
        error = for_code(code)
        try:
            end = await self._end(node_id, request, tp)
            found = await _next_served(at, end, lambda offset: self._is_served(node_id, request, tp, offset))
        except KafkaError:
            return part
        if found == at or (found == end and error is UnknownError):
            self._stuck[tp] = _Stuck(at, time.monotonic())
            log.warning("partition-without-answer", topic=tp.topic, partition=tp.partition, offset=at)
            return part
        del self._stuck[tp]
        found = min(found, at + MOST_OFFSETS)
        why = "gives nothing of them" if error is NoError else f"cannot read them ({error.__name__})"
        self._tell(tp, Unreadable(at, found - 1, f"the broker {why}"))
        if between:
            between[0] = end  # of an error, the broker says no stable offset
        return number, NoError.errno, max(highwater, end), *between, empty(at, found - 1)

    async def _end(self, node_id: int, request: FetchRequest, tp: TopicPartition) -> int:
        asking = OffsetRequest(-1, request._isolation_level, [(tp.topic, [(tp.partition, OffsetResetStrategy.LATEST)])])
        ((_, ((_, code, _, end),)),) = (await self._send(node_id, asking)).topics
        if code:
            raise for_code(code)
        return int(end)

    async def _is_served(self, node_id: int, request: FetchRequest, tp: TopicPartition, offset: int) -> bool:
        topics = [(tp.topic, [(tp.partition, offset, PROBE_BYTES)])]
        asking = FetchRequest(0, 1, PROBE_BYTES, request._isolation_level, topics)
        ((_, (part,)),) = (await self._send(node_id, asking)).topics
        return not part[1] and bool(part[-1])

    def _tell(self, tp: TopicPartition, left_out: Unreadable) -> None:
        """Tell once: the same offsets may be fetched again."""
        if left_out.last <= self._told.get(tp, -1):
            return
        self._told[tp] = left_out.last
        log.error(
            "messages-unreadable",
            topic=tp.topic,
            partition=tp.partition,
            first_offset=left_out.first,
            last_offset=left_out.last,
            reason=left_out.reason,
        )
        metrics.UNREADABLE.labels(tp.topic).inc(left_out.last - left_out.first + 1)
        if self._on_left_out is not None:
            self._on_left_out(tp, left_out)


async def _next_served(at: int, end: int, is_served: Callable[[int], Awaitable[bool]]) -> int:
    """Return the first offset from `at` on that is served; `end` where none before it is.

    In steps that grow, then by halves: what cannot be served lies together.
    """
    if at >= end or await is_served(at):
        return at
    dead, step = at, 1
    while (alive := min(at + step, end)) < end and not await is_served(alive):
        dead, step = alive, 2 * step
    while alive - dead > 1:
        middle = (dead + alive) // 2
        if await is_served(middle):
            alive = middle
        else:
            dead = middle
    return alive


class Connected:
    """What reads with a consumer: `async with`, it is connected until the block ends."""

    _consumer: AIOKafkaConsumer

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Exception):  # what ended the reading matters, not what closing says after it
            await self._consumer.stop()
