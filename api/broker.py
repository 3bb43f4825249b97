"""Whether Kafka is there."""

import asyncio

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

ANSWER_SECONDS = 3.0


async def broker_answers(brokers: str) -> bool:
    """Ask with a connection of its own: on one that fetches, the question would wait for the next message."""
    client = AIOKafkaClient(bootstrap_servers=brokers)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
    except (KafkaError, TimeoutError):
        return False
    finally:
        await client.close()
    return True
