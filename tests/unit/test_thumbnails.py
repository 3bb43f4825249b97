"""Thumbnails that are asked for at the same time cost one request to Qdrant."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from api.images.thumbnails import Thumbnails
from core.errors import QdrantUnavailableError
from gateways.qdrant import Qdrant
from tests.deadlines import HANG_SECONDS


class SlowQdrant:
    """Answers when it is let, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def payloads(self, name: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        assert (name, fields) == ("c", ["thumbnail_base64"])
        self.asked.append(list(ids))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {one: {"thumbnail_base64": one.upper()} for one in ids if one != "nobody"}


@pytest.fixture
async def qdrant() -> SlowQdrant:
    return SlowQdrant()


async def test_what_is_asked_meanwhile_goes_together(qdrant: SlowQdrant) -> None:
    thumbnails = Thumbnails(cast(Qdrant, qdrant))
    first = asyncio.create_task(thumbnails.payload("c", "a"))
    while not qdrant.asked:
        await asyncio.sleep(0)
    others = [asyncio.create_task(thumbnails.payload("c", name)) for name in ("b", "nobody", "b", "d")]
    await asyncio.sleep(0)
    others[3].cancel()  # a page that was left
    qdrant.gate.set()
    async with asyncio.timeout(HANG_SECONDS):
        assert await first == {"thumbnail_base64": "A"}
        answers = await asyncio.gather(*others[:3])
        assert answers == [{"thumbnail_base64": "B"}, None, {"thumbnail_base64": "B"}]
        assert await thumbnails.payload("c", "e") == {"thumbnail_base64": "E"}
    assert qdrant.asked == [["a"], ["b", "nobody", "d"], ["e"]]


async def test_whoever_asked_is_told_of_the_error_and_the_next_one_asks_again(qdrant: SlowQdrant) -> None:
    thumbnails = Thumbnails(cast(Qdrant, qdrant))
    qdrant.gate.set()
    qdrant.error = QdrantUnavailableError("away")
    for _ in range(2):
        with pytest.raises(QdrantUnavailableError):
            await thumbnails.payload("c", "a")
    qdrant.error = None
    assert await thumbnails.payload("c", "a") == {"thumbnail_base64": "A"}
