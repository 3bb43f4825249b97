"""The consumer of a stage: hands on every message between the committed offset and the newest, none left out.

Faust fetches ahead. When a rebalance makes it seek back to the committed offset, records that were
fetched before the seek may still be handed on; it takes the offsets before them for a gap in the
topic, counts these as acked, and drops the messages when they come. What was in between is lost
(faust-streaming #221, robinhood/faust #559).

It also notes a message as read when it has been handed on, which may be after such a seek: it then drops
all between the committed offset and that message, and a commit passes a single one that is missing.
What it hands on after the seek and before the stage goes on is dropped as well: going on empties the queues.
And it seeks from the app's thread, while aiokafka reads in another: the seek is lost, or the reading fails.

A commit that is under way when a rebalance takes all its partitions is left with none; aiokafka
refuses an empty commit, and Faust crashes the app for it: since the mend of faust-streaming #94 it
leaves out what was taken away, but not the commit. Such a commit has nothing to say.

And who asks for a commit while another is under way gets that one, which may have begun before the
newest acks: the last commit of an orderly stop left those out. One that never ends, as was seen after
a broker had frozen and was killed (aiokafka #875), would hold up all that follow, and the next
rebalance with them.

Faust sleeps for a second where the queues of all partitions are full, makes four tasks to hand a message
on, and aiokafka may leave a partition out of a fetch that waits: with 500 files of a job on their way, all
of them stood still for most of the time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping, Set
from functools import partial
from types import coroutine
from typing import Any

import faust
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP
from mode.services import WaitResults

from errors import KafkaUnavailableError

# Longer than a broker takes to come back; the process that gives up is started again, with nothing lost.
COMMIT_SECONDS = 120.0
# Kafka's default. With Faust's 1500, each question that a start or a rebalance asks on this connection waits as long.
FETCH_MAX_WAIT_MS = 500
# A fetch leaves out the partitions whose messages have not all been taken over, and aiokafka sends no other to that
# broker meanwhile: what comes there has to wait until the fetch ends.
PARTIAL_FETCH_MAX_WAIT_MS = 50
# Faust asks for nothing of the partitions whose queue is full, and sleeps for a second where that is all of them.
FULL_QUEUE_SECONDS = 0.02
# Then the agents take them: their queues fill up otherwise.
HANDED_ON_AT_ONCE = 32

log = structlog.get_logger()


class _ConsumerThread(AIOKafkaConsumerThread):
    # What aiokafka gave, and the same as Faust names it: one attribute, as two threads ask.
    _kept: tuple[Set[Any], Set[TP]] = (frozenset(), frozenset())

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def on_start(self) -> None:
        await super().on_start()
        _look_again_soon(self._ensure_consumer()._fetcher, lambda part: not self.consumer._is_changelog_tp(part))

    def assignment(self) -> Set[TP]:  # type: ignore[override]  # nobody changes it
        """Return the partitions that this worker has. Asked several times an event, so it is kept while it holds."""
        given = self._ensure_consumer().assignment()
        kept = self._kept
        if given is not kept[0]:
            self._kept = kept = given, frozenset(TP(part.topic, part.partition) for part in given)
        return kept[1]

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if offsets.keys().isdisjoint(self.assignment()):
            return False
        committed: bool = await super()._commit(offsets)
        return committed


class GaplessConsumer(Consumer):
    """Faust's consumer, with a check of the offsets of the source topics.

    A message that is not the next one is not handed on; the partition is read again from where it should go on.
    When the same message comes again, the offsets before it hold none: a transaction's markers, or expired ones.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of each partition, the offset to hand on next. Empty between a rebalance and the stage's going on, for which
        # `_begins` are kept.
        self._next: dict[TP, int] = {}
        self._begins: dict[TP, int] = {}
        self._passed_over: set[TP] = set()
        self._reader: asyncio.Task[Any] | None = None
        self._asked_again: dict[TP, int] = {}
        self._handed_on = 0

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit all that is acked now. Tell whether there was anything. One that hangs ends the app."""
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
        or an earlier fetch has passed over: it goes back to the first one.
        """
        if asyncio.current_task() is self._reader:
            return  # Reading was stopped in between; it begins anew with a seek at the end of the rebalance.
        generation = self.app.consumer_generation_id
        await super().perform_seek()
        begins = {tp: offset for tp, offset in self._read_offset.items() if not self._is_changelog_tp(tp)}
        if fresh := [tp for tp, offset in begins.items() if not offset and tp in self.assignment()]:
            for part, first in (await self.earliest_offsets(*fresh)).items():
                tp = TP(*part)
                begins[tp] = first
                await self._seek(tp, first)
                self._committed_offset[tp] = first
        if generation == self.app.consumer_generation_id:
            self._begins = {tp: offset for tp, offset in begins.items() if offset is not None}

    async def _seek(self, partition: TP, offset: int) -> None:
        await self._thread.call_thread(self._thread.seek, partition, offset)  # type: ignore[arg-type]  # or a function

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
        """Yield messages, partition by partition without a gap."""
        self._reader = asyncio.current_task()
        for tp in self._passed_over & self._next.keys() & self.assignment():
            await self._seek(tp, self._next[tp])
            self._passed_over.discard(tp)
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
            if expected is None:
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
                self._gap[tp].addi(expected, message.offset)
            self._next[tp] = message.offset + 1
            # So that Faust neither drops it nor sees a gap; what stands there may be from before a seek.
            self._read_offset[tp] = message.offset
            yield tp, message

    async def wait_first(self, *waits: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 - Faust's
        """Wait for the first of these, as Faust does, which makes four tasks for it.

        It asks so for each message whether the agent's queue has taken it, or the flow has stopped. Nearly always the
        queue takes it at once: then there is nothing to wait for.
        """
        first, *others = waits
        if not asyncio.iscoroutine(first):
            return await super().wait_first(*waits, timeout=timeout)
        try:
            waits_for = first.send(None)
        except StopIteration as end:
            for other in others:
                other.close()
            self._handed_on += 1
            if self._handed_on % HANDED_ON_AT_ONCE == 0:
                await asyncio.sleep(0)
            return WaitResults([first], [end.value], stopped=False)
        return await super().wait_first(_rest(first, waits_for), *others, timeout=timeout)

    def _new_offset(self, tp: TP) -> int | None:
        """Return where to commit, if anywhere: the first message that is not acked."""
        acked, committed = self._acked[tp], self._committed_offset[tp]
        if acked and (committed is None or (min(acked) > committed and not self._gap[tp].overlaps(committed))):
            return None
        found: int | None = super()._new_offset(tp)
        return found


def _look_again_soon(fetcher: Fetcher, is_source: Callable[[Any], bool]) -> None:
    """Have a fetch wait for a moment only where it leaves out a partition of a source topic."""
    send = fetcher._proc_fetch_request

    async def send_and_look_again(assignment: Any, node_id: int, request: FetchRequest) -> bool:
        asked = {TopicPartition(topic, part[0]) for topic, parts in request.topics for part in parts}
        for part in assignment.tps:
            if part not in asked and is_source(part) and fetcher._select_read_replica(part) == node_id:
                request._max_wait_ms = PARTIAL_FETCH_MAX_WAIT_MS
        is_new: bool = await send(assignment, node_id, request)
        return is_new

    fetcher._proc_fetch_request = send_and_look_again


async def _rest(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _go_on(begun, waits_for)


@coroutine
def _go_on(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has begun, and waits for this."""
    while True:
        try:
            answer = yield waits_for
        except BaseException as error:
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, answer)
        try:
            waits_for = step()
        except StopIteration as end:
            return end.value


def make_gapless(app: faust.App) -> None:
    """Give an app that has not started the consumer without gaps."""
    app.transport.Consumer = GaplessConsumer  # type: ignore[misc]
