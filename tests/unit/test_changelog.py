"""Changelog records go in order, and what is told of them is what the broker has."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from core.errors import KafkaUnavailableError
from streams.changelog import Changelog, runs
from tests.deadlines import HANG_SECONDS


class Producer:
    """Takes records; those of a request are delivered together, behind offsets that are taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, bytes | None, int]] = []
        self.deliveries: list[asyncio.Future[Any]] = []
        self.fails: Exception | None = None

    async def send(self, topic: str, value: bytes | None, *, key: bytes, partition: int) -> "asyncio.Future[Any]":
        assert topic == "changelog"
        await asyncio.sleep(0)  # as where its buffer is full
        if self.fails is not None:
            raise self.fails
        self.taken.append((key, value, partition))
        self.deliveries.append(asyncio.get_running_loop().create_future())
        return self.deliveries[-1]

    async def deliver(self, *offsets: int) -> None:
        for offset in offsets:
            self.deliveries.pop(0).set_result(SimpleNamespace(topic="changelog", partition=0, offset=offset))


async def test_records_go_in_order_and_are_noted_without_their_gaps() -> None:
    producer: Any = Producer()
    told: list[tuple[TP, int, int]] = []
    changelog = Changelog(producer, "changelog", lambda *one: told.append(one))
    sent = [changelog.send(0, b"%d" % number, b"value") for number in range(3)]
    sent.append(changelog.send(0, b"3", None))
    async with asyncio.timeout(HANG_SECONDS):
        while len(producer.taken) < 4:
            await asyncio.sleep(0)
        assert [key for key, *_ in producer.taken] == [b"0", b"1", b"2", b"3"]
        assert not any(one.done() for one in sent)
        await producer.deliver(7, 8, 10, 11)
        await asyncio.gather(*sent)
    assert told == [(TP("changelog", 0), 7, 8), (TP("changelog", 0), 10, 11)]


async def test_what_is_not_sent_fails_and_the_next_is_sent() -> None:
    producer: Any = Producer()
    changelog = Changelog(producer, "changelog", lambda *_: None)
    producer.fails = KafkaUnavailableError("away")
    for one in [changelog.send(0, b"a", b""), changelog.send(0, b"b", b"")]:
        with pytest.raises(KafkaUnavailableError):
            await asyncio.wait_for(one, HANG_SECONDS)
    producer.fails = None
    changelog.send(0, b"c", b"")
    async with asyncio.timeout(HANG_SECONDS):
        while not producer.taken:
            await asyncio.sleep(0)
    assert producer.taken == [(b"c", b"", 0)]


@pytest.mark.parametrize(
    ("offsets", "found"), [([], []), ([4], [(4, 4)]), ([0, 1, 2], [(0, 2)]), ([0, 2, 3, 9], [(0, 0), (2, 3), (9, 9)])]
)
def test_runs(offsets: list[int], found: list[tuple[int, int]]) -> None:
    assert [*runs(offsets)] == found
