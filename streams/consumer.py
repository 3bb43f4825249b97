"""The consumer of a stage: hands on every message between the committed offset and the newest, none left out.

What Faust does in place of each is said at the method that replaces its own. Those that begin with an underscore, and
what else of Faust is private, are listed in `streams.upstream`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import faust
import structlog
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from core.errors import FatalError, KafkaUnavailableError
from gateways.kafka.batches import Unreadable
from gateways.kafka.connection import ClientOptions
from gateways.kafka.sameness import other_logs
from rules.positions import Begin, begin_at
from streams.beginnings import beginnings, say
from streams.consumer_thread import ConsumerThread
from streams.doubts import Doubts

# Longer than a broker takes to come back; the process that gives up is started again, with nothing lost.
COMMIT_SECONDS = 120.0
# Shorter than Faust waits for a seek (`broker_request_timeout`).
SEEK_SECONDS = 60.0
# Faust asks for nothing of the partitions whose queue is full; where that is all of them, it looks again after this.
FULL_QUEUE_SECONDS = 0.02

PutAside = Callable[[TopicPartition, Unreadable], Awaitable[None]]
"""Takes what could not be read, and returns when it is noted for good."""

log = structlog.get_logger()


class GaplessConsumer(Consumer):
    """Faust's consumer, with a check of the offsets of the source topics.

    Faust fetches ahead. When a rebalance makes it seek back to the committed offset, records that were fetched before
    the seek may still be handed on; it takes the offsets before them for a gap in the topic, counts these as acked, and
    drops the messages when they come. What was in between is lost (faust-streaming #221, robinhood/faust #559).

    A message that is not the next one is not handed on; the partition is read again from where it should go on.
    When the same message comes again, the offsets before it hold none: a transaction's markers, what was aborted,
    expired, or could not be read. Likewise where reading goes on behind such offsets without a message.
    """

    kafka: ClientOptions
    put_aside: PutAside
    _thread: ConsumerThread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of each partition, the offset to hand on next. Empty between a rebalance and the stage's going on, for which
        # `_begins` are kept.
        self._next: dict[TP, int] = {}
        self._begins: dict[TP, int] = {}
        self._passed_over: set[TP] = set()
        self._reader: asyncio.Task[Any] | None = None
        self._asked_again: dict[TP, int] = {}
        # From the thread that reads.
        self._left_out: deque[tuple[TopicPartition, Unreadable]] = deque()
        self._out_of_range: deque[TP] = deque()
        self._doubts = Doubts(self._compare, self.add_future)
        # How far the agents' tables have been given what their changelogs hold.
        self.changelog_read_to: dict[TP, int] = {}
        # Of these nothing is committed any more.
        self._lost_their_end: set[TP] = set()

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.on_left_out = lambda part, left_out: self._left_out.append((part, left_out))
        thread.on_out_of_range = lambda part, _offset: self._out_of_range.append(TP(*part))
        thread.on_failed = lambda parts: self._doubts.tell({TP(*part) for part in parts})
        return thread

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit all that is acked now. Tell whether there was anything. One that hangs ends the app.

        In Faust, who asks for a commit while another is under way gets that one, which may have begun before the newest
        acks: the last commit of an orderly stop left those out. One that never ends, as was seen after a broker had
        frozen and was killed (aiokafka #875), would hold up all that follow, and the next rebalance with them.
        """
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                while await self.maybe_wait_for_commit_to_finish():
                    pass
                committed: bool = await super().commit(topics, start_new_transaction)
        except TimeoutError:
            await self.crash(KafkaUnavailableError(f"Kafka did not confirm a commit within {COMMIT_SECONDS:g} s."))
            return False
        return committed

    async def perform_seek(self) -> None:
        """Go back to the committed offsets, and expect what stands there once the stage goes on.

        Where nothing is committed yet, Faust leaves the position as it is, maybe behind messages that a rebalance
        or an earlier fetch has passed over: it goes back to the first one. Likewise where the log is another one than
        was read. A seek that hangs ends the app: Faust gives it up in silence, and nothing would be handed on any more.
        """
        if asyncio.current_task() is self._reader:
            return  # Reading was stopped in between; it begins anew with a seek at the end of the rebalance.
        try:
            async with asyncio.timeout(SEEK_SECONDS):
                await self._go_back()
        except TimeoutError:
            await self.crash(KafkaUnavailableError(f"Kafka did not say within {SEEK_SECONDS:g} s where to begin."))

    async def _go_back(self) -> None:
        generation = self.app.consumer_generation_id
        await super().perform_seek()
        begins = {tp: offset for tp, offset in self._read_offset.items() if not self._is_changelog_tp(tp)}
        committed = {tp: begins[tp] for tp in begins.keys() & self.assignment()}
        for tp, begin in (await beginnings(self._thread, self.kafka, committed)).items():
            if begin.offset != begins[tp] or not begin.offset:  # to 0, aiokafka does not seek
                await self._seek(tp, begin.offset)
            begins[tp] = self._committed_offset[tp] = begin.offset
            if begin.anew:
                # At once: until something is acked, a restart would find the log as it is now.
                await self._thread.commit({tp: begin.offset})
        if generation == self.app.consumer_generation_id:
            self._begins = {tp: offset for tp, offset in begins.items() if offset is not None}

    async def log_ends(self, parts: set[TP]) -> dict[TP, int]:
        """Return where the logs of partitions end, whatever is committed of them."""
        return await self._thread.log_ends(parts)

    async def _seek(self, partition: TP, offset: int) -> None:
        """Seek in the thread that reads. Faust does it in the app's: the seek is lost, or the reading fails."""
        await self._thread.call_thread(self._thread.seek, partition, offset)  # type: ignore[arg-type]  # or a function

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Go to these offsets of changelogs."""
        self.changelog_read_to.clear()
        await super().seek_wait(partitions)

    def resume_flow(self) -> None:
        """Go on: with the changelogs after a rebalance, and after the seek with the source topics as well."""
        super().resume_flow()
        if self._begins:
            self._next, self._begins = self._begins, {}
            self._asked_again.clear()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Hand on nothing before the stage goes on after the next seek."""
        self._next.clear()
        self._begins.clear()
        await super().on_partitions_revoked(revoked)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's
        """Yield messages, partition by partition without a gap.

        Faust notes a message as read when it has been handed on, which may be after a seek: it then drops all between
        the committed offset and that message. What it hands on after the seek and before the stage goes on is dropped
        as well: going on empties the queues. And where the queues of all partitions are full it sleeps for a second:
        with 500 files of a job on their way, all of them stood still for most of the time.
        """
        self._reader = asyncio.current_task()
        await self._put_aside()
        await self._look_into_what_is_out_of_range()
        self._doubts.look_into()
        for tp in self._passed_over & self._next.keys() & self.assignment():
            if tp in self._doubts:
                continue
            await self._seek(tp, self._next[tp])
            self._passed_over.discard(tp)
        await self._pass_offsets_without_messages()
        if self.app.in_recovery:
            read_to = ((tp, self._thread.read_to(tp)) for tp in self.assignment() if self._is_changelog_tp(tp))
            self.changelog_read_to |= {tp: offset for tp, offset in read_to if offset is not None}
        sought: set[TP] = set()
        if self._buffered_partitions and self.flow_active:
            if not self._get_active_partitions():
                await asyncio.sleep(FULL_QUEUE_SECONDS)
                return
            timeout = FULL_QUEUE_SECONDS
        async for tp, message in super().getmany(timeout):
            if self._is_changelog_tp(tp):
                yield tp, message
                continue
            expected = self._next.get(tp)
            if expected is None or tp in self._doubts:
                self._passed_over.add(tp)
                continue
            if tp in sought or message.offset < expected:
                continue
            if message.offset > expected:
                if self._asked_again.get(tp) != expected:
                    # What is left of this fetch is from before the seek.
                    sought.add(tp)
                    self._asked_again[tp] = expected
                    log.info(
                        "read-again", topic=tp.topic, partition=tp.partition, expected=expected, got=message.offset
                    )
                    await self._seek(tp, expected)
                    continue
                await self._put_aside()
                self._gap[tp].addi(expected, message.offset)
            self._next[tp] = message.offset + 1
            # So that Faust neither drops it nor sees a gap; what stands there may be from before a seek.
            self._read_offset[tp] = message.offset
            yield tp, message

    async def _put_aside(self) -> None:
        """Note what could not be read, before anything behind it is acked."""
        while self._left_out:
            part, left_out = self._left_out[0]
            if part in self.assignment() and not self._is_changelog_tp(TP(*part)):
                await self.put_aside(part, left_out)
            self._left_out.popleft()

    async def _pass_offsets_without_messages(self) -> None:
        """Expect what comes behind the markers at the end of a log, so that these are committed too.

        What the position has passed may be messages that a stop of the flow has dropped: so it is read again first.
        """
        for tp, expected in [*self._next.items()]:
            read_to = self._thread.read_to(tp)
            if read_to is None or read_to <= expected or tp in self._doubts:
                continue
            if self._asked_again.get(tp) != expected:
                self._asked_again[tp] = expected
                await self._seek(tp, expected)
            else:
                self._gap[tp].addi(expected, read_to)
                self._acked.setdefault(tp, [])  # so that a commit looks at it
                self._next[tp] = read_to

    async def _look_into_what_is_out_of_range(self) -> None:
        while self._out_of_range:
            tp = self._out_of_range.popleft()
            if self._is_changelog_tp(tp):
                if self.app.in_recovery:
                    await self.crash(FatalError(f"The changelog {tp.topic}-{tp.partition} has lost its end."))
                continue
            expected = self._next.get(tp)
            if expected is None or tp not in self.assignment():
                continue
            first, end = (await self.earliest_offsets(tp))[tp], (await self.log_ends({tp}))[tp]
            begin = begin_at(expected, first, end)
            say(self.app.conf.id, tp, expected, begin, end)
            if begin.anew:
                await self._give_up(tp, first)
            elif begin.deleted:
                self._gap[tp].addi(expected, first)
                self._next[tp] = first

    async def _compare(self, parts: set[TP]) -> None:
        """Look whether logs are still those that were read. What a rebalance takes meanwhile is compared after it."""
        generation = self.app.consumer_generation_id
        expected = {tp: self._next[tp] for tp in parts & self._next.keys()}
        for part in await other_logs(self.kafka, await self._thread.last_before(expected)):
            tp = TP(*part)
            first, end = (await self.earliest_offsets(tp))[tp], (await self.log_ends({tp}))[tp]
            if generation == self.app.consumer_generation_id and tp in self._next:
                say(self.app.conf.id, tp, expected[tp], Begin(first, anew=True), end)
                await self._give_up(tp, first)

    async def _give_up(self, tp: TP, first: int) -> None:
        """End the stage, to read a partition anew. What is in work is of the log as it was: its acks are of others."""
        self._lost_their_end.add(tp)
        await self._thread.commit({tp: first})
        await self.crash(FatalError(f"The log of {tp.topic}-{tp.partition} has lost its end: it is read anew."))

    def _new_offset(self, tp: TP) -> int | None:
        """Return where to commit, if anywhere: the first message that is not acked, or what comes next.

        Faust passes a single one that is not acked, at the committed offset or behind a gap (faust-streaming #606).
        """
        if tp in self._lost_their_end:
            return None
        acked, committed, gap = self._acked[tp], self._committed_offset[tp], self._gap[tp]
        found: int | None = None
        if acked and committed is not None and (min(acked) <= committed or gap.overlaps(committed)):
            found = super()._new_offset(tp)
        behind = begin = committed if found is None else found
        while behind is not None and (without_messages := gap[behind]):
            behind = max(interval.end for interval in without_messages)
        if behind == begin:
            return found
        gap.chop(0, behind)
        return behind


def make_gapless(app: faust.App, options: ClientOptions, aside: PutAside) -> None:
    """Give an app that has not started the consumer without gaps, and what it tells of messages that it cannot read."""

    class Gapless(GaplessConsumer):
        kafka = options
        put_aside = staticmethod(aside)

    app.transport.Consumer = Gapless  # type: ignore[misc]
