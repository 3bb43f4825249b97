"""How prepare takes files up: a slow collection holds up its own files only, and these keep their order."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from agents.prepare.agent import _Preparer
from gateways.qdrant import BoundCollection
from streams.item import Item
from topics.hashed_file import HashedFile
from topics.record import Headers

DEADLINE = 10.0


class Event:
    """The event of a message, which is asked for nothing."""


def files(path: str, collection: str, headers: Headers | None = None) -> list[Item[HashedFile]]:
    """Return the one file of a message."""
    event: Any = Event()
    file = HashedFile(job_id="j", collection=collection, path=path, size=1, mtime_ns=1, model_id="m", sha256="0" * 64)
    return [Item(event, file, headers or Headers())]


class Collections:
    """Collections of which some are slow to tell their incarnation."""

    def __init__(self) -> None:
        self.slow: dict[str, asyncio.Event] = {}
        self.since: list[float] = []

    async def target(self, _job_id: str, name: str, model_id: str, *, since: float) -> BoundCollection:
        self.since.append(since)
        if name in self.slow:
            await self.slow[name].wait()
        return BoundCollection(name, 0, 512, model_id, "i")


class Stage:
    """The part of a stage, and of its window, that takes files up."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    async def persist(self, _jobs: list[str], attempt: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await attempt()

    async def do_each(self, _topic: object, _items: object, works: list[Coroutine[Any, Any, None]], _: object) -> None:
        await asyncio.gather(*works)

    async def add(self, _event: object, work: Coroutine[Any, Any, None], permits: object) -> None:
        self.tasks.append(asyncio.create_task(work))


async def test_a_slow_collection_holds_up_its_own_files_only() -> None:
    stage, collections, decided = Stage(), Collections(), []
    preparer = _Preparer(stage, None, None, collections, None)  # type: ignore[arg-type]

    def decide(item: Item[HashedFile], _incarnation: str) -> Coroutine[Any, Any, None]:
        decided.append(item.record.path)
        return asyncio.sleep(0)

    preparer._decide = decide  # type: ignore[assignment]
    collections.slow["slow"] = asyncio.Event()
    async with asyncio.timeout(DEADLINE):
        for name in ("/slow/1", "/slow/2", "/quick/1", "/quick/2"):
            await preparer.take(files(name, name.split("/")[1]), stage)  # type: ignore[arg-type]
        await asyncio.gather(*stage.tasks[2:])
        assert decided == ["/quick/1", "/quick/2"]
        collections.slow.pop("slow").set()
        # One that comes now finds an answer at once, and is not before those that waited for it.
        await preparer.take(files("/slow/3", "slow"), stage)  # type: ignore[arg-type]
        await asyncio.gather(*stage.tasks)
    assert decided[2:] == ["/slow/1", "/slow/2", "/slow/3"]


async def test_a_replayed_file_is_decided_by_what_is_there_now() -> None:
    stage, collections = Stage(), Collections()
    preparer = _Preparer(stage, None, None, collections, None)  # type: ignore[arg-type]
    preparer._decide = lambda *_: asyncio.sleep(0)  # type: ignore[method-assign]
    before = time.monotonic()
    for headers in (Headers(), Headers(replay=True)):
        await preparer.take(files("/c/1", "c", headers), stage)  # type: ignore[arg-type]
    await asyncio.gather(*stage.tasks)
    first, again = collections.since
    assert first == 0.0
    assert again >= before
