"""A collection is followed by another generation of it, of another model, under the same name."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from core.errors import RequestError
from core.settings import Settings
from gateways.qdrant import BoundCollection, Point, Qdrant
from gateways.targets import Targets
from rules.many_paths import MAX_PATHS
from tests.deadlines import HANG_SECONDS


@pytest.fixture
async def other(url: str) -> AsyncIterator[Qdrant]:
    """The client of another process."""
    async with Qdrant(url, timeout=30) as client:
        yield client


def ids(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


def point(point_id: str, vector: list[float], *paths: str, model_id: str = "model-a") -> Point:
    payload = {"paths": list(paths), "full_path": paths[0], "filename": "a.jpg", "model_id": model_id}
    return Point(point_id, vector, payload)


async def begin(qdrant: Qdrant, name: str, model_id: str = "model-b", dimension: int = 3) -> BoundCollection:
    return await qdrant.begin_filling(name, model_id=model_id, dimension=dimension, distance="Cosine")


async def test_one_serves_until_another_is_switched_to(qdrant: Qdrant, other: Qdrant, photos: str) -> None:
    first, second = ids(2)
    many = [f"/a/{number}.jpg" for number in range(MAX_PATHS + 5)]
    await qdrant.replace(photos, [point(first, [1, 0, 0, 0], "/a.jpg"), point(second, [0, 1, 0, 0], *many)], {})
    before = await qdrant.existing_collection(photos)
    filling = await begin(qdrant, photos)
    assert (filling.model_id, filling.dimension, filling.points) == ("model-b", 3, 0)
    assert await begin(qdrant, photos) == filling
    assert filling.incarnation != before.incarnation
    await qdrant.replace(filling.at, [point(first, [1, 0, 0], "/a.jpg"), point(second, [0, 0, 1], *many)], {})

    async def seen(client: Qdrant) -> tuple[str | None, int, int]:
        info, found = await client.existing_collection(photos), await client.point(photos, second)
        assert found is not None
        return info.model_id, len(found.vector), await client.count_paths(photos, found.payload)

    assert await seen(qdrant) == await seen(other) == ("model-a", 4, MAX_PATHS + 5)
    assert [info.name for info in await qdrant.collections()].count(photos) == 1
    assert not [info for info in await qdrant.collections() if "~" in info.name]
    assert [info.model_id for info in await qdrant.generations(photos)] == ["model-a", "model-b"]

    await qdrant.switch(photos, filling)
    await qdrant.switch(photos, filling)
    deadline = time.monotonic() + HANG_SECONDS
    while await seen(other) != ("model-b", 3, MAX_PATHS + 5):
        assert time.monotonic() < deadline, "another process does not notice the switch"
        await asyncio.sleep(0.05)
    now = await other.existing_collection(photos)
    assert (now.incarnation, now.points, now.former) == (filling.incarnation, 2, ("model-a",))
    assert [hit.id for hit in await other.search(photos, [0, 0, 1], limit=1)] == [second]
    # What was on its way to the former one finds it, until it is taken away.
    leaving = await qdrant.of_model(photos, "model-a")
    assert leaving is not None
    assert leaving.incarnation == before.incarnation
    assert await qdrant.payloads(leaving.at, [first], ["paths"]) == {first: {"paths": ["/a.jpg"]}}
    with pytest.raises(RequestError, match="being embedded anew"):
        await begin(qdrant, photos, "model-c")
    await qdrant.drop_leaving(photos)
    await qdrant.drop_leaving(photos)
    assert await qdrant.of_model(photos, "model-a") is None
    assert await qdrant.payloads(leaving.at, [first, second], []) == {}
    assert await seen(qdrant) == ("model-b", 3, MAX_PATHS + 5)


async def test_it_goes_there_and_back(qdrant: Qdrant, photos: str) -> None:
    [first] = ids(1)
    for number, model_id in enumerate(["model-b", "model-a", "model-b"]):
        filling = await begin(qdrant, photos, model_id, 5 + number)
        await qdrant.replace(filling.at, [point(first, [1.0] * (5 + number), "/a.jpg", model_id=model_id)], {})
        await qdrant.switch(photos, filling)
        await qdrant.drop_leaving(photos)
        [info] = await qdrant.generations(photos)
        assert (info.model_id, info.dimension, info.points, info.number) == (model_id, 5 + number, 1, 2 + number)
    assert info.former == ("model-a",)
    assert (await qdrant.renew_collection(photos)).incarnation != info.incarnation
    assert [one.incarnation for one in await qdrant.generations(photos)] != [info.incarnation]
    survey = await qdrant.survey(photos, "model-b")
    assert (survey.points, survey.of_model, survey.without_caption, survey.archived) == (1, 1, 1, 0)


async def test_one_that_nobody_went_on_with_is_replaced(qdrant: Qdrant, photos: str) -> None:
    [first] = ids(1)
    begun = await begin(qdrant, photos)
    await qdrant.replace(begun.at, [point(first, [1, 0, 0], "/a.jpg")], {})
    again = await begin(qdrant, photos, "model-c", 6)
    assert (again.model_id, again.dimension, again.points) == ("model-c", 6, 0)
    assert await qdrant.of_model(photos, "model-b") is None


async def test_one_that_is_deleted_leaves_nothing_to_the_next_of_its_name(qdrant: Qdrant, photos: str) -> None:
    [first] = ids(1)
    many = [f"/a/{number}.jpg" for number in range(MAX_PATHS + 5)]
    filling = await begin(qdrant, photos)
    await qdrant.replace(filling.at, [point(first, [1, 0, 0], *many)], {})
    await qdrant.switch(photos, filling)
    assert await qdrant.delete_collection(photos)
    assert await qdrant.collection(photos) is None
    assert await qdrant.generations(photos) == []
    made = await qdrant.ensure_collection(photos, model_id="model-a", dimension=4, distance="Cosine")
    assert (made.points, made.former, made.number) == (0, (), 1)
    again = await begin(qdrant, photos)
    assert again.points == 0


async def test_who_asks_for_a_former_model_gets_the_present_one(qdrant: Qdrant, photos: str) -> None:
    async def unwanted() -> None:
        raise AssertionError("ML need not be asked")

    targets = Targets(qdrant, Settings(), unwanted)  # type: ignore[arg-type]
    filling = await begin(qdrant, photos)
    # A file of the job that fills it goes there; all others where they went before.
    assert await targets.ensure(photos, "model-b") == filling
    assert (await targets.ensure(photos, "model-a")).model_id == "model-a"
    await qdrant.switch(photos, filling)
    await qdrant.drop_leaving(photos)
    for model_id, dimension in (("model-a", 4), ("model-b", 3), (None, None)):
        found = await targets.ensure(photos, model_id, dimension)
        assert (found.model_id, found.dimension, found.incarnation) == ("model-b", 3, filling.incarnation)
    with pytest.raises(RequestError, match="not of 'model-c'"):
        await targets.ensure(photos, "model-c")
