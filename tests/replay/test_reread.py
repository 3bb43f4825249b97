"""`darkroom reread`: what an older version has stored is brought up to what today's code reads from the files."""

import asyncio
import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from imaging.decoding import prepare
from imaging.files import stamp
from imaging.prepared import Prepared
from rules.identity import point_id
from rules.many_paths import MAX_PATHS
from rules.paths import to_wire
from rules.payload import FIELDS_READ_BACK, REVISION
from tests import pictures
from tests.api.service import Service
from tests.ml.stub import vector_of
from tests.pipeline import Pipeline, account
from tests.replay.conftest import Quiet, run_to_its_end
from tests.replay.test_all_topics import points
from tests.worker import Worker
from topics.image_outcome import IMAGE_OUTCOME

WRONG_VECTOR = vector_of(b"of the pixels that an older version saw")


def read(path: Path) -> Prepared:
    """Return what today's code reads."""
    return prepare(bytes(path), stamp(bytes(path)), None, max_pixels=10**9, max_bytes=10**9)


def black(thumbnail: bytes) -> bytes:
    """Return the thumbnail of a version that took the pixels for black."""
    buffer = io.BytesIO()
    Image.new("RGB", Image.open(io.BytesIO(thumbnail)).size).save(buffer, "JPEG")
    return buffer.getvalue()


def listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def write(path: str, content: bytes | None) -> None:
    """Write a file, or remove it."""
    if content is None:
        Path(path).unlink()
    else:
        Path(path).write_bytes(content)


async def store_as_of_old(
    pipeline: Pipeline, quiet: Quiet, photos: Path, *collections: str, wrong_pixels: tuple[str, ...] = ()
) -> None:
    """Store photographs as an older version would have: without dates, and some with wrong pixels.

    ML is not asked: what it said to the older version is put into the cache.
    """
    for path in listed(photos):
        prepared, is_wrong = read(path), path.name in wrong_pixels
        thumbnail = black(prepared.thumbnail) if is_wrong else prepared.thumbnail
        shown, encoded = to_wire(bytes(path))
        outcome = {
            "kind": "embedded", "job_id": "old", "collection": collections[0], "path": shown, "path_b64": encoded,
            "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns, "model_id": "stub-1",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "content": {
                "vector": WRONG_VECTOR if is_wrong else vector_of(prepared.rendition),
                "metadata": prepared.metadata.model_dump(mode="json") | {"taken_at": None, "title": "of old"},
                "thumbnail_base64": base64.b64encode(thumbnail).decode(),
            },
        }  # fmt: skip
        await pipeline.bus.publish(IMAGE_OUTCOME.name, str(outcome["sha256"]), outcome)
    await quiet()
    for name in collections:
        status = await pipeline.run(photos, collection=name)
        assert status["outcomes"]["cached"] + status["outcomes"]["duplicate"] == status["total_files"]
    await quiet()
    pipeline.forget_ml()


async def begin(service: Service, collection: str) -> str:
    """Begin to read a collection again; return the job's id."""
    response = await service.http.post(f"collections/{collection}/reread")
    assert response.status_code == 202, response.text
    return str(response.json()["job_id"])


async def reread(pipeline: Pipeline, service: Service, collection: str) -> dict[str, Any]:
    """Read a collection again; return the status at the end."""
    return account(await pipeline.bus.finished(await begin(service, collection)))


def counts(status: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in status["outcomes"].items() if count}


def taken(seed: int, year: int) -> bytes:
    """Return a photograph with a date."""
    exif = Image.Exif()
    exif.get_ifd(34665)[36867] = f"{year}:05:04 10:20:30"
    buffer = io.BytesIO()
    Image.open(io.BytesIO(pictures.jpeg(seed))).save(buffer, "JPEG", quality=95, exif=exif.tobytes())
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path, api_settings: Any, service: Service) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
async def allowed(service: Service, photos: Path) -> Path:
    """Give a folder that the service may read."""
    token = (service.settings.darkroom_data / "api" / "local-token").read_text().strip()
    answer = await service.http.post(
        "ingest/roots", json={"path": str(photos)}, headers={"Darkroom-Local-Token": token}
    )
    answer.raise_for_status()
    return photos


