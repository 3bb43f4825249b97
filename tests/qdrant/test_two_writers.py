"""Two write the same points at the same time: neither takes away what the other has written."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from agents.store import _Storer
from api.archive.points import take_path
from api.collections.copying import Copier
from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from rules.payload import REVISION
from streams.item import Item
from tests.agents.messages import db_write, hashed_file
from tests.deadlines import HANG_SECONDS
from tests.qdrant.points import photo
from topics.db_write import DBWrite
from topics.record import Headers

PATHS = [f"/photos/{number}.jpg" for number in range(4)]
SHA256 = "a" * 64


class SlowQdrant(Qdrant):
    """A client that stops once between what it reads and what it writes, until it may go on."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=30)
        self.has_read, self.goes_on = asyncio.Event(), asyncio.Event()

    async def payloads(self, name: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        found = await super().payloads(name, ids, fields)
        self.has_read.set()
        await asyncio.wait_for(self.goes_on.wait(), HANG_SECONDS)
        return found


def storer(qdrant: Qdrant) -> _Storer:
    """Return what stores, of a stage without Kafka."""
    services = SimpleNamespace(settings=Settings(), qdrant=qdrant, ml=None)
    return _Storer(SimpleNamespace(services=services, batcher=lambda *_, **__: None))  # type: ignore[arg-type]


def items(collection: str, *paths: str) -> list[Item[DBWrite]]:
    """Return copies of one content."""
    event: Any = SimpleNamespace(message=SimpleNamespace(timestamp=1_700_000_000.0))
    found = []
    for path in paths:
        message = db_write(hashed_file("job", collection, path, b"content"))  # type: ignore[arg-type]
        message |= {"sha256": SHA256, "point_id": point_id(SHA256), "model_id": "model-a"}
        message["content"]["vector"] = [1.0, 0.0, 0.0, 0.0]
        found.append(Item(event, DBWrite.model_validate(message), Headers()))
    return found


async def paths_of(qdrant: Qdrant, name: str) -> list[str]:
    found = await qdrant.payloads(name, [point_id(SHA256)], ["paths"])
    return list(found[point_id(SHA256)]["paths"])


@pytest.mark.parametrize("is_known", [True, False], ids=["of a point that is there", "of a new point"])
async def test_two_store_workers_lose_no_path(url: str, qdrant: Qdrant, photos: str, is_known: bool) -> None:
    """One has lost the partition and does not know it yet: it read before the other one wrote, and writes after it."""
    first = PATHS[:1] if is_known else []
    if first:
        await storer(qdrant)._upsert(items(photos, *first))
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow)._upsert(items(photos, PATHS[1])))
        await slow.has_read.wait()
        await storer(qdrant)._upsert(items(photos, PATHS[2], PATHS[3]))
        slow.goes_on.set()
        await late
    assert await paths_of(qdrant, photos) == [*first, *PATHS[1:]]


async def test_an_archived_path_neither_comes_back_nor_takes_another_one_away(
    url: str, qdrant: Qdrant, photos: str
) -> None:
    await storer(qdrant)._upsert(items(photos, *PATHS[:2]))
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow)._upsert(items(photos, PATHS[2])))
        await slow.has_read.wait()
        await take_path(qdrant, SHA256, PATHS[0], {photos: True})
        slow.goes_on.set()
        await late
    assert await paths_of(qdrant, photos) == PATHS[1:3]
    async with SlowQdrant(url) as slow:
        archived = asyncio.create_task(take_path(slow, SHA256, PATHS[1], {photos: True}))
        await slow.has_read.wait()
        await storer(qdrant)._upsert(items(photos, PATHS[3]))
        slow.goes_on.set()
        await archived
    assert await paths_of(qdrant, photos) == PATHS[2:]


async def test_a_copy_unites_with_what_a_job_writes_meanwhile(url: str, qdrant: Qdrant, photos: str) -> None:
    source = f"{photos}-source"
    await qdrant.ensure_collection(source, model_id="model-a", dimension=4, distance="Cosine")
    try:
        await storer(qdrant)._upsert(items(source, PATHS[0]))
        async with SlowQdrant(url) as slow:
            copier = Copier(slow, None, "Cosine")  # type: ignore[arg-type]
            copied = asyncio.create_task(copier.copy(source, photos, [point_id(SHA256)]))
            await slow.has_read.wait()
            await storer(qdrant)._upsert(items(photos, PATHS[1]))
            slow.goes_on.set()
            assert await copied == 1
    finally:
        await qdrant.delete_collection(source)
    assert await paths_of(qdrant, photos) == PATHS[:2]


async def revisions(qdrant: Qdrant, name: str, points: Sequence[Point]) -> Mapping[str, dict[str, Any]]:
    return await qdrant.payloads(name, [point.id for point in points], [REVISION])


async def test_only_what_has_not_changed_is_replaced(qdrant: Qdrant, photos: str) -> None:
    points = [photo(number, caption="old") for number in range(3)]
    await qdrant.upsert(photos, points[:1])  # as version 0.1.0 wrote it, without a revision
    assert await qdrant.replace(photos, points, {}) == set()
    read = await revisions(qdrant, photos, points)
    assert len({payload.get(REVISION) for payload in read.values()}) == 3
    assert await qdrant.change(photos, points[1].id, {"caption": "other"}, read[points[1].id])
    assert not await qdrant.change(photos, points[1].id, {"caption": "late"}, read[points[1].id])
    newer = [photo(number, caption="new") for number in range(4)]
    assert await qdrant.replace(photos, newer, read) == {points[1].id}
    captions = await qdrant.payloads(photos, [point.id for point in newer], ["caption"])
    assert [captions[point.id]["caption"] for point in newer] == ["new", "other", "new", "new"]
    # Nor does one who has found no point replace what another one has made since.
    assert await qdrant.replace(photos, [photo(3, caption="late")], {}) == {newer[3].id}
