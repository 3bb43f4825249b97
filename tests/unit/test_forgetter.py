"""A request to forget that is cut off can be made again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.forgetting.forgetter import Forgetter
from api.images.preview_store import PreviewStore
from api.schemas.forgetting import ForgetBody
from api.uploads.room import Room
from core.settings import Settings
from topics.source import Source
from topics.sources import KnownSource

PARTITIONS = 2


class Around:
    """What it asks: Kafka, Qdrant, the sources, the letters."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def publish_all(self, messages: list[Any]) -> None:
        self.published += [message.topic for message in messages]

    async def get(self, name: str) -> KnownSource:
        return KnownSource(Source(name=name, folder="/photos", collection="home"), 0.0)

    async def last_jobs(self, _names: list[str]) -> dict[str, Any]:
        return {}

    async def pages(self, _name: str, **_: object) -> AsyncIterator[list[Any]]:
        for _ in ():
            yield []

    async def remove(self, _name: str) -> None:
        raise ConnectionError("Cut off.")

    async def forget(self, *_: object, **__: object) -> int:
        return 0


async def test_a_source_is_there_until_what_it_holds_was_asked_to_be_forgotten(tmp_path: Path) -> None:
    around: Any = Around()
    previews = PreviewStore(tmp_path, 1 << 20, Room(tmp_path, 0))
    forgetter = Forgetter(
        Settings(kafka_partitions=PARTITIONS),
        around,
        publisher=around,
        view=around,
        kept=around,
        sources=around,
        letters=around,
        previews=previews,
    )
    with pytest.raises(ConnectionError):
        await forgetter.forget(ForgetBody(source="home"))
    assert around.published == ["raw-path"] * PARTITIONS
