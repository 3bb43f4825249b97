"""What stages ask about collections: once at a time for each, and a slow one holds up no other."""

import asyncio
import time
from collections import Counter

import pytest

from agents.collections import KnownCollections
from core.errors import QdrantUnavailableError

DEADLINE = 10.0


class Qdrant:
    """A Qdrant that answers about a collection when the test lets it."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.answers: dict[str, asyncio.Future[str]] = {}

    async def incarnation(self, name: str) -> str:
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


@pytest.fixture
def collections(qdrant: Qdrant) -> KnownCollections:
    return KnownCollections(qdrant)  # type: ignore[arg-type]


async def test_a_slow_collection_holds_up_no_other(collections: KnownCollections, qdrant: Qdrant) -> None:
    slow = asyncio.create_task(collections.incarnation("j1", "slow"))
    await asyncio.sleep(0)
    qdrant.answer("quick", "q")
    async with asyncio.timeout(DEADLINE):
        assert await collections.incarnation("j2", "quick") == "q"
    qdrant.answer("slow", "s")
    assert await slow == "s"


async def test_who_asks_meanwhile_gets_the_same_answer(collections: KnownCollections, qdrant: Qdrant) -> None:
    asked = [asyncio.create_task(collections.incarnation("j1", "c")) for _ in range(5)]
    await asyncio.sleep(0.01)
    asked[0].cancel()
    qdrant.answer("c", "i")
    assert await asyncio.gather(*asked[1:]) == ["i"] * 4
    assert qdrant.asked["c"] == 1


async def test_an_error_is_told_to_all_and_not_remembered(collections: KnownCollections, qdrant: Qdrant) -> None:
    asked = [asyncio.create_task(collections.incarnation("j1", "c")) for _ in range(2)]
    await asyncio.sleep(0.01)
    qdrant.answer("c", QdrantUnavailableError("away"))
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in told] == [QdrantUnavailableError] * 2
    qdrant.answer("c", "i")
    assert await collections.incarnation("j1", "c") == "i"


async def test_a_job_asks_anew(collections: KnownCollections, qdrant: Qdrant) -> None:
    qdrant.answer("c", "old")
    assert await collections.incarnation("j1", "c") == "old"
    qdrant.answers.clear()
    qdrant.answer("c", "new")
    assert await collections.incarnation("j1", "c") == "old"
    assert await collections.incarnation("j2", "c") == "new"


async def test_what_is_published_again_is_told_what_is_there_now(collections: KnownCollections, qdrant: Qdrant) -> None:
    """A collection was deleted, and a topic replayed within the second: the files were taken for stored ones."""
    qdrant.answer("c", "old")
    assert await collections.incarnation("j1", "c") == "old"
    qdrant.answers.clear()
    qdrant.answer("c", "new")
    taken = time.monotonic()
    assert await collections.incarnation("j1", "c", since=taken) == "new"
    # All that were taken before it was asked share the answer.
    assert await collections.incarnation("j1", "c", since=taken) == "new"
    assert await collections.incarnation("j1", "c") == "new"
    assert qdrant.asked["c"] == 2


async def test_a_question_from_before_answers_nothing_that_comes_later(
    collections: KnownCollections, qdrant: Qdrant
) -> None:
    before = asyncio.create_task(collections.incarnation("j1", "c"))
    await asyncio.sleep(0.01)
    slow = qdrant.answers.pop("c")
    after = asyncio.create_task(collections.incarnation("j1", "c", since=time.monotonic()))
    await asyncio.sleep(0.01)
    qdrant.answer("c", "new")
    assert await after == "new"
    slow.set_result("old")
    assert await before == "old"
    assert await collections.incarnation("j1", "c") == "new"
