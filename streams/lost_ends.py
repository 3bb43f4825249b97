"""Logs that lost their end while a stage reads them: the stage ends, to read such a partition anew.

A log that ends before what was read is out of range, which the thread that reads tells. One that has grown beyond that
again is compared with what was read, after each failure of a broker (`streams.doubts`).
"""

from collections import deque
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from core.errors import FatalError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.sameness import other_logs
from rules.positions import Begin, begin_at
from streams.beginnings import say
from streams.consumer_thread import ConsumerThread
from streams.doubts import Doubts


class LostEnds(Consumer):
    """Faust's consumer, which looks whether the logs of the source topics are still those that were read."""

    kafka: ClientOptions
    _thread: ConsumerThread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of each partition, the offset to hand on next. Empty between a rebalance and the stage's going on.
        self.next_offsets: dict[TP, int] = {}
        # From the thread that reads.
        self.out_of_range: deque[TP] = deque()
        self.doubts = Doubts(self._compare, self.add_future)
        # Of these nothing is committed any more.
        self.lost_their_end: set[TP] = set()

    async def log_ends(self, parts: set[TP]) -> dict[TP, int]:
        """Return where the logs of partitions end, whatever is committed of them."""
        return await self._thread.log_ends(parts)

    async def look_into_what_is_out_of_range(self) -> None:
        """Go on behind messages that were deleted unread; end the stage where a log has lost its end."""
        while self.out_of_range:
            tp = self.out_of_range.popleft()
            if self._is_changelog_tp(tp):
                if self.app.in_recovery:
                    await self.crash(FatalError(f"The changelog {tp.topic}-{tp.partition} has lost its end."))
                continue
            expected = self.next_offsets.get(tp)
            if expected is None or tp not in self.assignment():
                continue
            first, end = (await self.earliest_offsets(tp))[tp], (await self.log_ends({tp}))[tp]
            begin = begin_at(expected, first, end)
            say(self.app.conf.id, tp, expected, begin, end)
            if begin.anew:
                await self._give_up(tp, first)
            elif begin.deleted:
                self._gap[tp].addi(expected, first)
                self.next_offsets[tp] = first

    async def _compare(self, parts: set[TP]) -> None:
        """End the stage where a log is not the one that was read. A rebalance has its partitions compared anew."""
        generation = self.app.consumer_generation_id
        expected = {tp: self.next_offsets[tp] for tp in parts & self.next_offsets.keys()}
        for part in await other_logs(self.kafka, await self._thread.last_before(expected)):
            tp = TP(*part)
            first, end = (await self.earliest_offsets(tp))[tp], (await self.log_ends({tp}))[tp]
            if generation == self.app.consumer_generation_id and tp in self.next_offsets:
                say(self.app.conf.id, tp, expected[tp], Begin(first, anew=True), end)
                await self._give_up(tp, first)

    async def _give_up(self, tp: TP, first: int) -> None:
        """End the stage, to read a partition anew: what is in work is of the old log, and so are its acks."""
        self.lost_their_end.add(tp)
        await self._thread.commit({tp: first})
        await self.crash(FatalError(f"The log of {tp.topic}-{tp.partition} has lost its end: it is read anew."))
