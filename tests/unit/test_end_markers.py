"""Of the end markers that wait behind each other, the last one of each job is passed on."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from agents.end_markers import EndMarkers
from core.errors import InvalidMessageError
from streams.window import Deliveries
from topics.sentinel import sentinel_headers


def marker(job: str, partition: int, offset: int) -> Any:
    headers = sentinel_headers(job, "walk", None)
    return SimpleNamespace(
        message=SimpleNamespace(key=job.encode(), partition=partition, offset=offset, headers=headers)
    )


class Stage:
    """Collects what is passed on; as a window it keeps work back until `go_on`."""

    def __init__(self) -> None:
        self.passed: list[tuple[int, int]] = []
        self._deliveries: list[Awaitable[object]] = []
        self._waiting: list[Callable[[], Awaitable[Deliveries]]] = []

    async def pass_on(self, event: Any, topic: str) -> Awaitable[object]:
        assert topic == "ml-request"
        self.passed.append((event.message.partition, event.message.offset))
        return asyncio.get_running_loop().create_future()

    async def add_in_order(self, _: Any, work: Callable[[], Awaitable[Deliveries]]) -> None:
        self._waiting.append(work)

    async def go_on(self) -> list[tuple[int, int]]:
        for work in self._waiting:
            self._deliveries += await work()
        self._waiting.clear()
        assert len(self._deliveries) == len(self.passed), "the ack would not wait for it"
        return self.passed


@pytest.fixture
def stage() -> Any:
    return Stage()


@pytest.fixture
def markers(stage: Any) -> EndMarkers:
    return EndMarkers(stage, "ml-request")


async def test_the_last_of_a_job_on_each_partition_is_passed_on(stage: Any, markers: EndMarkers) -> None:
    for job, partition, offset in (("a", 0, 5), ("a", 0, 6), ("b", 0, 7), ("a", 1, 3), ("a", 0, 8)):
        await markers.take(marker(job, partition, offset), stage)
    assert await stage.go_on() == [(0, 7), (1, 3), (0, 8)]


async def test_each_is_passed_on_where_none_waits(stage: Any, markers: EndMarkers) -> None:
    for offset in (5, 6):
        await markers.take(marker("a", 0, offset), stage)
        await stage.go_on()
    assert stage.passed == [(0, 5), (0, 6)]


async def test_what_is_read_again_after_a_rebalance_is_passed_on_again(stage: Any, markers: EndMarkers) -> None:
    """What had been taken of it never comes to its turn: its partition was revoked."""
    for offset in (5, 6):
        await markers.take(marker("a", 0, offset), Stage())  # type: ignore[arg-type]
    for offset in (5, 6):
        await markers.take(marker("a", 0, offset), stage)
    assert await stage.go_on() == [(0, 6)]


async def test_one_of_no_walk_is_refused(stage: Any, markers: EndMarkers) -> None:
    nobody = marker("a", 0, 5)
    nobody.message.headers = []
    with pytest.raises(InvalidMessageError):
        await markers.take(nobody, stage)
