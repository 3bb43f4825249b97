"""Whether logs are those that were read: a log may have lost its end and grown again, or be another of the same name.

Kafka's own answer, the epoch of a leader, is none for a volume that was restored, and aiokafka does not know it. What
a reader remembers of the last message that it read is, whatever has happened to the broker.
"""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from core.connection import ClientOptions
from gateways.kafka.consumer import new_consumer
from rules.positions import LastRead, is_another_log

# Aborted ones, and those of an open transaction, stand in the log too.
ALL_MESSAGES = "read_uncommitted"


async def other_logs(kafka: ClientOptions, remembered: Mapping[TopicPartition, LastRead]) -> set[TopicPartition]:
    """Return the partitions whose log is not the one of which this is the last message that was read.

    Raises KafkaError where Kafka does not answer.
    """
    if not remembered:
        return set()
    # A connection of its own: on one that fetches, questions wait for the next message.
    consumer = new_consumer(kafka, isolation_level=ALL_MESSAGES)
    try:
        await consumer.start()
        found = await _times(consumer, {part: last.offset for part, last in remembered.items()})
        gone = {part: last.at + 1 for part, last in remembered.items() if part not in found}
        younger = await consumer.offsets_for_times(gone) if gone else {}
    finally:
        await consumer.stop()
    return {
        part
        for part, last in remembered.items()
        if is_another_log(last, found.get(part), offset.offset if (offset := younger.get(part)) else None)
    }


async def _times(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the times of the messages at these offsets, of those that are there."""
    firsts, ends = await consumer.beginning_offsets(list(offsets)), await consumer.end_offsets(list(offsets))
    unknown = {part for part, offset in offsets.items() if firsts[part] <= offset < ends[part]}
    found: dict[TopicPartition, int] = {}
    if unknown:
        consumer.assign(list(unknown))
    for part in unknown:
        consumer.seek(part, offsets[part])
    while unknown:
        for part, (record, *_) in (await consumer.getmany(*unknown, timeout_ms=1000)).items():
            if record.offset == offsets[part]:
                found[part] = record.timestamp
        unknown -= {part for part in unknown if await consumer.position(part) > offsets[part]}
    return found
