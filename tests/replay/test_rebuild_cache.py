"""The dedupe cache is filled from Qdrant when its changelog and its local files are lost."""

import asyncio
import shutil
import time
from pathlib import Path

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from gateways.qdrant import Point
from tests import pictures
from tests.api.service import Service
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.replay.conftest import Quiet, run_to_its_end
from tests.worker import Worker

CHANGELOG = "darkroom-prepare-known_images-changelog"


async def delete_changelog(kafka: Part) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_topics([CHANGELOG])
        deadline = time.monotonic() + HANG_SECONDS
        while CHANGELOG in await admin.list_topics():
            assert time.monotonic() < deadline, "Kafka does not delete the changelog."
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def test_without_its_changelog_the_cache_comes_back_from_qdrant(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, kafka: Part, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(7700, 7706))
    (photos / "copy.jpg").write_bytes(pictures.jpeg(7700))
    first = await pipeline.run(photos, collection=collection)
    assert (first["outcomes"]["stored"], first["outcomes"]["duplicate"]) == (6, 1)
    await quiet()

    worker.stop()
    await delete_changelog(kafka)
    shutil.rmtree(worker.data / "worker" / "prepare")
    worker.start()
    run = await run_to_its_end(service, "collections/cache/rebuild", collection=collection)
    assert (run["read"], run["total"], run["published"], run["left_out"]) == (6, 6, 13, {})
    await quiet()

    pipeline.forget_ml()
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    before = await pipeline.points(collection)
    again = await pipeline.run(photos, collection=collection, model_id="stub-1")
    assert again["outcomes"]["unchanged"] == 7
    other = await pipeline.run(photos / "copy.jpg", collection=collection, model_id="stub-1")
    assert other["outcomes"]["unchanged"] == 1
    await pipeline.qdrant.ensure_collection(f"{collection}-2", model_id="stub-1", dimension=512, distance="Cosine")
    elsewhere = await pipeline.run(photos, collection=f"{collection}-2", model_id="stub-1")
    assert (elsewhere["outcomes"]["cached"], elsewhere["outcomes"]["duplicate"]) == (6, 1)
    assert pipeline.ml_batches() == []
    assert await pipeline.points(collection) == before


async def test_what_the_cache_has_forgotten_is_sent_to_ml_again(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(7720, 7723))
    await pipeline.run(photos, collection=collection)
    await quiet()
    run = await run_to_its_end(service, "collections/cache/clear", collection=collection)
    assert (run["read"], run["total"], run["published"], run["left_out"]) == (3, 3, 3, {})
    await quiet()
    before = await pipeline.points(collection)
    pipeline.forget_ml()
    again = await pipeline.run(photos, collection=collection)
    assert again["outcomes"]["stored"] == 3
    assert sum(len(batch) for batch in pipeline.ml_batches()) == 3
    assert await pipeline.points(collection) == before


async def test_a_point_that_another_program_wrote_is_left_out_and_counted(
    pipeline: Pipeline, service: Service, collection: str
) -> None:
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    strange = Point("6f1d3f5e-0f0b-4b43-9d0a-5b1c1c8f7a52", [0.1] * 512, {"title": "not ours"})
    await pipeline.qdrant.upsert(collection, [strange])
    run = await run_to_its_end(service, "collections/cache/rebuild", collection=collection)
    assert run["published"] == 0
    assert run["left_out"] == {"points that lack what Darkroom writes": 1}


async def test_a_collection_that_is_missing_is_said(service: Service) -> None:
    response = await service.http.post("collections/cache/rebuild", json={"collection": "no-such-one"})
    assert response.status_code == 404
    assert (await service.http.post("collections/cache/rebuild", json={"collection": "a b"})).status_code == 422
