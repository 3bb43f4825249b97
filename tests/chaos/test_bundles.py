"""Kills inside messages of many files, most of which have not changed: each file has one outcome all the same."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.chaos.test_failpoints import ONCE, QUICK, killed_at, until_all_is_read
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

# Where a kill may hit a folder that is looked at again, and how many files a message of that worker holds.
LOOKED_AT_AGAIN = {
    "scan-walked": 256, "hash-sent": 7, "hash-sealed": 256, "unchanged-told": 5, "known_images-row-written": 3,
    "prepare-sent": 256, "embed-written": 7, "store-reported": 256, "jobs-row-written": 7, "track-checkpoint": 1,
}  # fmt: skip
UNCHANGED, CHANGED, NEW = 30, 8, 6
BATCH = {"ml_inference_batch_size": 4, "ml_batches_in_flight": 1}


async def album(pipeline: Pipeline, worker: Worker, folder: Path, collection: str) -> None:
    """Ingest a folder, and change some of it: a third of what is new, or has changed, has equal contents."""
    paths = pictures.write_new(folder, UNCHANGED + CHANGED)
    with worker:
        await pipeline.run(folder, collection=collection)
    pipeline.forget_ml()
    contents = [path.read_bytes() for path in pictures.write_new(folder / "new", NEW)]
    for path, content in zip(paths[UNCHANGED:], [*contents[:2], *contents], strict=True):
        path.write_bytes(content[:-2] + b"\x00\xff\xd9")  # new for Darkroom; two of them are equal to two others


async def check_looked_at_again(pipeline: Pipeline, job_id: str) -> None:
    bus = pipeline.bus
    status = account(await bus.finished(job_id))
    outcomes = status["outcomes"]
    assert (status["status"], status["total_files"]) == ("completed", UNCHANGED + CHANGED + NEW)
    assert outcomes["unchanged"] == UNCHANGED
    # What was stored before a kill may be told after it as cached.
    assert outcomes["stored"] + outcomes["cached"] == NEW + CHANGED - 2
    assert outcomes["duplicate"] == 2
    told = {file["file_id"] for event in bus.events(job_id, "outcomes") for file in event["files"]}
    assert len(told) == status["total_files"]
    assert bus.of_job("dead-letter", job_id) == []
    # One kill: what was with ML, or answered and not stored yet, is sent once more at most.
    sent = Counter(name for batch in pipeline.ml_batches() for name in batch)
    assert max(sent.values()) <= 2
    await until_all_is_read(bus)
    last = await bus.finished(job_id)
    assert (last["outcomes"], last["status"], last["end_time"]) == (outcomes, status["status"], status["end_time"])


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", sorted(LOOKED_AT_AGAIN))
async def test_a_kill_while_a_folder_is_looked_at_again_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """Most of its files cost a look, and are seen by their outcome; the others stand in the same messages."""
    photos, data = tmp_path / "photos", tmp_path / "data"
    settings = QUICK | BATCH | {"kafka_files_per_message": LOOKED_AT_AGAIN[point]}
    await album(idle_pipeline, Worker(kafka, qdrant, ml, data, **settings), photos, collection)
    armed = f"{point}:{1 if point in ONCE else 2}"
    job_id = await idle_pipeline.scan(photos, collection=collection)
    await killed_at(armed, idle_pipeline.bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=armed, **settings))
    with Worker(kafka, qdrant, ml, data, **settings):
        await check_looked_at_again(idle_pipeline, job_id)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", ["hash-seen", "hash-sent", "unchanged-told"])
async def test_a_kill_inside_the_messages_of_a_program_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """Of many sizes, on whatever partition, some files twice, some with their stamp as walks send it."""
    photos, data, bus = tmp_path / "photos", tmp_path / "data", idle_pipeline.bus
    settings = QUICK | BATCH
    await album(idle_pipeline, Worker(kafka, qdrant, ml, data, **settings), photos, collection)
    job_id = f"program-{collection}"
    files: list[dict[str, Any]] = []
    for number, path in enumerate(sorted(photos.rglob("*.jpg"))):
        stat = path.stat()
        stamp = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns} if number % 3 else {}
        files.append({"path": str(path)} | stamp)
    files += files[:5]
    sizes = iter([1, 20, 3, 7, 2, 16])
    while files:
        some = [files.pop() for _ in range(min(next(sizes), len(files)))]
        value = {"job_id": job_id, "collection": collection, "model_id": "stub-1", "files": some}
        await bus.publish("raw-path", some[0]["path"], value, [("job_id", job_id.encode())])
    await bus.close_job(job_id)
    armed = f"{point}:{1 if point in ONCE else 2}"
    await killed_at(armed, bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=armed, **settings))
    with Worker(kafka, qdrant, ml, data, **settings):
        await check_looked_at_again(idle_pipeline, job_id)
