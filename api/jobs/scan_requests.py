"""Finds the scan request of a job where it stands in Kafka, to be published again as it was."""

from contextlib import AsyncExitStack

from aiokafka import TopicPartition

from api.jobs.publisher import Outgoing
from core.connection import ClientOptions
from core.errors import InvalidMessageError
from gateways.kafka.consumer import new_consumer
from topics.scan_request import SCAN_REQUEST


async def find(kafka: ClientOptions, partitions: int, job_id: str) -> Outgoing | None:
    """Return a job's newest request; None where there is none (any more). Raises KafkaError.

    There is one a job, and Kafka keeps it as long as the files that it led to. A program may have chosen any partition.
    """
    found: Outgoing | None = None
    async with AsyncExitStack() as stack:
        consumer = new_consumer(kafka)
        stack.push_async_callback(consumer.stop)
        await consumer.start()
        parts = [TopicPartition(SCAN_REQUEST.name, number) for number in range(partitions)]
        ends = await consumer.end_offsets(parts)
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        while unread := [part for part in parts if await consumer.position(part) < ends[part]]:
            for records in (await consumer.getmany(*unread, timeout_ms=1000)).values():
                for record in records:
                    if record.value is not None and _is_of(record.value, job_id):
                        found = Outgoing(SCAN_REQUEST.name, record.key, record.value, list(record.headers))
    return found


def _is_of(value: bytes, job_id: str) -> bool:
    try:
        return SCAN_REQUEST.decode(value).job_id == job_id
    except InvalidMessageError:
        return False
