"""Collections over HTTP."""

from typing import Any

import httpx
import pytest

from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from tests.api.events import queued
from tests.api.service import Service, eventually, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_collection_from_its_creation_to_its_end(service: Service, collection: str) -> None:
    created = await service.http.post("collections", json={"name": collection})
    assert created.status_code == 201
    storage = {"vectors_on_disk": False, "payload_on_disk": True, "quantization": "none", "warnings": []}
    expected = {"name": collection, "points": 0, "gone": 0, "dimension": 512, "model_id": "stub-1", "storage": storage}
    assert created.json() == expected
    assert expected in (await service.get("collections"))["collections"]
    info = await service.get(f"collections/{collection}/info")
    details = {"incarnation": info["incarnation"], "active": False, "filling": None, "filled": 0}
    assert info == expected | details
    assert len(info["incarnation"]) == 36

    again = await service.http.post("collections", json={"name": collection})
    assert (again.status_code, collection in again.json()["detail"]) == (409, True)

    assert (await service.http.delete(f"collections/{collection}")).status_code == 204
    assert collection not in [one["name"] for one in (await service.get("collections"))["collections"]]
    assert (await service.http.delete(f"collections/{collection}")).status_code == 404


async def test_how_a_collection_is_kept(own: Settings, collection: str) -> None:
    def of(answer: httpx.Response) -> dict[str, Any]:
        kept: dict[str, Any] = answer.raise_for_status().json()["storage"]
        assert all("embedded Qdrant" in said for said in kept.pop("warnings"))
        return kept

    plain = {"vectors_on_disk": False, "payload_on_disk": True, "quantization": "none"}
    large = {"vectors_on_disk": True, "payload_on_disk": True, "quantization": "int8"}
    settings = own.model_copy(update={"qdrant_vectors_on_disk": True, "qdrant_quantization": "int8"})
    async with serving(settings) as service:
        by_settings = await service.http.post("collections", json={"name": collection})
        assert of(by_settings) == large
        body = {"name": f"{collection}-2", "storage": {"vectors_on_disk": False, "quantization": "none"}}
        assert of(await service.http.post("collections", json=body)) == plain
        change = await service.http.patch(f"collections/{collection}/storage", json={"quantization": "none"})
        assert of(change) == large | {"quantization": "none"}
        assert of(await service.http.get(f"collections/{collection}/info")) == large | {"quantization": "none"}
        for wrong in ({"quantization": "int4"}, {"vectors": "disk"}):
            refused = await service.http.patch(f"collections/{collection}/storage", json=wrong)
            assert refused.status_code == 422
        nowhere = await service.http.patch(f"collections/{collection}-3/storage", json={"quantization": "none"})
        assert nowhere.status_code == 404


async def test_the_active_collection_is_the_default_until_one_is_selected_and_survives_a_restart(
    own: Settings, collection: str
) -> None:
    async with serving(own) as service:
        assert await service.get("collections/active") == {"name": own.default_collection}
        assert (await service.get("collections"))["selected"] is None
        await service.http.post("collections", json={"name": collection})
        selected = await service.http.post("collections/select", json={"name": collection})
        assert (selected.status_code, selected.json()) == (200, {"name": collection})
    async with serving(own) as service:
        assert await service.get("collections/active") == {"name": collection}
        assert (await service.get("collections"))["selected"] == collection
        assert (await service.get(f"collections/{collection}/info"))["active"] is True
        assert (await service.get("images"))["total"] == 0  # of the active one
        await service.http.delete(f"collections/{collection}")
        assert await service.get("collections/active") == {"name": own.default_collection}


async def test_what_does_not_exist_is_not_found(service: Service, collection: str) -> None:
    for response in (
        await service.http.get(f"collections/{collection}/info"),
        await service.http.post("collections/select", json={"name": collection}),
        await service.http.get("images", params={"collection": collection}),
        await service.http.post("search", json={"query": "sea", "collection": collection}),
    ):
        assert response.status_code == 404
        assert collection in response.json()["detail"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65])
async def test_a_wrong_name_is_refused_everywhere(service: Service, name: str) -> None:
    for response in (
        await service.http.post("collections", json={"name": name}),
        await service.http.post("collections/select", json={"name": name}),
    ):
        assert response.status_code == 422
        assert "cannot name a collection" in response.json()["detail"]


