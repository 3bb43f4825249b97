"""How far a walk goes on at once: full messages cost less, and files that are slow hold up nobody for them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from agents.scan import throttle
from agents.scan.outcomes_watch import Outstanding
from agents.scan.throttle import Places, Throttle
from core.settings import Settings
from tests.deadlines import HANG_SECONDS

FILES = [str(number) for number in range(500)]
PARTITION = ("scan-request", 0)


class Jobs:
    """Knows nothing of any job."""

    def is_cancelled(self, job_id: str) -> bool:
        return False

    def status(self, job_id: str) -> None: ...

    async def changed(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Request:
    """Is told by its identity."""

    message: Any


@pytest.fixture
def walk() -> tuple[Throttle, Outstanding]:
    app = SimpleNamespace(
        consumer_generation_id=1, consumer=SimpleNamespace(assignment=lambda: {PARTITION}), is_draining=False
    )
    services = SimpleNamespace(settings=Settings(scan_outstanding_files=500), jobs=Jobs())
    stage: Any = SimpleNamespace(services=services, app=app, is_draining=False)
    event: Any = Request()
    event.message = SimpleNamespace(generation_id=1, tp=PARTITION)
    outstanding = Outstanding()
    return Throttle(stage, event, "job", outstanding, Places(1)), outstanding


async def until_it_waits() -> None:
    """Let the walk look, and wait for news again."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_there_is_room_at_once_for_what_comes_first(
    walk: tuple[Throttle, Outstanding], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "ROOM_SECONDS", HANG_SECONDS)
    assert await asyncio.wait_for(walk[0].room(), HANG_SECONDS / 2) == 500


async def test_where_files_end_fast_it_goes_on_with_many(
    walk: tuple[Throttle, Outstanding], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "ROOM_SECONDS", HANG_SECONDS)
    ahead, outstanding = walk
    outstanding.add(FILES)
    room = asyncio.ensure_future(ahead.room())
    for first in range(0, 80, 10):
        await until_it_waits()
        assert not room.done()
        outstanding.end(FILES[first : first + 10])
    await until_it_waits()
    outstanding.end(FILES[80:100])
    assert await asyncio.wait_for(room, HANG_SECONDS / 2) == 100


async def test_where_they_are_slow_it_goes_on_with_few(walk: tuple[Throttle, Outstanding]) -> None:
    ahead, outstanding = walk
    outstanding.add(FILES)
    outstanding.end(FILES[:3])
    assert await asyncio.wait_for(ahead.room(), HANG_SECONDS) == 3
