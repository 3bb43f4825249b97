"""A fetch waits at the broker for as long as it is worth."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.protocol.fetch import FetchRequest

from core.pace import OFTEN
from gateways.kafka import fetching
from gateways.kafka.fetching import (
    FETCH_MAX_WAIT_MS,
    GATHERED_BYTES,
    IDLE_FETCH_MAX_WAIT_MS,
    MANY_FILES,
    PARTIAL_FETCH_MAX_WAIT_MS,
    Fetching,
)

SOURCE, OTHER, ELSEWHERE = (TopicPartition("raw-path", partition) for partition in range(3))
CHANGELOG = TopicPartition("darkroom-hash-fingerprints-changelog", 0)


class Fetcher:
    """Stands for aiokafka's, and keeps what it sends."""

    def __init__(self) -> None:
        self.sent: list[FetchRequest] = []
        self._proc_fetch_request: Any = self._send
        self._select_read_replica = {SOURCE: 1, OTHER: 1, ELSEWHERE: 2, CHANGELOG: 1}.get

    async def _send(self, _assignment: object, _node_id: int, request: FetchRequest) -> bool:
        self.sent.append(request)
        return True

    async def fetch(self, asked: list[TopicPartition], assigned: set[TopicPartition] | None = None) -> FetchRequest:
        """Fetch these partitions from broker 1, and return the request that was sent."""
        topics = [(part.topic, [(part.partition, 0, 1)]) for part in asked]
        assignment = SimpleNamespace(tps=set(asked) if assigned is None else assigned)
        await self._proc_fetch_request(assignment, 1, FetchRequest(FETCH_MAX_WAIT_MS, 1, 1, 0, topics))
        return self.sent[-1]


def fetching_of(fetcher: Any) -> Fetching:
    return Fetching(fetcher, lambda part: part != CHANGELOG)


@pytest.mark.parametrize(
    ("asked", "files", "least"),
    [
        ([SOURCE, OTHER], MANY_FILES, GATHERED_BYTES),
        ([SOURCE, OTHER], 1, 1),
        ([SOURCE, CHANGELOG], MANY_FILES, 1),
    ],
    ids=["after many", "after few", "in a recovery"],
)
async def test_a_fetch_gathers_where_the_last_one_brought_much(
    asked: list[TopicPartition], files: int, least: int
) -> None:
    fetcher = Fetcher()
    fetching_of(fetcher).came(files)
    assert (await fetcher.fetch(asked))._min_bytes == least


async def test_a_fetch_gathers_where_something_comes_often() -> None:
    fetcher = Fetcher()
    paced = fetching_of(fetcher)
    for _ in range(OFTEN):
        paced.came()
    assert (await fetcher.fetch([SOURCE]))._min_bytes == GATHERED_BYTES


@pytest.mark.parametrize(
    ("asked", "wait_ms"),
    [
        ([SOURCE, OTHER, CHANGELOG], FETCH_MAX_WAIT_MS),
        ([SOURCE, OTHER], FETCH_MAX_WAIT_MS),
        ([SOURCE, CHANGELOG], PARTIAL_FETCH_MAX_WAIT_MS),
    ],
    ids=["all", "without a changelog", "without a source"],
)
async def test_a_fetch_that_leaves_out_a_source_waits_for_a_moment_only(
    asked: list[TopicPartition], wait_ms: int
) -> None:
    """Such a partition has something left, and no other fetch goes to that broker until this one ends."""
    fetcher = Fetcher()
    fetching_of(fetcher)
    assert (await fetcher.fetch(asked, {SOURCE, OTHER, ELSEWHERE, CHANGELOG}))._max_wait_ms == wait_ms


async def test_fetches_are_few_where_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    fetcher = Fetcher()
    paced = fetching_of(fetcher)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + fetching.IDLE_SECONDS + 1)
    assert (await fetcher.fetch([SOURCE]))._max_wait_ms == IDLE_FETCH_MAX_WAIT_MS
    assert (await fetcher.fetch([SOURCE], {SOURCE, OTHER}))._max_wait_ms == PARTIAL_FETCH_MAX_WAIT_MS
    paced.came(1)
    assert (await fetcher.fetch([SOURCE]))._max_wait_ms == FETCH_MAX_WAIT_MS
