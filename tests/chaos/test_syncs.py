"""A kill at each step of a sync: what has left the folder leaves the collection, and nothing else does."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import pictures
from tests.chaos.test_failpoints import OF_SYNCS, QUICK, killed_at, until_all_is_read
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.job_status import REMOVALS_SETTLED

PHOTOS = 30
GONE = 4


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "point",
    sorted({*OF_SYNCS - {"known-told"}, "hash-sealed", "hash-sent", "fingerprints-row-written",
            "known_images-row-written", "store-concluded", "jobs-row-written", "track-checkpoint"}),
)  # fmt: skip
async def test_a_kill_in_a_sync_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos, bus, name = tmp_path / "photos", idle_pipeline.bus, f"s-{uuid.uuid4().hex[:12]}"
    (photos / "2023").mkdir(parents=True)
    seed = uuid.uuid4().int % 10**8
    pictures.write(photos, range(seed, seed + PHOTOS))
    pictures.write(photos / "2023", range(seed + PHOTOS, seed + PHOTOS + 5))
    data = tmp_path / "data"
    source = {"name": name, "folder": str(photos), "collection": collection}
    await bus.publish("source", name, source)
    with Worker(kafka, qdrant, ml, data, **QUICK):
        first = await settled(idle_pipeline, name, 1)
    assert (first["outcomes"]["stored"], first["removals"]["state"]) == (PHOTOS + 5, "none")

    files = sorted(path for path in photos.iterdir() if path.is_file())
    for path in files[:GONE]:
        path.unlink()
    (photos / "2023").rename(photos / "2024")
    files[GONE].write_bytes(pictures.jpeg(seed + 1000))
    files[GONE + 1].write_bytes(pictures.described(files[GONE + 1].read_bytes(), "An edit"))
    httpx.delete(f"{ml.url}/log").raise_for_status()
    # It is changed, and so looked at.
    await bus.publish("source", name, source | {"exclude": ["*.tmp"]})
    await killed_at(f"{point}:1", bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=f"{point}:1", **QUICK))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        status = await settled(idle_pipeline, name, 2)
    counts = {reason: status["removals"][reason] for reason in ("moved", "gone", "replaced", "excluded")}
    assert status["removals"]["state"] == "removed"
    assert counts == {"moved": 5, "gone": GONE, "replaced": 2, "excluded": 0}
    points = await idle_pipeline.points(collection)
    assert set(points) == {str(path) for path in photos.rglob("*") if path.is_file()}
    edited = points[str(files[GONE + 1])]
    assert (edited["description"], edited["job_id"]) == ("An edit", first["job_id"])
    assert {name for batch in idle_pipeline.ml_batches() for name in batch} == {files[GONE].name}


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_kill_while_a_folder_is_compared_is_harmless(
    idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """A path that prepare knows and hash does not, as of version 0.1.0, leaves at the first look."""
    photos, bus, name = tmp_path / "photos", idle_pipeline.bus, f"s-{uuid.uuid4().hex[:12]}"
    paths = pictures.write_new(photos, 6)
    data, point = tmp_path / "data", "known-told:2"
    with Worker(kafka, qdrant, ml, data, **QUICK):
        job = await idle_pipeline.run(photos, collection=collection)
        stored = bus.values("image-outcome", job_id=job["job_id"], path=str(paths[0]))[-1]
        left = {name: stored[name] for name in stored.keys() - {"content"}} | {"path": str(photos / "left.jpg")}
        await bus.publish("image-outcome", stored["sha256"], left)
        await until_all_is_read(bus)
    await bus.publish("source", name, {"name": name, "folder": str(photos), "collection": collection})
    await killed_at(point, bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=point, **QUICK))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        status = await settled(idle_pipeline, name, 1)
    removals = status["removals"]
    assert (removals["state"], removals["gone"], removals["lost"]) == ("removed", 1, 0)
    assert set(await idle_pipeline.points(collection)) == set(map(str, paths))


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_what_was_handed_on_before_a_kill_leaves_where_its_file_has_changed_since(
    idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos, bus, name = tmp_path / "photos", idle_pipeline.bus, f"s-{uuid.uuid4().hex[:12]}"
    photos.mkdir()
    data, point, path = tmp_path / "data", "hash-sent:1", photos / "copy.jpg"
    (known,) = pictures.write_new(tmp_path / "elsewhere", 1)
    with Worker(kafka, qdrant, ml, data, **QUICK):
        await idle_pipeline.run(known, collection=collection)
    path.write_bytes(known.read_bytes())
    await bus.publish("source", name, {"name": name, "folder": str(photos), "collection": collection})
    await killed_at(point, bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=point, **QUICK))
    path.write_bytes(pictures.jpeg(uuid.uuid4().int % 10**9))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        status = await settled(idle_pipeline, name, 1)
    assert (status["removals"]["state"], status["removals"]["replaced"]) == ("removed", 1)
    found, _ = await idle_pipeline.qdrant.page(collection, limit=10)
    assert sorted(point.payload["paths"] for point in found) == sorted([[str(known)], [str(path)]])


async def settled(pipeline: Pipeline, source: str, number: int) -> dict[str, Any]:
    """Wait for the so many-th job of a source, until all of it is settled."""
    bus = pipeline.bus

    def jobs() -> list[str]:
        return list(dict.fromkeys(status["job_id"] for status in bus.values("job-status", source=source)))

    await bus.until(lambda: len(jobs()) >= number, f"the job number {number} of {source}")
    job_id = jobs()[number - 1]
    account(await bus.finished(job_id))

    def newest() -> dict[str, Any] | None:
        status = max(bus.values("job-status", job_id=job_id), key=lambda found: found["offset"])
        removals = status.get("removals")
        return status if removals is not None and removals["state"] in REMOVALS_SETTLED else None

    status: dict[str, Any] = await bus.until(newest, f"what becomes of what {json.dumps(job_id)} has found to be gone")
    return status
