"""What every stage's app is made of, and that what it sends is delivered before the work counts as done."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import ProcessingGuarantee

from agents.stage import Services, StageApp
from core.errors import DrainingError
from core.settings import Settings
from streams.consumer import GaplessConsumer
from streams.item import Item
from tests.deadlines import HANG_SECONDS
from topics.job_event import MLSent
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers

EVENT: Any = SimpleNamespace(
    message=SimpleNamespace(topic="raw-path", partition=3, offset=7, key=b"key", headers=[]), value=b"value"
)


@pytest.fixture
async def stage(tmp_path: Path) -> StageApp:
    nothing: Any = None  # it asks nobody
    services = Services(Settings(kafka_brokers="127.0.0.1:1"), nothing, nothing, nothing, nothing, nothing, nothing)
    return StageApp("hash", services, tmp_path)


async def test_its_app_has_the_mended_consumer_and_no_web_server(stage: StageApp) -> None:
    app: Any = stage.app
    consumer = app.consumer
    consumer._thread.loop.close()  # it is never started, hence never stopped
    assert isinstance(consumer, GaplessConsumer)
    # All stages of all workers on a machine would want the same port.
    assert list(app.boot_strategy.web_server()) == []
    # Faust switches idempotence on with `exactly_once` only, which loses messages.
    assert app.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE


async def passed_on(stage: StageApp) -> None:
    await (await stage.pass_on(EVENT, "hashed-file"))


@pytest.mark.parametrize(
    "tell",
    [
        lambda stage: stage.emit(MLSent(job_id="job", at=1.0, images=1)),
        passed_on,
        lambda stage: stage.reject(EVENT, ValueError("odd")),
    ],
    ids=["an event", "a tombstone", "a dead letter"],
)
async def test_work_is_not_done_before_what_it_sent_is_delivered(
    stage: StageApp, monkeypatch: pytest.MonkeyPatch, tell: Callable[[StageApp], Awaitable[None]]
) -> None:
    """Faust's `send` returns as soon as a message waits to be sent."""
    sent, delivered = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def send(*_: object) -> Awaitable[object]:
        sent.set()
        return delivered

    monkeypatch.setattr(stage.app.producer, "send", send)
    told = asyncio.ensure_future(tell(stage))
    await asyncio.wait_for(sent.wait(), HANG_SECONDS)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not told.done()
    delivered.set_result(None)
    await asyncio.wait_for(told, HANG_SECONDS)


async def test_a_window_that_is_full_lets_batches_go_that_wait_to_fill(stage: StageApp) -> None:
    async def handle(items: list[str]) -> None: ...

    batcher = stage.batcher(handle, size=lambda: 100, linger=lambda: 600, in_flight=1, max_bytes=1000)
    window = stage._new_window(100, 10, commit_at_once=False)
    event: Any = SimpleNamespace(value=b"0123456789")
    never = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await never

    await window.add(event, wait())
    pending = batcher.add("a", 1)
    behind = wait()
    waiting = asyncio.create_task(window.add(event, behind))
    await asyncio.wait_for(pending, HANG_SECONDS)
    assert not waiting.done()
    waiting.cancel()
    behind.close()
    window.close()


@pytest.mark.parametrize("files", [1, 3])
async def test_a_file_that_a_stop_leaves_undone_is_sent_again(
    stage: StageApp, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """Else what is done of its message, and of those behind it, would all be done again."""
    sent: list[tuple[str, bytes, bytes]] = []

    async def send(topic: str, key: bytes, value: bytes, *_: object) -> Awaitable[object]:
        sent.append((topic, key, value))
        return asyncio.sleep(0)

    async def undone() -> None:
        raise DrainingError("The worker stops.")

    monkeypatch.setattr(stage.app.producer, "send", send)
    file = RawPath(job_id="job", collection="photos", path="/photos/a.jpg", walk_id="walk")
    item = Item(EVENT, file, Headers(job_id="job", file_id=file.file_id, attempt=2), index=1, of=files)
    await asyncio.wait_for(stage.or_put_back(RAW_PATH, item, undone()), HANG_SECONDS)
    ((topic, key, value),) = sent
    assert (topic, key, RAW_PATH.decode(value)) == ("raw-path", b"/photos/a.jpg", file)