async def test_metadata_are_brought_up_to_date_without_ml(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    for number in range(3):
        (allowed / f"{number}.jpg").write_bytes(taken(7900 + number, 2001 + number))
    (allowed / "copy.jpg").write_bytes(taken(7900, 2001))
    other = f"{collection}-other"
    await store_as_of_old(pipeline, quiet, allowed, collection, other)
    before = await points(pipeline, [collection, other])
    assert all("taken_at" not in point.payload for point in before[collection].values())

    first = await reread(pipeline, service, collection)
    assert (first["status"], counts(first), first["ml_images_sent"]) == ("completed", {"cached": 3}, 0)
    assert first["reread"] is True
    after = await points(pipeline, [collection, other])
    assert sorted(point.payload["taken_at"][:4] for point in after[collection].values()) == ["2001", "2002", "2003"]
    for name, point in after[collection].items():
        old = before[collection][name]
        # What is gone is gone, and which file came first and where all of them lie stays.
        assert "title" not in point.payload
        for field in ("filename", "full_path", "paths", "job_id", "ingested_at", "file_hash", "thumbnail_base64"):
            assert point.payload[field] == old.payload[field]
        assert point.vector == pytest.approx(old.vector)
    assert after[other] == before[other]

    again = await reread(pipeline, service, collection)
    assert counts(again) == {"unchanged": 3}
    assert (await points(pipeline, [collection])) == {collection: after[collection]}
    assert counts(await reread(pipeline, service, other)) == {"cached": 3}
    assert [p.payload["taken_at"] for p in (await points(pipeline, [other]))[other].values()] == [
        p.payload["taken_at"] for p in after[collection].values()
    ]
    assert pipeline.ml_batches() == []
    # What is known of the contents is new, too.
    third = f"{collection}-third"
    assert counts(await pipeline.run(allowed, collection=third)) == {"cached": 3, "duplicate": 1}
    assert all("taken_at" in point.payload for point in (await points(pipeline, [third]))[third].values())
    assert counts(await pipeline.run(allowed, collection=collection)) == {"unchanged": 4}


async def test_a_file_that_several_points_name_is_one_file(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    """A picture was changed in place, and is as large as before: the point of what it held names it, too."""
    path = allowed / "changed.jpg"
    for year, outcome in ((2001, "stored"), (2002, "cached")):  # the edit shows the same
        path.write_bytes(taken(7990, year))
        assert counts(await pipeline.run(allowed, collection=collection)) == {outcome: 1}
    job_id = await begin(service, collection)

    def is_completed() -> list[dict[str, Any]]:
        return pipeline.bus.values("job-status", job_id=job_id, status="completed")

    (status, *_) = await pipeline.bus.until(is_completed, "the end of the job")
    assert (status["total_files"], counts(status)) in [(1, {"cached": 1}), (1, {"unchanged": 1})]


async def test_ml_sees_what_has_changed_once_for_all_collections(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(7920, 7926))
    names = (collection, f"{collection}-b", f"{collection}-c")
    wrong = tuple(f"photo-{number}.jpg" for number in range(7920, 7924))
    await store_as_of_old(pipeline, quiet, allowed, *names, wrong_pixels=wrong)
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 0.2}).raise_for_status()

    jobs = await asyncio.gather(*(begin(service, name) for name in names))
    ended = [account(await pipeline.bus.finished(job)) for job in jobs]
    assert sum(status["ml_images_sent"] for status in ended) == 4
    assert sorted(name for batch in pipeline.ml_batches() for name in batch) == sorted(wrong)
    assert sum(status["outcomes"]["stored"] for status in ended) == 4
    assert sum(status["outcomes"]["cached"] for status in ended) == 14
    for name, stored in (await points(pipeline, names)).items():
        assert len(stored) == 6
        for point in stored.values():
            right = read(Path(point.payload["full_path"]))
            assert point.payload["thumbnail_base64"] == base64.b64encode(right.thumbnail).decode()
            assert point.vector == pytest.approx(vector_of(right.rendition), abs=1e-6), name
    for name in names:
        assert counts(await reread(pipeline, service, name)) == {"unchanged": 6}
    assert sum(map(len, pipeline.ml_batches())) == 4


