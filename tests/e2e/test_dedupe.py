"""Equal content costs one ML call: within a job, across jobs and collections, after losses."""

import os
import shutil
from pathlib import Path

import httpx
from aiokafka.admin import AIOKafkaAdminClient

from api.archive.points import holders, take_path
from tests import pictures
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker


async def test_six_consumer_groups_are_visible(pipeline: Pipeline, kafka: Part) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        groups = {name for name, *_ in await admin.list_consumer_groups()}
    finally:
        await admin.close()
    assert {f"darkroom-{stage}" for stage in ("scan", "hash", "prepare", "embed", "store", "track")} <= groups


async def test_unchanged_touched_and_second_collection(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    paths = pictures.write(tmp_path, range(1000, 1006))
    first = await pipeline.run(tmp_path, collection=collection)
    assert first["outcomes"]["stored"] == 6
    assert first["ml_images_sent"] == 6
    pipeline.forget_ml()

    again = await pipeline.run(tmp_path, collection=collection)
    assert again["outcomes"]["unchanged"] == 6

    for path in paths:
        os.utime(path)
    touched = await pipeline.run(tmp_path, collection=collection)
    assert touched["outcomes"]["unchanged"] == 6

    other = await pipeline.run(tmp_path, collection=f"{collection}-2")
    assert other["outcomes"]["cached"] == 6
    assert len(await pipeline.points(f"{collection}-2")) == 6
    assert pipeline.ml_batches() == []


async def test_two_copies_in_flight_cost_one_call(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 2.0}).raise_for_status()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(pictures.jpeg(1100))
    status = await pipeline.run(tmp_path, collection=collection)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (1, 1)
    assert sum(len(batch) for batch in pipeline.ml_batches()) == 1
    points = await pipeline.points(collection)
    assert set(points) == {str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")}
    assert len({point["file_hash"] for point in points.values()}) == 1


async def test_two_jobs_in_flight_with_one_content(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 1.0}).raise_for_status()
    pictures.write(tmp_path, range(1200, 1202))
    first = await pipeline.scan(tmp_path, collection=collection)
    second = await pipeline.scan(tmp_path, collection=f"{collection}-2")
    one = account(await pipeline.bus.finished(first))
    two = account(await pipeline.bus.finished(second))
    assert sorted(
        [one["outcomes"]["stored"] + two["outcomes"]["stored"], one["outcomes"]["cached"] + two["outcomes"]["cached"]]
    ) == [2, 2]
    assert sum(len(batch) for batch in pipeline.ml_batches()) == 2
    assert len(await pipeline.points(collection)) == len(await pipeline.points(f"{collection}-2")) == 2


async def test_a_deleted_collection_comes_back_without_ml(
    pipeline: Pipeline, collection: str, tmp_path: Path, worker: Worker
) -> None:
    photos = tmp_path / "photos"
    pictures.write(photos, range(1300, 1305))
    await pipeline.run(photos, collection=collection)
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()

    await pipeline.qdrant.delete_collection(collection)
    status = await pipeline.run(photos, collection=collection, model_id="stub-1")
    assert status["outcomes"]["cached"] == 5
    assert len(await pipeline.points(collection)) == 5

    # And from the changelog, when the local files of the tables are gone.
    # Stopped in order: what a killed worker had not committed would be done again, into the new collection.
    assert worker.stop() == 0
    shutil.rmtree(worker.data / "worker")
    worker.start()
    await pipeline.qdrant.delete_collection(collection)
    status = await pipeline.run(photos, collection=collection, model_id="stub-1")
    assert status["outcomes"]["cached"] == 5, status
    assert len(await pipeline.points(collection)) == 5


async def test_very_many_copies_are_all_found(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    """More than a point holds: the others stand beside it, and are found, archived and stored again as all are."""
    files = [tmp_path / f"{number:03}.jpg" for number in range(130)]
    for file in files:
        file.write_bytes(pictures.jpeg(1400))
    copies = [str(file) for file in files]

    async def stored() -> tuple[str, list[str]]:
        """Return the hash, and all paths."""
        [point] = (await pipeline.qdrant.page(collection, limit=10))[0]
        assert len(point.payload["paths"]) <= 100
        paths, _ = await pipeline.qdrant.paths_page(collection, point.payload, limit=1000)
        return point.payload["file_hash"], sorted(paths)

    status = await pipeline.run(tmp_path, collection=collection)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (1, 129)
    sha256, paths = await stored()
    assert paths == copies
    for path in copies[::10]:
        assert await pipeline.qdrant.count(collection, {"paths": path}) == 1
    assert (await pipeline.run(tmp_path, collection=collection))["outcomes"]["unchanged"] == 130

    for path in (copies[0], copies[129]):
        await take_path(pipeline.qdrant, sha256, path, await holders(pipeline.qdrant, sha256, path))
        assert await pipeline.qdrant.count(collection, {"paths": path}) == 0
    assert (await stored())[1] == copies[1:129]

    await pipeline.qdrant.delete_collection(collection)
    status = await pipeline.run(tmp_path, collection=collection, model_id="stub-1")
    assert status["outcomes"]["cached"] + status["outcomes"]["duplicate"] == 130
    assert (await stored())[1] == copies
