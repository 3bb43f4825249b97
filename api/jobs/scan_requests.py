"""Finds the scan request of a job where it stands in Kafka, to be published again as it was."""

from api.jobs.publisher import Outgoing
from core.errors import InvalidMessageError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.reader import Reader, all_partitions
from topics.scan_request import SCAN_REQUEST


async def find(kafka: ClientOptions, partitions: int, job_id: str) -> Outgoing | None:
    """Return a job's newest request; None where there is none (any more). Raises KafkaError.

    There is one a job, and Kafka keeps it as long as the files that it led to. A program may have chosen any partition.
    """
    found: Outgoing | None = None
    async with Reader(kafka, all_partitions(SCAN_REQUEST.name, partitions)) as reader:
        begins, ends = await reader.begins(), await reader.ends()
        reader.go_to(begins)
        async for records in reader.up_to(ends):
            for record in records:
                if record.value is not None and _is_of(record.value, job_id):
                    found = Outgoing(SCAN_REQUEST.name, record.key, record.value, list(record.headers))
    return found


def _is_of(value: bytes, job_id: str) -> bool:
    try:
        return SCAN_REQUEST.decode(value).job_id == job_id
    except InvalidMessageError:
        return False
