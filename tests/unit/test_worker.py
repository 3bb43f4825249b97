"""A worker begins nothing without its topics, and ends in time even where what it runs hangs."""

import asyncio
import os
import queue
from types import SimpleNamespace
from typing import Any

import pytest

from agents.worker import _Worker
from core.errors import FatalError
from core.settings import Settings
from tests.deadlines import HANG_SECONDS


async def test_without_a_broker_that_has_its_topics_it_starts_nothing() -> None:
    """Faust would start, and ignore a topic that is missing for as long as it runs."""
    with pytest.raises(FatalError, match="No Kafka broker answers"):
        await _Worker(Settings(kafka_brokers="127.0.0.1:1"), ("hash",)).run()


async def test_a_drain_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.worker.DRAIN_SECONDS", 0.01)
    stage: Any = SimpleNamespace(drain=asyncio.Event().wait)
    cpu: Any = SimpleNamespace(drain=lambda: None)
    await asyncio.wait_for(_Worker(Settings(), ())._drain([stage], cpu), HANG_SECONDS)


def test_one_that_failed_ends_even_if_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken app does as it stops may never end."""
    ended = queue.SimpleQueue[int]()
    monkeypatch.setattr("agents.worker.LAST_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", ended.put)
    _Worker(Settings(), ())._stop(FatalError("no disk"))
    assert ended.get(timeout=HANG_SECONDS) == 1
