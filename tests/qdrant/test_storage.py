"""How collections are kept: on disk, in eight bits; on the embedded Qdrant, and on the one in QDRANT_URL."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from qdrant_client import models

from gateways.qdrant import Qdrant, Storage
from gateways.qdrant.searching import Ranking
from gateways.qdrant.storage import storage_of
from rules.search.language import read
from tests.qdrant.points import photo
from tests.qdrant.server import EmbeddedQdrant
from tests.qdrant.words import page_of

KINDS = [
    Storage(),
    Storage(vectors_on_disk=True, quantization="int8"),
    Storage(payload_on_disk=False),
]


@pytest.mark.parametrize("storage", KINDS, ids=["as it is", "on disk, in eight bits", "payload in memory"])
async def test_a_new_collection_is_kept_as_is_said(qdrant: Qdrant, name: str, storage: Storage) -> None:
    made = await qdrant.ensure_collection(name, model_id="a", dimension=4, distance="Cosine", storage=storage)
    assert made.storage == storage
    again = await qdrant.ensure_collection(name, model_id="a", dimension=4, distance="Cosine")
    assert again.storage == storage, "only who makes it says how"


async def test_one_that_exists_is_changed_and_finds_the_same(qdrant: Qdrant, photos: str) -> None:
    points = [photo(number, caption="sea") for number in range(50)]
    await qdrant.upsert(photos, points)
    await qdrant.fill_words(photos, seconds=60)
    ranking = Ranking(by_words=True, vectors=[[1.0, 0.1, 0.0, 0.0]])
    before = await page_of(qdrant, photos, read("sea"), ranking, limit=20)
    known = await qdrant.existing_collection(photos)
    for storage in [*KINDS[1:], KINDS[0]]:
        kept = await qdrant.keep_collection(photos, storage)
        assert kept.storage == storage
        assert kept == replace(known, points=50, storage=storage)
        assert await page_of(qdrant, photos, read("sea"), ranking, limit=20) == before
        await qdrant.upsert(photos, points[:1])


async def test_the_embedded_one_remembers_and_says_what_it_does_not_follow(server: EmbeddedQdrant) -> None:
    wanted = Storage(vectors_on_disk=True, quantization="int8")
    async with Qdrant(server.url) as qdrant:
        await qdrant.ensure_collection("old", model_id="a", dimension=4, distance="Cosine")
        new = await qdrant.ensure_collection("new", model_id="a", dimension=4, distance="Cosine", storage=wanted)
        assert [said.split(":")[0] for said in new.storage.warnings] == [
            "The embedded Qdrant reads vectors and payload from files, which the system holds in memory while there is "
            "room, whatever is set.",
            "The embedded Qdrant compares whole vectors",
        ]
        await qdrant.keep_collection("old", wanted)
        server.kill()
    server.start()
    async with Qdrant(server.url) as qdrant:
        for name in ("old", "new"):
            assert (await qdrant.existing_collection(name)).storage == wanted
        await qdrant.keep_collection("old", Storage())
        assert (await qdrant.existing_collection("old")).storage.warnings == ()
    for change in (
        {"vectors": {"": {"hnsw_config": {"m": 8}}}},
        {"params": {"replication_factor": 2}},
        {"vectors": {"x": {"on_disk": True}}},
    ):
        refused = httpx.patch(f"{server.url}/collections/old", json=change)
        assert (refused.status_code, "Not supported" in refused.text) == (400, True)


@asynccontextmanager
async def recorded(answers: dict[str, Any]) -> AsyncIterator[tuple[Qdrant, list[tuple[str, str, Any]]]]:
    """A client of a Qdrant that answers by the end of the path, and what it was asked."""
    asked: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        asked.append((request.method, request.url.path, body))
        result = next((found for end, found in answers.items() if request.url.path.endswith(end)), True)
        if request.method in ("PATCH", "PUT") and not request.url.path.endswith("/index"):
            result = True
        return httpx.Response(200, json={"result": result, "status": "ok", "time": 0.0})

    async with Qdrant("http://qdrant") as qdrant:
        api = qdrant._client.http.client
        await api._async_client.aclose()
        api._async_client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
        yield qdrant, asked


def described(**config: Any) -> dict[str, Any]:
    """A collection as a real Qdrant describes it."""
    return {
        "status": "green",
        "optimizer_status": "ok",
        "points_count": 0,
        "segments_count": 2,
        "payload_schema": {},
        "config": {
            "params": {"vectors": {"size": 4, "distance": "Cosine"}, "on_disk_payload": True},
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {"default_segment_number": 0, "flush_interval_sec": 5},
            "metadata": {"model_id": "a", "incarnation": "i"},
            **config,
        },
    }


SCALAR = {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}


async def test_what_a_real_one_is_asked() -> None:
    async with recorded({"/collections/c": described()}) as (qdrant, asked):
        await qdrant.keep_collection("c", Storage(vectors_on_disk=True, payload_on_disk=True, quantization="int8"))
        await qdrant.keep_collection("c", Storage())
    first, second = [body for method, _, body in asked if method == "PATCH"]
    assert first == {
        "vectors": {"": {"on_disk": True}},
        "params": {"on_disk_payload": True},
        "quantization_config": SCALAR,
    }
    assert second == {
        "vectors": {"": {"on_disk": False}},
        "params": {"on_disk_payload": True},
        "quantization_config": "Disabled",
    }


async def test_what_eight_bits_find_is_compared_by_whole_vectors() -> None:
    answers = {
        "/points/query": {"points": []},
        "/points/count": {"count": 3},
        "/index": {"operation_id": 1, "status": "completed"},
        "/collections/c": described(),
    }
    async with recorded(answers) as (qdrant, asked):
        one, both = Ranking(by_words=False, vectors=[[1.0] * 4]), Ranking(by_words=True, vectors=[[1.0] * 4])
        await qdrant.ranked("c", read("sea"), one, count=1)
        await qdrant.ranked("c", read("sea"), both, count=1)
        await qdrant.nearest("c", read("sea"), [1.0] * 4)
        await qdrant.search("c", [1.0] * 4, limit=1)
    queries = [body for _, path, body in asked if path.endswith("/points/query")]
    by_vector = [body for body in queries if "prefetch" not in body]
    assert (len(queries), len(by_vector)) == (5, 4)
    for body in by_vector:
        assert body["params"] == {"quantization": {"rescore": True}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Storage()),
        ({"quantization_config": SCALAR}, Storage(quantization="int8")),
        ({"quantization_config": {"binary": {"always_ram": True}}}, Storage(quantization="binary")),
        ({"quantization_config": {"product": {"compression": "x16"}}}, Storage(quantization="product")),
        (
            {
                "params": {
                    "vectors": {"size": 4, "distance": "Cosine", "memory": "cold"},
                    "payload": {"memory": "cached"},
                }
            },
            Storage(vectors_on_disk=True, payload_on_disk=False),
        ),
        (
            {"params": {"vectors": {"size": 4, "distance": "Cosine", "quantization_config": SCALAR}}},
            Storage(quantization="int8"),
        ),
    ],
    ids=["plain", "scalar", "binary", "product", "memory", "of the vector"],
)
def test_others_may_have_said_it_in_other_ways(config: dict[str, Any], expected: Storage) -> None:
    info = models.CollectionInfo.model_validate(described(**config))
    vectors = info.config.params.vectors
    assert isinstance(vectors, models.VectorParams)
    assert storage_of(info, vectors) == expected
