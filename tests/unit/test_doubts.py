"""What is fetched after a broker failed is handed on when its log is known to be the one that was read."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, NotLeaderForPartitionError
from aiokafka.protocol.fetch import FetchRequest
from faust.types import TP

from gateways.kafka.consumer import read_carefully
from streams.doubts import Doubts
from tests.deadlines import HANG_SECONDS

HERE, THERE = TP("raw-path", 0), TP("raw-path", 1)


async def settled(doubts: Doubts, *parts: TP) -> None:
    async with asyncio.timeout(HANG_SECONDS):
        while any(part in doubts for part in parts):
            doubts.look_into()
            await asyncio.sleep(0.001)


async def test_what_is_told_is_in_doubt_until_it_was_looked_at() -> None:
    looked: list[set[TP]] = []
    gate = asyncio.Event()

    async def look(parts: set[TP]) -> None:
        looked.append({*parts})
        await gate.wait()

    doubts = Doubts(look, asyncio.create_task)
    doubts.tell({HERE})
    assert (HERE in doubts, THERE in doubts) == (True, False)
    doubts.look_into()
    await asyncio.sleep(0)
    doubts.tell({HERE, THERE})  # the broker fails again, maybe after it was looked at
    doubts.look_into()
    gate.set()
    await settled(doubts, HERE, THERE)
    assert looked == [{HERE}, {HERE, THERE}]


async def test_it_is_looked_at_again_until_kafka_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.doubts.RETRY_SECONDS", 0.0)
    answers = [KafkaConnectionError("away"), None]

    async def look(_: set[TP]) -> None:
        if error := answers.pop(0):
            raise error

    doubts = Doubts(look, asyncio.create_task)
    doubts.tell({HERE})
    await settled(doubts, HERE)
    assert answers == []


@pytest.mark.parametrize(
    "answer",
    [KafkaConnectionError("away"), NotLeaderForPartitionError.errno, 0],
    ids=["none", "not its leader", "an answer"],
)
async def test_a_fetch_that_fails_puts_its_partitions_in_doubt(answer: KafkaError | int) -> None:
    failed: list[TopicPartition] = []

    async def send(*_: object) -> SimpleNamespace:
        if isinstance(answer, KafkaError):
            raise answer
        return SimpleNamespace(topics=[("raw-path", [(0, answer, 7, 7, 0, [], b"")])])

    consumer: Any = SimpleNamespace(_client=SimpleNamespace(send=send))
    read_carefully(consumer, on_failed=failed.extend)
    request = FetchRequest(0, 1, 1 << 20, 1, [("raw-path", [(0, 7, 1 << 20)])])
    with suppress(KafkaError):
        await consumer._client.send(1, request)
    assert failed == ([TopicPartition("raw-path", 0)] if answer else [])
