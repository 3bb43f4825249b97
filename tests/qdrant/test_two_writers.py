"""Two write the same points at the same time: neither takes away what the other has written."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from agents.store.departures import LeavingPaths
from agents.store.points import Points
from api.archive.points import take_path
from api.collections.copying import Copier
from core.errors import QdrantRejectedError
from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from rules.payload import REVISION
from streams.item import Item
from tests.agents.messages import db_write, hashed_file
from tests.deadlines import HANG_SECONDS
from tests.qdrant.points import photo
from topics.db_write import DBWrite
from topics.departure import Left
from topics.record import Headers

PATHS = [f"/photos/{number}.jpg" for number in range(4)]
SHA256 = "a" * 64
T = TypeVar("T")


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


def storer(qdrant: Qdrant) -> Points:
    """Return what stores, of a stage without Kafka."""
    services = SimpleNamespace(settings=Settings(), qdrant=qdrant, ml=None)
    return Points(SimpleNamespace(services=services))  # type: ignore[arg-type]


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
        await storer(qdrant).upsert(items(photos, *first))
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow).upsert(items(photos, PATHS[1])))
        await slow.has_read.wait()
        await storer(qdrant).upsert(items(photos, PATHS[2], PATHS[3]))
        slow.goes_on.set()
        await late
    assert await paths_of(qdrant, photos) == [*first, *PATHS[1:]]


async def test_an_archived_path_neither_comes_back_nor_takes_another_one_away(
    url: str, qdrant: Qdrant, photos: str
) -> None:
    await storer(qdrant).upsert(items(photos, *PATHS[:2]))
    async with SlowQdrant(url) as slow:
        late = asyncio.create_task(storer(slow).upsert(items(photos, PATHS[2])))
        await slow.has_read.wait()
        await take_path(qdrant, SHA256, PATHS[0], {photos: True})
        slow.goes_on.set()
        await late
    assert await paths_of(qdrant, photos) == PATHS[1:3]
    async with SlowQdrant(url) as slow:
        archived = asyncio.create_task(take_path(slow, SHA256, PATHS[1], {photos: True}))
        await slow.has_read.wait()
        await storer(qdrant).upsert(items(photos, PATHS[3]))
        slow.goes_on.set()
        await archived
    assert await paths_of(qdrant, photos) == PATHS[2:]


async def test_a_copy_unites_with_what_a_job_writes_meanwhile(url: str, qdrant: Qdrant, photos: str) -> None:
    source = f"{photos}-source"
    await qdrant.ensure_collection(source, model_id="model-a", dimension=4, distance="Cosine")
    try:
        await storer(qdrant).upsert(items(source, PATHS[0]))
        async with SlowQdrant(url) as slow:
            copier = Copier(slow, None, "Cosine")  # type: ignore[arg-type]
            copied = asyncio.create_task(copier.copy(source, photos, [point_id(SHA256)]))
            await slow.has_read.wait()
            await storer(qdrant).upsert(items(photos, PATHS[1]))
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


async def test_many_points_are_changed_at_once_but_those_that_another_has_written(qdrant: Qdrant, photos: str) -> None:
    points = [photo(number, caption="old") for number in range(4)]
    await qdrant.upsert(photos, points[:1])  # as version 0.1.0 wrote it, without a revision
    assert await qdrant.replace(photos, points[1:3], {}) == set()
    read = await revisions(qdrant, photos, points)
    assert await qdrant.change(photos, points[1].id, {"caption": "other"}, read[points[1].id])
    known = {point.id: read.get(point.id, {}) for point in points}
    changes = {point.id: {"caption": f"new {number}"} for number, point in enumerate(points)}
    assert await qdrant.change_all(photos, changes, known) == {points[1].id, points[3].id}  # the last is none
    captions = await qdrant.payloads(photos, [point.id for point in points], ["caption"])
    assert [captions[point.id]["caption"] for point in points[:3]] == ["new 0", "other", "new 2"]
    assert points[3].id not in captions


class CountingQdrant(Qdrant):
    """A client that notes what it is asked, and refuses to write to one point."""

    def __init__(self, url: str, refuses: str | None = None) -> None:
        super().__init__(url, timeout=30)
        self.asked: list[tuple[str, int]] = []
        self._refuses = refuses

    async def payloads(self, name: str, ids: Sequence[str], fields: list[str]) -> dict[str, dict[str, Any]]:
        self.asked.append(("payloads", len(ids)))
        return await super().payloads(name, ids, fields)

    async def change_all(
        self, name: str, fields: Mapping[str, dict[str, Any]], known: Mapping[str, Mapping[str, Any]]
    ) -> set[str]:
        self.asked.append(("change_all", len(fields)))
        if self._refuses in fields:
            raise QdrantRejectedError("It has no room.")
        return await super().change_all(name, fields, known)


def leaving(collection: str, *contents: str) -> list[Item[Left]]:
    """Return that the first path of each of these contents leaves."""
    event: Any = SimpleNamespace(message=SimpleNamespace(timestamp=1_700_000_000.0))
    return [
        Item(
            event,
            Left(job_id="sync", collection=collection, path=f"/photos/{sha256[0]}.jpg", sha256=sha256, sequence=0,
                 reason="gone"),
            Headers(),
        )
        for sha256 in contents
    ]  # fmt: skip


async def stored(qdrant: Qdrant, name: str, *contents: str) -> dict[str, dict[str, Any]]:
    """Store a picture of each content, under a path and, of the first, under two; return how to read them."""
    points = [
        Point(point_id(sha256), [1.0, 0.0, 0.0, 0.0], {
            "paths": [f"/photos/{sha256[0]}.jpg", *(["/photos/copy.jpg"] if number == 0 else [])],
            "full_path": f"/photos/{sha256[0]}.jpg", "filename": f"{sha256[0]}.jpg",
        })
        for number, sha256 in enumerate(contents)
    ]  # fmt: skip
    assert await qdrant.replace(name, points, {}) == set()
    return {point.id: point.payload for point in points}


async def test_what_leaves_many_pictures_costs_as_many_requests_as_of_one(
    url: str, qdrant: Qdrant, photos: str
) -> None:
    contents = [digit * 64 for digit in "0123456789abcdef"]
    ids = [*(await stored(qdrant, photos, *contents))]
    async with CountingQdrant(url) as counting:
        stage: Any = SimpleNamespace(services=SimpleNamespace(qdrant=counting), persist=at_once)
        await LeavingPaths(stage).take(leaving(photos, *contents, "9" * 63 + "8"))  # the last is not there
    assert counting.asked == [("payloads", 17), ("change_all", 16)]
    found = await qdrant.payloads(photos, ids, ["paths", "gone_at", "filename"])
    assert found[ids[0]] == {"paths": ["/photos/copy.jpg"], "filename": "copy.jpg"}
    assert all(found[one]["gone_at"] and found[one]["paths"] == [] for one in ids[1:])


async def test_a_picture_that_cannot_be_changed_holds_up_no_other(url: str, qdrant: Qdrant, photos: str) -> None:
    contents = [digit * 64 for digit in "01234"]
    ids = [*(await stored(qdrant, photos, *contents))]
    rejected: list[str] = []

    async def reject(_topic: Any, item: Item[Left], _error: Exception) -> None:
        rejected.append(item.record.sha256)

    async with CountingQdrant(url, refuses=ids[3]) as refusing:
        stage: Any = SimpleNamespace(services=SimpleNamespace(qdrant=refusing), persist=at_once, reject_file=reject)
        await LeavingPaths(stage).take(leaving(photos, *contents))
    assert rejected == [contents[3]]
    found = await qdrant.payloads(photos, ids, ["paths"])
    assert [found[one]["paths"] for one in ids] == [["/photos/copy.jpg"], [], [], ["/photos/3.jpg"], []]


async def at_once(_jobs: Any, attempt: Callable[[], Awaitable[T]]) -> T:
    """Do what a stage does again where Qdrant is away."""
    return await attempt()
