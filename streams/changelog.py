"""How the changelog records of a table are sent: in order, each with a delivery that can be awaited.

Faust takes each through a buffer, a task and its sensors, which cost more than the record.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata
from faust.types import TP

from streams.tasks import start


@dataclass(slots=True)
class _Waiting:
    partition: int
    key: bytes
    value: bytes | None
    delivered: "asyncio.Future[None]"


class Changelog:
    """Sends records to one topic. `on_delivered` is told the first and last offset of records without a gap."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, on_delivered: Callable[[TP, int, int], None]) -> None:
        self._producer = producer
        self._topic = topic
        self._on_delivered = on_delivered
        self._waiting: deque[_Waiting] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._ended: defaultdict[TP, list[int]] = defaultdict(list)

    def send(self, partition: int, key: bytes, value: bytes | None) -> "asyncio.Future[None]":
        """Send a record behind all earlier ones; await the result to know that it is delivered."""
        delivered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(partition, key, value, delivered))
        if self._sending is None:
            self._sending = start(self._send())
        return delivered

    def _end(self, one: _Waiting, sent: "asyncio.Future[RecordMetadata]") -> None:
        error = sent.exception()
        if error is None:
            metadata = sent.result()
            if not self._ended:
                # Those of one request are delivered at once, and noted as one.
                asyncio.get_running_loop().call_soon(self._tell)
            self._ended[TP(metadata.topic, metadata.partition)].append(metadata.offset)
        if one.delivered.done():
            return  # nobody waits any more
        if error is None:
            one.delivered.set_result(None)
        else:
            one.delivered.set_exception(error)

    def _tell(self) -> None:
        ended, self._ended = self._ended, defaultdict(list)
        for tp, offsets in ended.items():
            for first, last in runs(offsets):
                self._on_delivered(tp, first, last)

    async def _send(self) -> None:
        try:
            while self._waiting:
                one = self._waiting[0]
                sent = await self._producer.send(self._topic, one.value, key=one.key, partition=one.partition)
                self._waiting.popleft()
                sent.add_done_callback(partial(self._end, one))
        except Exception as error:
            while self._waiting:
                self._waiting.popleft().delivered.set_exception(error)
        finally:
            self._sending = None


def runs(offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of offsets that follow each other without a gap."""
    first = last = None
    for offset in offsets:
        if last is not None and offset != last + 1:
            yield first or 0, last
            first = None
        first, last = offset if first is None else first, offset
    if first is not None and last is not None:
        yield first, last
