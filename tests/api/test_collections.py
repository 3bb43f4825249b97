"""Collections over HTTP."""

import pytest

from settings import Settings
from tests.api.service import Service, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_collection_from_its_creation_to_its_end(service: Service, collection: str) -> None:
    created = await service.http.post("collections", json={"name": collection})
    assert created.status_code == 201
    expected = {"name": collection, "points": 0, "dimension": 512, "model_id": "stub-1"}
    assert created.json() == expected
    assert expected in (await service.get("collections"))["collections"]
    info = await service.get(f"collections/{collection}/info")
    assert info == expected | {"incarnation": info["incarnation"], "active": False}
    assert len(info["incarnation"]) == 36

    again = await service.http.post("collections", json={"name": collection})
    assert (again.status_code, collection in again.json()["detail"]) == (409, True)

    assert (await service.http.delete(f"collections/{collection}")).status_code == 204
    assert collection not in [one["name"] for one in (await service.get("collections"))["collections"]]
    assert (await service.http.delete(f"collections/{collection}")).status_code == 404


async def test_the_active_collection_is_the_default_until_one_is_selected_and_survives_a_restart(
    own: Settings, collection: str
) -> None:
    async with serving(own) as service:
        assert await service.get("collections/active") == {"name": own.default_collection}
        await service.http.post("collections", json={"name": collection})
        selected = await service.http.post("collections/select", json={"name": collection})
        assert (selected.status_code, selected.json()) == (200, {"name": collection})
    async with serving(own) as service:
        assert await service.get("collections/active") == {"name": collection}
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