class TestCopies:
    async def test_a_merge_has_all_pictures_with_all_their_paths(
        self, service: Service, vectors: Qdrant, collection: str
    ) -> None:
        one, other, target = (f"{collection}-{name}" for name in ("one", "other", "target"))
        shared, single = stored("/a/x.jpg", number=1), stored("/a/y.jpg", number=2)
        await fill(vectors, one, [shared, single])
        await fill(vectors, other, [stored("/b/x.jpg", number=1), stored("/b/z.jpg", number=3, caption="theirs")])
        response = await service.http.post("collections/merge", json={"sources": [one, other], "target": target})
        assert response.status_code == 202, response.text
        run = await run_of(service, response.json()["id"])
        assert (run["state"], run["total"], run["read"]) == ("done", 4, 4)
        points = {point.id: point for point in await vectors.points(target, [f"{UUID_STEM}{n}" for n in (1, 2, 3)])}
        assert len(points) == 3
        assert points[shared.id].payload["paths"] == ["/a/x.jpg", "/b/x.jpg"]
        assert points[shared.id].payload["filename"] == "x.jpg"
        assert points[single.id].payload["thumbnail_base64"] == "AA=="
        assert points[single.id].vector == pytest.approx(single.vector)
        assert points[f"{UUID_STEM}3"].payload["caption"] == "theirs"
        assert await vectors.count(one) == 2
        again = await service.http.post("collections/merge", json={"sources": [one], "target": target})
        assert (await run_of(service, again.json()["id"]))["state"] == "done"
        assert await vectors.points(target, list(points)) == [points[point] for point in points]

    async def test_a_selection_becomes_a_collection(self, service: Service, vectors: Qdrant, collection: str) -> None:
        points = [stored(f"/{number}.jpg", number=number) for number in range(3)]
        await fill(vectors, collection, points)
        body = {"name": f"{collection}-best", "source": collection, "ids": [points[0].id, points[2].id]}
        response = await service.http.post("collections/from_selection", json=body)
        assert (response.status_code, response.json()["points"]) == (201, 2)
        assert await vectors.payloads(body["name"], [point.id for point in points], ["paths"]) == {  # type: ignore[arg-type]
            points[0].id: {"paths": ["/0.jpg"]},
            points[2].id: {"paths": ["/2.jpg"]},
        }
        unknown = await service.http.post(
            "collections/from_selection", json=body | {"name": f"{collection}-new", "ids": [points[1].id, NOBODY]}
        )
        assert (unknown.status_code, NOBODY in unknown.json()["detail"]) == (404, True)
        assert await vectors.count(f"{collection}-new") == 0

    async def test_vectors_of_several_models_are_not_mixed(
        self, service: Service, vectors: Qdrant, collection: str
    ) -> None:
        await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
        await vectors.ensure_collection(f"{collection}-2", model_id="stub-2", dimension=512, distance="Cosine")
        for sources, target in (([collection, f"{collection}-2"], "x"), ([collection], f"{collection}-2")):
            response = await service.http.post("collections/merge", json={"sources": sources, "target": target})
            assert (response.status_code, "model" in response.json()["detail"]) == (409, True)
        itself = await service.http.post("collections/merge", json={"sources": [collection], "target": collection})
        assert itself.status_code == 422

    async def test_nothing_is_copied_into_a_collection_that_a_job_writes_to(
        self, service: Service, vectors: Qdrant, collection: str, job_id: str
    ) -> None:
        await fill(vectors, collection, [stored("/1.jpg", number=1)])
        target = f"{collection}-busy"
        await service.status(
            job_id, offset=await service.publish(queued(job_id).model_copy(update={"collection": target}))
        )
        body = {"name": target, "source": collection, "ids": [f"{UUID_STEM}1"]}
        response = await service.http.post("collections/from_selection", json=body)
        assert (response.status_code, job_id in response.json()["detail"]) == (409, True)


UUID_STEM = "00000000-0000-4000-8000-00000000000"
NOBODY = "00000000-0000-4000-8000-0000000000ff"


def stored(path: str, *, number: int, **fields: str) -> Point:
    payload = {
        "filename": path.rpartition("/")[2], "full_path": path, "paths": [path], "file_hash": f"{number:064}",
        "thumbnail_base64": "AA==", **fields,
    }  # fmt: skip
    return Point(f"{UUID_STEM}{number}", [1.0 if place == number else 0.0 for place in range(512)], payload)


async def fill(vectors: Qdrant, name: str, points: list[Point]) -> None:
    await vectors.ensure_collection(name, model_id="stub-1", dimension=512, distance="Cosine")
    await vectors.upsert(name, points)


async def run_of(service: Service, run_id: str) -> dict[str, Any]:
    async def ended() -> dict[str, Any] | None:
        run = await service.get(f"runs/{run_id}")
        return run if run["state"] != "running" else None

    return await eventually(ended)
