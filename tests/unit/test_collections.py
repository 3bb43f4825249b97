"""What stages ask about collections: once at a time for each, and a slow one holds up no other."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from agents.collections import KnownCollections
from core.errors import QdrantUnavailableError

DEADLINE = 10.0


class Qdrant:
    """A Qdrant that answers about a collection when the test lets it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, asyncio.Future[str]] = {}

    async def of_model(self, name: str, _: str) -> str:
        self.asked[name] += 1
        return await self.answers.setdefault(name, asyncio.get_running_loop().create_future())

    def answer(self, name: str, incarnation: str | Exception) -> None:
        answer = self.answers.setdefault(name, asyncio.get_running_loop().create_future())
        if isinstance(incarnation, str):
            answer.set_result(incarnation)
        else:
            answer.set_exception(incarnation)
            del self.answers[name]


@pytest.fixture
async def qdrant() -> Qdrant:
    return Qdrant()


Told = Callable[..., Coroutine[Any, Any, object]]


@pytest.fixture
def told(qdrant: Qdrant) -> Told:
    """Return what stages ask: where files of a job go, to a collection of a model."""
    return partial(_told, KnownCollections(qdrant))  # type: ignore[arg-type]


async def _told(collections: KnownCollections, job: str, name: str, since: float = 0.0) -> object:
    return await collections.target(job, name, "m", since=since)


async def test_a_slow_collection_holds_up_no_other(told: Told, qdrant: Qdrant) -> None:
    slow = asyncio.create_task(told("j1", "slow"))
    await asyncio.sleep(0)
    qdrant.answer("quick", "q")
    async with asyncio.timeout(DEADLINE):
        assert await told("j2", "quick") == "q"
    qdrant.answer("slow", "s")
    assert await slow == "s"


async def test_who_asks_meanwhile_gets_the_same_answer(told: Told, qdrant: Qdrant) -> None:
    asked = [asyncio.create_task(told("j1", "c")) for _ in range(5)]
    await asyncio.sleep(0.01)
    asked[0].cancel()
    qdrant.answer("c", "i")
    assert await asyncio.gather(*asked[1:]) == ["i"] * 4
    assert qdrant.asked["c"] == 1


async def test_an_error_is_told_to_all_and_not_remembered(told: Told, qdrant: Qdrant) -> None:
    asked = [asyncio.create_task(told("j1", "c")) for _ in range(2)]
    await asyncio.sleep(0.01)
    qdrant.answer("c", QdrantUnavailableError("away"))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in answers] == [QdrantUnavailableError] * 2
    qdrant.answer("c", "i")
    assert await told("j1", "c") == "i"


async def test_a_job_asks_anew(told: Told, qdrant: Qdrant) -> None:
    qdrant.answer("c", "old")
    assert await told("j1", "c") == "old"
    qdrant.answers.clear()
    qdrant.answer("c", "new")
    assert await told("j1", "c") == "old"
    assert await told("j2", "c") == "new"


async def test_what_is_published_again_is_told_what_is_there_now(told: Told, qdrant: Qdrant) -> None:
    """A collection was deleted, and a topic replayed within the second: the files were taken for stored ones."""
    qdrant.answer("c", "old")
    assert await told("j1", "c") == "old"
    qdrant.answers.clear()
    qdrant.answer("c", "new")
    taken = time.monotonic()
    assert await told("j1", "c", since=taken) == "new"
    # All that were taken before it was asked share the answer.
    assert await told("j1", "c", since=taken) == "new"
    assert await told("j1", "c") == "new"
    assert qdrant.asked["c"] == 2


async def test_a_question_from_before_answers_nothing_that_comes_later(told: Told, qdrant: Qdrant) -> None:
    before = asyncio.create_task(told("j1", "c"))
    await asyncio.sleep(0.01)
    slow = qdrant.answers.pop("c")
    after = asyncio.create_task(told("j1", "c", since=time.monotonic()))
    await asyncio.sleep(0.01)
    qdrant.answer("c", "new")
    assert await after == "new"
    slow.set_result("old")
    assert await before == "old"
    assert await told("j1", "c") == "new"
