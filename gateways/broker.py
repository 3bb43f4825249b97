"""Whether Kafka is there."""

import asyncio

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from core.connection import ClientOptions

ANSWER_SECONDS = 3.0


async def broker_answers(kafka: ClientOptions) -> bool:
    """Ask with a connection of its own: on one that fetches, the question would wait for the next message."""
    client = AIOKafkaClient(**kafka)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
    except (KafkaError, TimeoutError):
        return False
    finally:
        await client.close()
    return True
