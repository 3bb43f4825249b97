"""Connections on which the brokers are asked about groups, offsets and transactions.

A consumer that fetches would do, but there a question waits for the next message.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from gateways.kafka.connection import ClientOptions


@asynccontextmanager
async def asking(kafka: ClientOptions) -> AsyncIterator[AIOKafkaClient]:
    """Connect until the block ends. Raises KafkaError where no broker answers."""
    client = AIOKafkaClient(**kafka)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def administering(kafka: ClientOptions) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect to create and configure topics, until the block ends. Raises KafkaError where no broker answers."""
    admin = AIOKafkaAdminClient(**kafka)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def answers(kafka: ClientOptions, seconds: float) -> bool:
    """Tell whether any of the brokers answers within this time."""
    try:
        async with asyncio.timeout(seconds), asking(kafka):
            return True
    except (KafkaError, OSError, TimeoutError):
        return False


class Connection:
    """One that stays from one use to the next, for who asks every few seconds. One that failed is closed.

    `async with`: it is closed at the end of the block.
    """

    def __init__(self, kafka: ClientOptions) -> None:
        self._kafka = kafka
        self._client: AIOKafkaClient | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.close()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[AIOKafkaClient]:
        """Give the connection. Raises KafkaError where no broker answers."""
        async with self._opening:
            if self._client is None:
                opened = AIOKafkaClient(**self._kafka)
                try:
                    await opened.bootstrap()
                except BaseException:
                    await opened.close()
                    raise
                self._client = opened
            client = self._client
        try:
            yield client
        except BaseException:
            if self._client is client:
                self._client = None
                await client.close()
            raise
