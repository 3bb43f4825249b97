"""What a member of a consumer group has read of each partition, so that a commit can name the last message before it.

Whoever takes over then knows whether the log is still the one that was read (`gateways.kafka.sameness`).
"""

from collections import deque
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from rules.positions import LastRead, decode_last_read


class LastReads:
    """Offset and time of the messages that were read and are not committed yet, and of the last that is."""

    def __init__(self) -> None:
        self._read: dict[TopicPartition, deque[LastRead]] = {}

    async def begin(
        self, consumer: AIOKafkaConsumer, parts: Iterable[TopicPartition]
    ) -> dict[TopicPartition, LastRead]:
        """Go on from what is committed of these partitions, and no others; return what commits name."""
        committed = await consumer._coordinator.fetch_committed_offsets(list(parts))
        named = {part: decode_last_read(known.metadata) for part, known in committed.items()}
        self._read = {part: deque([last] if (last := named.get(part)) else []) for part in parts}
        return {part: last for part, last in named.items() if last is not None}

    def add(self, part: TopicPartition, records: "Iterable[ConsumerRecord[bytes, bytes]]") -> None:
        """Take note of messages; what is read again takes the place of what was read before from there on."""
        read = self._read.get(part)
        if read is None:
            return
        for record in records:
            while read and read[-1].offset >= record.offset:
                read.pop()
            if record.timestamp >= 0:  # the oldest format has none
                read.append(LastRead(record.offset, record.timestamp))

    def commit(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, tuple[int, str]]:
        """Return what to commit: the offsets, each with the last message before it. None before it is asked again."""
        last = {part: self._before(part, offset) for part, offset in offsets.items()}
        return {part: (offset, read.encode() if (read := last[part]) else "") for part, offset in offsets.items()}

    def before(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, LastRead]:
        """Return the last message before each position, of those that are known."""
        found = {}
        for part, offset in positions.items():
            last = next((read for read in reversed(self._read.get(part, ())) if read.offset < offset), None)
            if last is not None:
                found[part] = last
        return found

    def _before(self, part: TopicPartition, offset: int) -> LastRead | None:
        read = self._read.get(part)
        if not read:
            return None
        while len(read) > 1 and read[1].offset < offset:
            read.popleft()
        return read[0] if read[0].offset < offset else None
