"""The thread in which a stage reads: aiokafka's consumer, as Darkroom has it (`gateways.kafka.consumer`)."""

from collections.abc import Awaitable, Callable, Mapping, Set
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from gateways.kafka.consumer import READ_COMMITTED, Failed, LeftOut, OutOfRange, read_carefully
from gateways.kafka.fetching import FETCH_MAX_WAIT_MS, Fetching
from gateways.kafka.last_reads import LastReads
from gateways.kafka.offsets import log_ends
from rules.positions import LastRead
from topics.record import files_in


class ConsumerThread(AIOKafkaConsumerThread):
    """Faust's, with what the consumer's owner wants to be told (`read_carefully`), in this thread."""

    on_left_out: LeftOut
    on_out_of_range: OutOfRange
    on_failed: Failed
    # What aiokafka gave, and the same as Faust names it: one attribute, as two threads ask.
    _kept: tuple[Set[Any], Set[TP]] = (frozenset(), frozenset())

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_reads = LastReads()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        consumer._isolation_level = READ_COMMITTED
        read_carefully(
            consumer,
            on_left_out=self.on_left_out,
            on_out_of_range=self.on_out_of_range,
            on_failed=self.on_failed,
        )
        consumer.commit = self._naming_what_was_read(consumer.commit)
        return consumer

    def _naming_what_was_read(self, commit: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        async def commit_and_name(offsets: Mapping[TopicPartition, tuple[int, str]]) -> None:
            await commit(self._last_reads.commit({part: offset for part, (offset, _) in offsets.items()}))

        return commit_and_name

    async def on_start(self) -> None:
        """Start, and have fetches wait no longer than they should."""
        await super().on_start()
        self._fetching = Fetching(
            self._ensure_consumer()._fetcher, lambda part: not self.consumer._is_changelog_tp(part)
        )

    def assignment(self) -> Set[TP]:  # type: ignore[override]  # nobody changes it
        """Return the partitions that this worker has. Asked several times an event, so it is kept while it holds."""
        given = self._ensure_consumer().assignment()
        kept = self._kept
        if given is not kept[0]:
            self._kept = kept = given, frozenset(TP(part.topic, part.partition) for part in given)
        return kept[1]

    def read_to(self, tp: TP) -> int | None:
        """Return the offset that is fetched next; None where that is not known yet.

        It also goes over offsets that hold no message: markers of transactions, and what was left out.
        """
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription and subscription.assignment
        part = TopicPartition(*tp)
        if assignment is None or part not in assignment.tps:
            return None
        state = assignment.state_value(part)
        return state.position if state.has_valid_position else None

    async def log_ends(self, parts: Set[TP]) -> dict[TP, int]:
        """Return where the logs of partitions end, whatever is committed of them."""
        found = await self.call_thread(log_ends, self._ensure_consumer()._client, [TopicPartition(*tp) for tp in parts])
        return {TP(*part): end for part, end in found.items()}

    async def last_reads(self, parts: Set[TP]) -> dict[TopicPartition, LastRead]:
        """Return the last messages that were read of partitions before what is committed, and go on from there."""
        asked = [TopicPartition(*tp) for tp in parts]
        found: dict[TopicPartition, LastRead] = await self.call_thread(
            self._last_reads.begin, self._ensure_consumer(), asked
        )
        return found

    async def last_before(self, positions: Mapping[TP, int]) -> dict[TopicPartition, LastRead]:
        """Return the last message that was read of each partition before a position."""

        async def asked() -> dict[TopicPartition, LastRead]:
            return self._last_reads.before({TopicPartition(*tp): offset for tp, offset in positions.items()})

        found: dict[TopicPartition, LastRead] = await self.call_thread(asked)
        return found

    async def _fetch_records(self, *arguments: Any, **options: Any) -> Any:
        fetched = await super()._fetch_records(*arguments, **options)
        if fetched:
            self._fetching.came(sum(files_in(record.headers) for records in fetched.values() for record in records))
        for part, records in fetched.items():
            self._last_reads.add(part, records)
        return fetched

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Commit, unless a rebalance has taken all of these partitions meanwhile: such a commit has nothing to say.

        Faust leaves out what was taken away (the mend of faust-streaming #94), but not the commit: aiokafka refuses an
        empty one, and the app crashes for it.
        """
        if offsets.keys().isdisjoint(self.assignment()):
            return False
        committed: bool = await super()._commit(offsets)
        return committed