async def test_files_that_are_gone_fail_and_what_is_stored_of_them_stays(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    seeds = {"gone": 0, "kept": 1, "replaced": 2, "archived": 3, "first": 4, "z-copy of first": 4, "beside": 5}
    for name, seed in seeds.items():
        (allowed / f"{name}.jpg").write_bytes(taken(7940 + seed, 2010))
    write(f"{allowed}/caf\udce9.jpg", taken(7949, 2010))
    await store_as_of_old(pipeline, quiet, allowed, collection)
    before = await pipeline.points(collection)
    (allowed / "gone.jpg").unlink()
    (allowed / "replaced.jpg").write_bytes(taken(7948, 2011))
    archived = point_id(before[f"{allowed}/archived.jpg"]["file_hash"])
    [found] = (await pipeline.qdrant.payloads(collection, [archived], [REVISION])).values()
    assert await pipeline.qdrant.change(collection, archived, {"paths": []}, found)
    # One of very many copies, and the only one that is left, does not stand in its point.
    beside, elsewhere = f"{allowed}/beside.jpg", [f"{allowed}/gone-{number}.jpg" for number in range(MAX_PATHS)]
    many = point_id(before[beside]["file_hash"])
    for paths in (elsewhere, [*elsewhere, beside]):
        [found] = (await pipeline.qdrant.payloads(collection, [many], list(FIELDS_READ_BACK))).values()
        assert await pipeline.qdrant.change(collection, many, {"paths": paths, "full_path": elsewhere[0]}, found)
    assert beside not in await pipeline.points(collection)
    # Whichever of the two came first.
    write(before[f"{allowed}/first.jpg"]["full_path"], None)

    status = await reread(pipeline, service, collection)
    assert counts(status) == {"cached": 4, "failed": 2, "skipped": 1}
    assert status["ml_images_sent"] == 0
    outcomes = pipeline.bus.outcomes(status["job_id"])
    reasons = {Path(path).name: file["reason"] for path, file in outcomes.items() if file["outcome"] != "cached"}
    assert reasons["gone.jpg"] == f"{allowed}/gone.jpg does not exist (any more)."
    assert "holds another picture than the one that is stored" in reasons["replaced.jpg"]
    assert reasons["archived.jpg"] == "its files are archived"
    after = await pipeline.points(collection)
    assert after[elsewhere[0]]["taken_at"].startswith("2010")
    for name in ("gone", "replaced"):
        assert after[f"{allowed}/{name}.jpg"] == before[f"{allowed}/{name}.jpg"]
    for name in ("kept", "first", "z-copy of first"):
        assert after[f"{allowed}/{name}.jpg"]["taken_at"].startswith("2010")
    assert after[f"{allowed}/caf\\xe9.jpg"]["taken_at"].startswith("2010")

    # A dead letter of such a file reads it again as well.
    (allowed / "gone.jpg").write_bytes(taken(7940, 2010))
    answer = await service.http.post(f"ingest/{status['job_id']}/retry-failed")
    assert answer.json()["done"] == 2, answer.text

    def lifted() -> bool:
        return any(o["path"].endswith("gone.jpg") and o["outcome"] == "cached"
                   for e in pipeline.bus.events(status["job_id"], "outcomes") for o in e["files"])  # fmt: skip

    await pipeline.bus.until(lifted, "the file that came back")
    assert (await pipeline.points(collection))[f"{allowed}/gone.jpg"]["taken_at"].startswith("2010")


async def test_a_kill_in_the_middle_repeats_nothing_that_shows(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(7960, 7990))
    wrong = tuple(f"photo-{number}.jpg" for number in range(7960, 7980))
    await store_as_of_old(pipeline, quiet, allowed, collection, wrong_pixels=wrong)
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 0.2}).raise_for_status()
    job_id = await begin(service, collection)

    def is_under_way() -> bool:
        return any(s["processed_files"] >= 5 for s in pipeline.bus.values("job-status", job_id=job_id))

    await pipeline.bus.until(is_under_way, "a part of the job")
    worker.kill()
    worker.start()
    status = account(await pipeline.bus.finished(job_id))
    assert status["outcomes"]["stored"] == 20
    # What was in Qdrant already, and not reported yet, is found to be just so.
    assert status["outcomes"]["cached"] + status["outcomes"]["unchanged"] == 10
    for point in (await points(pipeline, [collection]))[collection].values():
        assert point.vector == pytest.approx(vector_of(read(Path(point.payload["full_path"])).rendition), abs=1e-6)


async def test_a_replay_of_what_was_before_changes_no_point(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    """Also what an older version has left in the topics, of the pictures as it saw them."""
    pictures.write_new(allowed, 3)
    name = listed(allowed)[0].name
    await store_as_of_old(pipeline, quiet, allowed, collection, wrong_pixels=(name,))
    assert counts(await reread(pipeline, service, collection)) == {"stored": 1, "cached": 2}
    await quiet()
    before = await points(pipeline, [collection])
    for topic in ("db-write", "image-outcome", "ml-request", "hashed-file", "raw-path"):
        await run_to_its_end(service, "replay", topic=topic)
        await quiet()
        assert await points(pipeline, [collection]) == before, topic
    assert counts(await reread(pipeline, service, collection)) == {"unchanged": 3}
    ours = {path.name for path in listed(allowed)}
    assert [image for batch in pipeline.ml_batches() for image in batch if image in ours] == [name]


async def test_copies_of_a_collection_keep_the_later_reading(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    (allowed / "one.jpg").write_bytes(taken(7995, 2012))
    other = f"{collection}-other"
    await store_as_of_old(pipeline, quiet, allowed, collection, other)
    await reread(pipeline, service, collection)
    await quiet()
    before = await points(pipeline, [collection])
    body = {"sources": [other], "target": collection}
    run = (await service.http.post("collections/merge", json=body)).json()
    look: Callable[[], Any] = lambda: service.get(f"runs/{run['id']}")  # noqa: E731
    while (await look())["state"] == "running":
        await asyncio.sleep(0.05)
    assert await points(pipeline, [collection]) == before


async def test_what_cannot_be_read_again_is_said(service: Service, pipeline: Pipeline, collection: str) -> None:
    missing = await service.http.post(f"collections/{collection}/reread")
    assert (missing.status_code, collection in missing.json()["detail"]) == (404, True)
    key = {"Idempotency-Key": collection}
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    first = await service.http.post(f"collections/{collection}/reread", headers=key)
    second = await service.http.post(f"collections/{collection}/reread", headers=key)
    assert first.json()["job_id"] == second.json()["job_id"]
    assert counts(await pipeline.bus.finished(first.json()["job_id"])) == {}
