"""Whether logs are those that were read: a log may have lost its end and grown again, or be another of the same name.

Kafka's own answer, the epoch of a leader, is none for a volume that was restored, and aiokafka does not know it. What
a reader remembers of the last message that it read is, whatever has happened to the broker.
"""

from collections.abc import Mapping

from aiokafka import TopicPartition

from gateways.kafka.connection import ClientOptions
from gateways.kafka.reader import Reader
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
    async with Reader(kafka, remembered, isolation_level=ALL_MESSAGES) as reader:
        found = await _times(reader, {part: last.offset for part, last in remembered.items()})
        gone = {part: last.at + 1 for part, last in remembered.items() if part not in found}
        younger = await reader.at_times(gone) if gone else {}
    return {part for part, last in remembered.items() if is_another_log(last, found.get(part), younger.get(part))}


async def _times(reader: Reader, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Return the times of the messages at these offsets, of those that are there."""
    firsts, ends = await reader.begins(), await reader.ends()
    there = {part: offset for part, offset in offsets.items() if firsts[part] <= offset < ends[part]}
    found: dict[TopicPartition, int] = {}
    if there:
        reader.go_to(there)
    async for records in reader.up_to({part: offset + 1 for part, offset in there.items()}):
        for record in records:
            part = TopicPartition(record.topic, record.partition)
            if record.offset == there[part]:
                found[part] = record.timestamp
    return found
