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
from faust.types import TP

from core.errors import KafkaUnavailableError
from gateways.kafka.batches import Unreadable
from gateways.kafka.connection import ClientOptions
from streams.beginnings import beginnings
from streams.consumer_thread import ConsumerThread
from streams.lost_ends import LostEnds

# Longer than a broker takes to come back; the process that gives up is started again, with nothing lost.
COMMIT_SECONDS = 120.0
# Shorter than Faust waits for a seek (`broker_request_timeout`).
SEEK_SECONDS = 60.0
# Faust asks for nothing of the partitions whose queue is full; where that is all of them, it looks again after this.
FULL_QUEUE_SECONDS = 0.02

PutAside = Callable[[TopicPartition, Unreadable], Awaitable[None]]
"""Takes what could not be read, and returns when it is noted for good."""

log = structlog.get_logger()


class GaplessConsumer(LostEnds):
    """Faust's consumer, with a check of the offsets of the source topics.

    Faust fetches ahead. When a rebalance makes it seek back to the committed offset, records that were fetched before
    the seek may still be handed on; it takes the offsets before them for a gap in the topic, counts these as acked, and
    drops the messages when they come. What was in between is lost (faust-streaming #221, robinhood/faust #559).

    A message that is not the next one is not handed on; the partition is read again from where it should go on.
    When the same message comes again, the offsets before it hold none: a transaction's markers, what was aborted,
    expired, or could not be read. Likewise where reading goes on behind such offsets without a message.
    """

    put_aside: PutAside

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What `next_offsets` is to be when the stage goes on after a rebalance.
        self._begins: dict[TP, int] = {}
        self._passed_over: set[TP] = set()
        self._reader: asyncio.Task[Any] | None = None
        self._asked_again: dict[TP, int] = {}
        # From the thread that reads.
        self._left_out: deque[tuple[TopicPartition, Unreadable]] = deque()
        # How far the agents' tables have been given what their changelogs hold.
        self.changelog_read_to: dict[TP, int] = {}

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.on_left_out = lambda part, left_out: self._left_out.append((part, left_out))
        thread.on_out_of_range = lambda part, _offset: self.out_of_range.append(TP(*part))
        thread.on_failed = lambda parts: self.doubts.tell({TP(*part) for part in parts})
        return thread

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit all that is acked now. Tell whether there was anything. One that hangs ends the app.

        In Faust, whoever asks for a commit while another is under way gets that one, which may have begun before the
        newest acks: the last commit of an orderly stop left those out. A commit that never ends was seen after a broker
        had frozen and was killed (aiokafka #875): it would hold up all later commits, and the next rebalance.
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

        Where nothing is committed yet, Faust leaves the position as it is, maybe behind messages that a rebalance or an
        earlier fetch has passed over; here, reading begins at the first message. So it does where the log is not the
        one that was read. A seek that hangs ends the app: Faust gives it up in silence, and would hand nothing on.
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
            self.next_offsets, self._begins = self._begins, {}
            self._asked_again.clear()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Hand on nothing before the stage goes on after the next seek."""
        self.next_offsets.clear()
        self._begins.clear()
        await super().on_partitions_revoked(revoked)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's
        """Yield messages, partition by partition without a gap.

        In Faust a message is noted as read when it has been handed on. Where a seek came in between, all messages from
        the committed offset up to it are dropped when they are read again. A message that is handed on after the seek,
        and before the stage goes on, is dropped too: going on empties the queues. And where the queues of all
        partitions are full, Faust sleeps for a second: 500 files of a job stood still for most of the time.
        """
        self._reader = asyncio.current_task()
        await self._put_aside()
        await self.look_into_what_is_out_of_range()
        self.doubts.look_into()
        await self._go_back_to_what_was_passed_over()
        await self._pass_offsets_without_messages()
        self._note_changelogs()
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
            expected = self.next_offsets.get(tp)
            if expected is None or tp in self.doubts:
                self._passed_over.add(tp)
                continue
            if tp in sought or message.offset < expected:
                continue
            if message.offset > expected and not await self._is_behind_a_gap(tp, expected, message.offset):
                # What is left of this fetch is from before the seek.
                sought.add(tp)
                continue
            self.next_offsets[tp] = message.offset + 1
            # So that Faust neither drops it nor sees a gap; what stands there may be from before a seek.
            self._read_offset[tp] = message.offset
            yield tp, message

    async def _is_behind_a_gap(self, tp: TP, expected: int, offset: int) -> bool:
        """Tell whether the offsets up to a message hold none: it came again after the partition was read again.

        Where it came for the first time, the partition is read again from the offset that is expected.
        """
        if self._asked_again.get(tp) != expected:
            self._asked_again[tp] = expected
            log.info("read-again", topic=tp.topic, partition=tp.partition, expected=expected, got=offset)
            await self._seek(tp, expected)
            return False
        await self._put_aside()
        self._gap[tp].addi(expected, offset)
        return True

    async def _go_back_to_what_was_passed_over(self) -> None:
        """Read again the messages that came before the stage went on, or while their log was in doubt."""
        for tp in self._passed_over & self.next_offsets.keys() & self.assignment():
            if tp not in self.doubts:
                await self._seek(tp, self.next_offsets[tp])
                self._passed_over.discard(tp)

    def _note_changelogs(self) -> None:
        if self.app.in_recovery:
            read_to = ((tp, self._thread.read_to(tp)) for tp in self.assignment() if self._is_changelog_tp(tp))
            self.changelog_read_to |= {tp: offset for tp, offset in read_to if offset is not None}

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
        for tp, expected in [*self.next_offsets.items()]:
            read_to = self._thread.read_to(tp)
            if read_to is None or read_to <= expected or tp in self.doubts:
                continue
            if self._asked_again.get(tp) != expected:
                self._asked_again[tp] = expected
                await self._seek(tp, expected)
            else:
                self._gap[tp].addi(expected, read_to)
                self._acked.setdefault(tp, [])  # so that a commit looks at it
                self.next_offsets[tp] = read_to

    def _new_offset(self, tp: TP) -> int | None:
        """Return where to commit, if anywhere: the first message that is not acked, or what comes next.

        Faust passes a single one that is not acked, at the committed offset or behind a gap (faust-streaming #606).
        """
        if tp in self.lost_their_end:
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
