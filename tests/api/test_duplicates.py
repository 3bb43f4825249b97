"""Finding pictures that look alike; the points were put there by the test."""

import uuid
from typing import Any

import pytest

from api.duplicates.grouping import Groups
from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from tests.api.service import Service, eventually, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


def point(first: float, second: float, **payload: Any) -> Point:
    return Point(
        str(uuid.uuid4()), [first, second, *[0.0] * 510], {"filename": "a.jpg", "thumbnail_base64": "AA==", **payload}
    )


async def finished(service: Service, collection: str, **body: Any) -> dict[str, Any]:
    begun = await service.http.post("duplicates/find-similar", json={"collection": collection, **body})
    assert begun.status_code == 202, begun.text

    async def look() -> dict[str, Any] | None:
        report = await service.get(f"duplicates/report/{begun.json()['report_id']}", limit=200)
        return report if report["state"] != "running" else None

    return await eventually(look)


async def test_a_report_names_groups_and_copies_and_survives_a_restart(
    own: Settings, vectors: Qdrant, collection: str
) -> None:
    twins = [point(1.0, 0.0), point(1.0, 0.01)]
    cousin = point(1.0, 0.2)
    copied = point(0.0, 1.0, paths=["/a.jpg", "/b.jpg"])
    alone = point(-1.0, 0.0, paths=["/c.jpg"])
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    await vectors.upsert(collection, [*twins, cousin, copied, alone])
    async with serving(own) as service:
        strict = await finished(service, collection, threshold=0.999)
        assert (strict["state"], strict["read_points"], strict["groups_total"]) == ("done", 5, 2)
        exact, similar = strict["groups"]
        assert (exact["kind"], [image["id"] for image in exact["images"]]) == ("exact", [copied.id])
        assert exact["images"][0]["payload"] == {"filename": "a.jpg", "paths": ["/a.jpg", "/b.jpg"]}
        assert (similar["kind"], {image["id"] for image in similar["images"]}) == ("similar", {one.id for one in twins})
        assert all(image["score"] > 0.999 for image in similar["images"])
        loose = await finished(service, collection, threshold=0.9)
        assert {image["id"] for image in loose["groups"][1]["images"]} == {one.id for one in (*twins, cousin)}
    async with serving(own) as service:
        path = f"duplicates/report/{strict['report_id']}"
        assert await service.get(path) == strict
        first = await service.get(path, limit=1)
        rest = await service.get(path, limit=1, cursor=first["next"])
        assert first["groups"] + rest["groups"] == strict["groups"]
        assert rest["next"] is None
        kept = (await service.get("duplicates/reports", collection=collection))["reports"]
        assert [one["report_id"] for one in kept] == [loose["report_id"], strict["report_id"]]
        assert (kept[1]["threshold"], kept[1]["groups_total"], kept[1]["at"]) == (0.999, 2, strict["at"])
        assert (await service.get("duplicates/reports", collection="other"))["reports"] == []


async def test_what_cannot_be_searched_is_refused(service: Service, vectors: Qdrant, collection: str) -> None:
    missing = await service.http.post("duplicates/find-similar", json={"collection": collection})
    assert (missing.status_code, collection in missing.json()["detail"]) == (404, True)
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    wrong = {"collection": collection, "filters": {"unheard": 1}}
    assert (await service.http.post("duplicates/find-similar", json=wrong)).status_code == 422
    assert (await service.http.get(f"duplicates/report/{uuid.uuid4().hex}")).status_code == 404


async def test_random_pictures_are_any_of_those_that_match(service: Service, vectors: Qdrant, collection: str) -> None:
    points = [point(1.0, 0.0, iso=number % 2 * 100) for number in range(12)]
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    await vectors.upsert(collection, points)
    everything = (await service.get("random", collection=collection, count=50))["images"]
    assert sorted(image["id"] for image in everything) == sorted(one.id for one in points)
    assert everything[0]["payload"].keys() == {"filename", "iso"}
    wanted = {one.id for one in points if one.payload["iso"]}
    some = [
        (await service.get("random", collection=collection, count=2, filters='{"iso": 100}'))["images"]
        for _ in range(30)
    ]
    assert {image["id"] for images in some for image in images} <= wanted
    assert all(len({image["id"] for image in images}) == 2 for images in some)
    assert len({image["id"] for images in some for image in images}) > 2


async def test_pairs_become_groups_the_most_alike_first() -> None:
    groups = Groups()
    for one, other, score in [("a", "b", 0.9), ("c", "d", 0.99), ("b", "e", 0.95), ("b", "a", 0.9)]:
        groups.join(one, other, score)
    assert groups.groups() == [[("c", 0.99), ("d", 0.99)], [("b", 0.95), ("e", 0.95), ("a", 0.9)]]
