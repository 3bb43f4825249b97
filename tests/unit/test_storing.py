"""store: the collections of a batch side by side, and how long it waits to fill."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agents.stage import Services, StageApp
from agents.store.agent import _Storer
from core.errors import DrainingError, FatalError, QdrantUnavailableError
from core.pace import OFTEN
from core.settings import Settings
from gateways.qdrant import BoundCollection, Point
from streams.item import Item
from tests.agents.messages import db_write, unread_file
from tests.deadlines import HANG_SECONDS
from topics.db_write import DBWrite
from topics.job_event import FileOutcome
from topics.record import Headers


class Qdrant:
    """A Qdrant that is empty, and writes to collection `slow` what the test lets it."""

    def __init__(self) -> None:
        self.let_go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.fails: dict[str, Exception] = {}

    async def of_model(self, name: str, model_id: str) -> BoundCollection:
        if name in self.fails:
            raise self.fails[name]
        return BoundCollection(name, 0, 512, model_id, "i")

    async def payloads(self, *_: object) -> dict[str, Any]:
        return {}

    async def points(self, *_: object) -> list[Point]:
        return []

    async def replace(self, name: str, *_: object) -> set[str]:
        if name == "slow~1":
            await self.let_go
        return set()


class Bench:
    """The stage, and the collections whose files have their outcome."""

    def __init__(self, qdrant: Qdrant, stage: StageApp, monkeypatch: pytest.MonkeyPatch) -> None:
        self.qdrant = qdrant
        self.stage = stage
        self.finished: list[str] = []
        self.storer = _Storer(stage)
        monkeypatch.setattr(stage, "report_outcomes", self.finish)
        monkeypatch.setattr(stage, "conclude_all", self.nothing)
        monkeypatch.setattr(stage.report, "waiting", self.nothing)

    async def finish(self, of: DBWrite, files: list[FileOutcome], *_: object) -> None:
        self.finished += [of.collection] * len(files)

    async def nothing(self, *_: object) -> None: ...

    def store(self, *collections: str) -> "asyncio.Task[None]":
        event: Any = SimpleNamespace(message=SimpleNamespace(timestamp=0.0))
        writes = [DBWrite.model_validate(db_write(unread_file("job", name, f"{name}.jpg"))) for name in collections]

        async def store() -> None:
            await (await self.storer._store([Item(event, write, Headers()) for write in writes]))

        return asyncio.create_task(store())


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    nothing: Any = None  # it asks nobody else
    qdrant: Any = Qdrant()
    services = Services(Settings(kafka_brokers="127.0.0.1:1"), nothing, qdrant, nothing, nothing, nothing, nothing)
    return Bench(qdrant, StageApp("store", services, tmp_path), monkeypatch)


async def test_a_slow_collection_holds_up_no_other(bench: Bench) -> None:
    stored = bench.store("slow", "quick", "slow", "other")
    async with asyncio.timeout(HANG_SECONDS):
        while len(bench.finished) < 2:
            await asyncio.sleep(0)
        assert sorted(bench.finished) == ["other", "quick"]
        assert not stored.done()
        bench.qdrant.let_go.set_result(None)
        await stored
    assert sorted(bench.finished) == ["other", "quick", "slow", "slow"]


@pytest.mark.parametrize(
    ("cause", "error"), [(QdrantUnavailableError("away"), DrainingError), (FatalError("no more"), FatalError)]
)
async def test_a_batch_that_cannot_go_on_leaves_nothing_in_work(
    bench: Bench, cause: Exception, error: type[Exception]
) -> None:
    bench.stage.is_draining = True  # so that nobody waits for a Qdrant that is away
    bench.qdrant.fails["bad"] = cause
    stored = bench.store("bad", "slow")
    for _ in range(50):
        await asyncio.sleep(0)
    assert not stored.done()
    bench.qdrant.let_go.set_result(None)
    with pytest.raises(error):
        await asyncio.wait_for(stored, HANG_SECONDS)
    assert bench.finished == ["slow"]


async def test_a_batch_waits_longer_while_messages_come_often(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three requests a batch: many small ones cost as much as few large ones. A few files never wait longer."""
    lingers: list[Callable[[], float]] = []

    def batcher(*_: object, linger: Callable[[], float], **__: object) -> Any:
        lingers.append(linger)
        return SimpleNamespace(add_together=lambda items, _weight: [answered() for _ in items])

    monkeypatch.setattr(bench.stage, "batcher", batcher)
    storer, (linger,) = _Storer(bench.stage), lingers
    event: Any = SimpleNamespace(value=b"")
    write = DBWrite.model_validate(db_write(unread_file("job", "c", "a.jpg")))
    waited = []
    for _ in range(OFTEN):
        waited.append(linger())
        await storer.take([Item(event, write, Headers())], Window())  # type: ignore[arg-type]
    assert waited == [0.1] * OFTEN
    assert linger() == pytest.approx(0.25)


def answered() -> "asyncio.Future[None]":
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    return done


class Window:
    """Takes work, and does it."""

    async def add(self, _event: object, work: Coroutine[Any, Any, None], *, permits: object) -> None:
        await work
