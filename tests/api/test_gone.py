"""Pictures that are gone, over HTTP; the points were put there by the test."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from gateways.qdrant import Point, Qdrant
from tests.api.service import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime.now(UTC).replace(microsecond=0)


def point(name: str, **payload: Any) -> Point:
    fields = {"filename": name, "full_path": f"/p/{name}", "paths": [], "file_hash": uuid.uuid4().hex * 2}
    return Point(str(uuid.uuid4()), [0.5] * 512, fields | payload)


@pytest_asyncio.fixture(loop_scope="module")
async def gone(vectors: Qdrant, collection: str) -> list[Point]:
    """Fill a collection: one picture that is there, one that is archived, three that are gone, the last ones first."""
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    there = [point("there.jpg", paths=["/p/there.jpg"]), point("archived.jpg")]
    left = [point(f"{days}.jpg", gone_at=(NOW - timedelta(days=days)).isoformat()) for days in (1, 2, 40)]
    await vectors.upsert(collection, [*there, *left])
    return left


async def test_what_is_gone_is_listed_and_counted_by_itself(
    service: Service, collection: str, gone: list[Point]
) -> None:
    first = await service.get("images/gone", collection=collection, per_page=2)
    assert [one["filename"] for one in first["images"]] == ["1.jpg", "2.jpg"]
    assert first["images"][0] == {
        "id": gone[0].id,
        "sha256": gone[0].payload["file_hash"],
        "filename": "1.jpg",
        "path": "/p/1.jpg",
        "gone_at": (NOW - timedelta(days=1)).isoformat(),
        "purge_at": (NOW + timedelta(days=29)).isoformat(),
        "kept": False,
    }
    second = await service.get("images/gone", collection=collection, per_page=2, cursor=first["next"])
    assert ([one["filename"] for one in second["images"]], second["total"], second["next"]) == (["40.jpg"], 3, None)
    info = await service.get(f"collections/{collection}/info")
    assert (info["points"], info["gone"]) == (2, 3)
    [listed] = [one for one in (await service.get("collections"))["collections"] if one["name"] == collection]
    assert (listed["points"], listed["gone"]) == (2, 3)
    checked = await service.get(f"collections/{collection}/check")
    assert (checked["points"], checked["gone"], checked["archived"]) == (2, 3, 1)


async def test_a_person_keeps_a_picture_longer(
    service: Service, vectors: Qdrant, collection: str, gone: list[Point]
) -> None:
    async def said(point: Point, days: int | None) -> dict[str, Any]:
        answer = await service.http.post(
            f"images/{point.id}/keep", params={"collection": collection}, json={"days": days}
        )
        assert answer.status_code == 200, answer.text
        kept: dict[str, Any] = answer.json()
        return kept

    once = await said(gone[0], 10)
    assert (once["purge_at"], once["kept"]) == ((NOW + timedelta(days=39)).isoformat(), True)
    assert (await said(gone[0], 10))["purge_at"] == (NOW + timedelta(days=49)).isoformat()
    # Of one that is due the days count from now.
    due = datetime.fromisoformat((await said(gone[2], 10))["purge_at"])
    assert timedelta(0) <= due - (NOW + timedelta(days=10)) < timedelta(hours=1)
    assert ((await said(gone[1], None))["purge_at"], (await said(gone[1], 10))["purge_at"]) == (None, None)
    listed = (await service.get("images/gone", collection=collection))["images"]
    assert [one["kept"] for one in listed] == [True, True, True]
    released = await service.http.delete(f"images/{gone[1].id}/keep", params={"collection": collection})
    assert (released.json()["purge_at"], released.json()["kept"]) == ((NOW + timedelta(days=28)).isoformat(), False)


async def test_what_is_not_gone_is_not_kept_longer(
    service: Service, vectors: Qdrant, collection: str, gone: list[Point]
) -> None:
    [there], _ = await vectors.page(collection, limit=1, filters={"full_path": "/p/there.jpg"})
    for point_id, status in ((there.id, 409), (str(uuid.uuid4()), 404)):
        answer = await service.http.post(f"images/{point_id}/keep", params={"collection": collection}, json={"days": 1})
        assert answer.status_code == status


async def test_many_are_kept_longer_in_one_request_or_all_of_the_collection(
    service: Service, vectors: Qdrant, collection: str, gone: list[Point]
) -> None:
    async def said(what: str, **body: Any) -> dict[str, Any]:
        answer = await service.http.post(f"images/gone/{what}", params={"collection": collection}, json=body)
        assert answer.status_code == 200, answer.text
        kept: dict[str, Any] = answer.json()
        return kept

    async def purged_at() -> list[str | None]:
        return [one["purge_at"] for one in (await service.get("images/gone", collection=collection))["images"]]

    [there], _ = await vectors.page(collection, limit=1, filters={"full_path": "/p/there.jpg"})
    some = await said("keep", ids=[gone[0].id, gone[0].id, gone[1].id, there.id, str(uuid.uuid4())], days=10)
    assert (some["count"], {one["id"] for one in some["images"]}) == (2, {gone[0].id, gone[1].id})
    planned = [(NOW + timedelta(days=days)).isoformat() for days in (29, 28)]
    assert (await purged_at())[:2] == [(NOW + timedelta(days=days + 10)).isoformat() for days in (29, 28)]
    assert await said("keep", all=True, days=None) == {"count": 3, "images": []}
    assert await purged_at() == [None] * 3
    assert await said("release", all=True) == {"count": 3, "images": []}
    assert (await purged_at())[:2] == planned
    for body in ({"days": 1}, {"days": 1, "all": True, "ids": [gone[0].id]}, {"ids": [], "days": 1}):
        answer = await service.http.post("images/gone/keep", params={"collection": collection}, json=body)
        assert answer.status_code == 422


async def test_it_is_said_how_much_would_be_forgotten_of_many(
    service: Service, collection: str, gone: list[Point]
) -> None:
    async def about(**body: Any) -> dict[str, Any]:
        answer = await service.http.post("forget", json=body | {"collection": collection, "dry_run": True})
        assert answer.status_code == 202, answer.text
        told: dict[str, Any] = answer.json()
        return told

    assert (await about(gone=True))["what"] == f"3 pictures of {collection}"
    some = await about(ids=[gone[0].id, gone[2].id, str(uuid.uuid4())])
    assert (some["pictures"], sorted(some["paths"])) == (2, ["/p/1.jpg", "/p/40.jpg"])
    answer = await service.http.post("forget", json={"gone": True, "dry_run": True})
    assert (answer.status_code, "collection" in answer.text) == (422, True)
