"""A collection that was restored from a snapshot of Qdrant holds less than the tables believe."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from rules.identity import point_id
from tests import pictures
from tests.api.service import Service
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.replay.conftest import Quiet, run_to_its_end
from tests.worker import Worker


async def points_are_lost(qdrant: Part, collection: str, ids: list[str]) -> None:
    """Do to a collection what an older snapshot does: its metadata stay, with the incarnation, newer points go."""
    async with httpx.AsyncClient(base_url=qdrant.url) as http:
        answer = await http.post(f"/collections/{collection}/points/delete?wait=true", json={"points": ids})
        answer.raise_for_status()


def lasting(points: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Leave out what tells when a point was made, and by which of its files: two of one content come in any order."""
    of_the_first = {"job_id", "ingested_at", "filename", "full_path", "name_key"}
    return {
        path: {name: value for name, value in payload.items() if name not in of_the_first}
        for path, payload in points.items()
    }


async def test_a_renewed_collection_gets_what_its_snapshot_lacks(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, qdrant: Part, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(7800, 7804))
    (photos / "copy.jpg").write_bytes(pictures.jpeg(7803))
    assert (await pipeline.run(photos, collection=collection))["outcomes"]["stored"] == 4
    whole = await pipeline.points(collection)
    newer = [point_id(whole[str(photos / f"photo-{number}.jpg")]["file_hash"]) for number in (7802, 7803)]
    await points_are_lost(qdrant, collection, newer)
    pipeline.forget_ml()
    # Nothing tells that points are missing.
    assert (await pipeline.run(photos, collection=collection))["outcomes"]["unchanged"] == 5

    before = await service.get(f"collections/{collection}/info")
    renewed = await service.http.post(f"collections/{collection}/renew")
    assert renewed.status_code == 200, renewed.text
    assert renewed.json() == before | {"incarnation": renewed.json()["incarnation"]}
    assert renewed.json()["incarnation"] != before["incarnation"]
    assert await service.get(f"collections/{collection}/info") == renewed.json()

    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["cached"], again["outcomes"]["duplicate"]) == (4, 1)
    assert lasting(await pipeline.points(collection)) == lasting(whole)
    assert (await pipeline.run(photos, collection=collection))["outcomes"]["unchanged"] == 5
    assert pipeline.ml_batches() == []


async def test_with_the_cache_rebuilt_only_what_is_missing_is_written(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, qdrant: Part, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(7810, 7814))
    await pipeline.run(photos, collection=collection)
    whole = await pipeline.points(collection)
    await points_are_lost(qdrant, collection, [point_id(whole[str(photos / "photo-7813.jpg")]["file_hash"])])
    await quiet()
    (await service.http.post(f"collections/{collection}/renew")).raise_for_status()
    await run_to_its_end(service, "collections/cache/rebuild", collection=collection)
    await quiet()
    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["cached"], again["outcomes"]["unchanged"]) == (1, 3)
    assert lasting(await pipeline.points(collection)) == lasting(whole)


async def test_what_a_job_stores_while_its_collection_is_renewed_is_no_news_to_the_next(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(7820, 7840))
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 0.1}).raise_for_status()
    job_id = await pipeline.scan(photos, collection=collection)
    while (await service.http.post(f"collections/{collection}/renew")).status_code == 404:
        await asyncio.sleep(0.05)  # the scan makes it
    await pipeline.bus.until(pipeline.ml_batches, "the first pictures with ML")
    (await service.http.post(f"collections/{collection}/renew")).raise_for_status()
    assert (await pipeline.bus.finished(job_id))["outcomes"]["stored"] == 20
    again = (await pipeline.run(photos, collection=collection))["outcomes"]
    assert again["cached"] + again["unchanged"] == 20
    assert (await pipeline.run(photos, collection=collection))["outcomes"]["unchanged"] == 20


async def test_a_collection_that_cannot_be_renewed_says_why(service: Service, qdrant: Part, collection: str) -> None:
    assert (await service.http.post("collections/no-such-one/renew")).status_code == 404
    assert (await service.http.post("collections/a b/renew")).status_code == 422
    body = {"vectors": {"size": 4, "distance": "Cosine"}}
    httpx.put(f"{qdrant.url}/collections/{collection}", json=body).raise_for_status()
    refused = await service.http.post(f"collections/{collection}/renew")
    assert (refused.status_code, "another program" in refused.json()["detail"]) == (409, True)
