"""The dedupe cache is filled from Qdrant when its changelog and its local files are lost."""

import asyncio
import json
import shutil
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import uvicorn
from aiokafka.admin import AIOKafkaAdminClient

from gateways.qdrant import Point
from tests import pictures
from tests.api.service import Service
from tests.bus import PARTITIONS
from tests.cli.command import darkroom
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.replay.conftest import Quiet, run_to_its_end
from tests.worker import Worker

CHANGELOG = "darkroom-prepare-known_images-changelog"

Clear = Callable[..., Awaitable[int]]


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


async def over_http(service: Service, collection: str, *, force: bool) -> int:
    """Clear the cache; return how many messages were published for it."""
    run = await run_to_its_end(service, "collections/cache/clear", collection=collection, force=force)
    return int(run["published"])


async def by_command(service: Service, collection: str, *, force: bool) -> int:
    """Clear the cache; return how many messages the command says were published for it."""
    arguments = ["clear-cache", "--collection", collection, "--json", *(["--force"] if force else [])]
    transport = service.http._transport
    assert isinstance(transport, httpx.ASGITransport)
    server = uvicorn.Server(uvicorn.Config(transport.app, lifespan="off", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serves = asyncio.create_task(server.serve(sockets=[listening]))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        done = await asyncio.to_thread(darkroom, *arguments, cwd=service.settings.darkroom_data, DARKROOM_URL=url)
        server.should_exit = True
        await serves
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["published"])


@pytest.mark.parametrize("clear", [over_http, by_command])
async def test_a_cache_that_is_cleared_by_force_lets_a_copy_take_over(
    pipeline: Pipeline, service: Service, collection: str, tmp_path: Path, clear: Clear
) -> None:
    """As when what was to be sent to ML is lost: here it does not come back as ML is away."""
    bus = pipeline.bus
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    seed = 7740 if clear is over_http else 7741
    for name in ("owner", "copy"):
        (tmp_path / f"{name}.jpg").write_bytes(pictures.jpeg(seed))
    owner = await pipeline.scan(tmp_path / "owner.jpg", collection=collection, model_id="stub-1")
    await bus.until(lambda: bus.values("ml-request", job_id=owner), "the owner's request")
    copy = await pipeline.scan(tmp_path / "copy.jpg", collection=collection, model_id="stub-1")
    await bus.until(lambda: bus.values("hashed-file", job_id=copy), "the copy")

    assert await clear(service, collection, force=False) == 0
    await bus.quiet(1)
    assert bus.values("ml-request", job_id=copy) == []
    assert await clear(service, collection, force=True) == PARTITIONS
    await bus.until(lambda: bus.values("ml-request", job_id=copy), "the copy's request")

    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    for job in (owner, copy):
        outcomes = account(await bus.finished(job))["outcomes"]
        assert (sum(outcomes.values()), outcomes["failed"]) == (1, 0)
    assert set(await pipeline.points(collection)) == {str(tmp_path / f"{name}.jpg") for name in ("owner", "copy")}


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
