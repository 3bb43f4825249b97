"""`darkroom reembed` and `darkroom caption`: another model, and later captions, of a collection that is there."""

import asyncio
import base64
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rules.identity import point_id
from rules.many_paths import MAX_PATHS
from rules.payload import REVISION
from tests import parts, pictures
from tests.agents.messages import hashed_file
from tests.api.service import Service
from tests.ml.stub import vector_of
from tests.pipeline import Pipeline, account
from tests.replay.conftest import Quiet, run_to_its_end
from tests.replay.test_all_topics import points
from tests.replay.test_reread import allowed, counts, listed, photos, read, taken, write
from tests.worker import Worker

__all__ = ["allowed", "photos"]

NEW = "stub-2"
DIMENSION = 24


@pytest.fixture(autouse=True)
def two_models(pipeline: Pipeline) -> None:
    told(pipeline)


def told(pipeline: Pipeline, **behaviour: object) -> None:
    """Have ML run two models."""
    behaviour = {"models": {NEW: DIMENSION}} | behaviour
    httpx.post(f"{pipeline.ml.url}/control", json=behaviour).raise_for_status()


async def begin(service: Service, collection: str, **body: object) -> str:
    """Begin to embed a collection anew; return the job's id."""
    return await begin_to(service, "reembed", collection, {"model": "two"} | body)


async def begin_to(service: Service, what: str, collection: str, body: object = None) -> str:
    response = await service.http.post(f"collections/{collection}/{what}", json=body)
    assert response.status_code == 202, response.text
    return str(response.json()["job_id"])


async def reembed(pipeline: Pipeline, service: Service, collection: str, **body: object) -> dict[str, Any]:
    """Embed a collection anew; return the status at the end."""
    return await ended(pipeline, service, await begin(service, collection, **body))


async def ended(pipeline: Pipeline, service: Service, job_id: str) -> dict[str, Any]:
    """Return the status at the end of a job, which the API knows of as well."""
    status = account(await pipeline.bus.finished(job_id))
    await service.status(job_id, offset=status["offset"])
    return status


async def model_of(pipeline: Pipeline, collection: str) -> tuple[str | None, int]:
    info = await pipeline.qdrant.existing_collection(collection)
    return info.model_id, info.dimension


def asked(pipeline: Pipeline, model_id: str | None = NEW) -> int:
    """Return how many pictures a model saw since `forget_ml`."""
    batches = httpx.get(f"{pipeline.ml.url}/log").json()
    return sum(len(batch["images"]) for batch in batches if batch["model_id"] == model_id)


async def all_paths(pipeline: Pipeline, collection: str) -> list[str]:
    found, _ = await pipeline.qdrant.page(collection, limit=1000)
    return [path for one in found async for some in pipeline.qdrant.all_paths(collection, one.payload) for path in some]


async def check_vectors(pipeline: Pipeline, collection: str) -> None:
    """Check that each point has the vector of what its file shows, of the new model."""
    for point in (await points(pipeline, [collection]))[collection].values():
        rendition = read(Path(point.payload["full_path"])).rendition
        assert point.vector == pytest.approx(vector_of(rendition, DIMENSION, NEW), abs=1e-6)
        assert point.payload["model_id"] == NEW


async def test_what_is_gone_is_brought_over_without_ml(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write_new(allowed, 3)
    await pipeline.run(allowed, collection=collection)
    [(_, point), *_] = (await points(pipeline, [collection]))[collection].items()
    known = (await pipeline.qdrant.payloads(collection, [point.id], ["paths", REVISION]))[point.id]
    gone_at = "2026-01-01T00:00:00+00:00"
    assert await pipeline.qdrant.change(collection, point.id, {"paths": [], "gone_at": gone_at}, known)
    status = await reembed(pipeline, service, collection)
    assert (status["status"], counts(status)) == ("completed", {"stored": 2})
    listing = await service.get("images/gone", collection=collection)
    assert [(one["id"], one["gone_at"]) for one in listing["images"]] == [(point.id, gone_at)]
    # Both generations are looked at, whichever serves.
    purge = {"kind": "purge", "sha256": point.payload["file_hash"], "collection": collection, "gone_at": gone_at}
    await pipeline.bus.publish("image-outcome", purge["sha256"], purge | {"at": 2e9})
    await pipeline.bus.until(
        lambda: pipeline.bus.values("image-outcome", kind="erased", sha256=purge["sha256"]), "what became of the purge"
    )
    assert await pipeline.qdrant.point(collection, point.id) is None


async def test_a_collection_gets_vectors_of_another_model(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write_new(allowed, 4)
    content = listed(allowed)[0].read_bytes()
    for number in range(MAX_PATHS + 3):
        (allowed / f"z-copy-{number:03}.jpg").write_bytes(content)
    other = f"{collection}-other"
    assert counts(await pipeline.run(allowed, collection=collection)) == {"stored": 4, "duplicate": MAX_PATHS + 3}
    await pipeline.run(allowed, collection=other)
    before = (await points(pipeline, [collection]))[collection]
    pipeline.forget_ml()
    status = await reembed(pipeline, service, collection)
    assert (status["status"], counts(status), status["ml_images_sent"]) == ("completed", {"stored": 4}, 4)
    assert status["task"] == "reembed"
    assert f"All 4 pictures of {collection} have vectors of {NEW}." in status["message"]
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    await check_vectors(pipeline, collection)
    after = (await points(pipeline, [collection]))[collection]
    assert after.keys() == before.keys()
    for name, point in after.items():
        for field in ("filename", "full_path", "job_id", "ingested_at", "file_hash", "thumbnail_base64"):
            assert point.payload[field] == before[name].payload[field]
    # Of the one of very many, another hundred may stand in the point.
    assert sorted(await all_paths(pipeline, collection)) == [str(path) for path in listed(allowed)]
    # Every path is known: nothing is looked at again, though ML's own model is the former one.
    again = await pipeline.run(allowed, collection=collection)
    assert (counts(again), again["model_id"]) == ({"unchanged": MAX_PATHS + 7}, NEW)
    # Another collection with the same contents costs no call.
    assert await model_of(pipeline, other) == ("stub-1", 512)
    assert counts(await reembed(pipeline, service, other)) == {"cached": 4}
    assert counts(await pipeline.run(allowed, collection=other)) == {"unchanged": MAX_PATHS + 7}
    await check_vectors(pipeline, other)
    assert (asked(pipeline), asked(pipeline, None)) == (4, 0)
    # And back: what the former model said is known still.
    back = await reembed(pipeline, service, collection, model="stub-1")
    assert (counts(back), back["ml_images_sent"]) == ({"cached": 4}, 0)
    assert await model_of(pipeline, collection) == ("stub-1", 512)
    for name, point in (await points(pipeline, [collection]))[collection].items():
        assert point.vector == pytest.approx(before[name].vector, abs=1e-6)
    assert sorted(await all_paths(pipeline, collection)) == [str(path) for path in listed(allowed)]
    assert counts(await pipeline.run(allowed, collection=collection)) == {"unchanged": MAX_PATHS + 7}


async def test_the_former_serves_until_all_that_comes_meanwhile_is_there(
    pipeline: Pipeline, service: Service, quiet: Quiet, worker: Worker, collection: str, allowed: Path
) -> None:
    """A job of the former model is on its way, and brings a picture and a copy; an old message comes after all."""
    pictures.write(allowed, range(8100, 8106))
    first = await pipeline.run(allowed, collection=collection)
    feeding = f"{first['job_id']}-feeding"
    raw = {"job_id": feeding, "collection": collection, "model_id": "stub-1"}
    (allowed / "copy.jpg").write_bytes((allowed / "photo-8101.jpg").read_bytes())
    await pipeline.bus.publish("raw-path", f"{allowed}/copy.jpg", raw | {"path": f"{allowed}/copy.jpg"})
    await pipeline.bus.until(lambda: pipeline.bus.values("job-status", job_id=feeding, processed_files=1), "the copy")

    job_id = await begin(service, collection)

    def steps() -> str:
        return " ".join(event["text"] for event in pipeline.bus.events(job_id, "step"))

    await pipeline.bus.until(lambda: f"end of job {feeding}" in steps(), "the wait for the other job")
    assert await model_of(pipeline, collection) == ("stub-1", 512)
    found = (await service.http.post("search", json={"query": "red roof", "collection": collection})).json()
    assert (found["mode"], found["total"]) == ("semantic", 6)
    # All are there by now, but for what the other job brings.
    pictures.write(allowed, range(8199, 8200))
    path = f"{allowed}/photo-8199.jpg"
    await pipeline.bus.publish("raw-path", path, raw | {"path": path})
    await pipeline.bus.until(lambda: pipeline.bus.values("job-status", job_id=feeding, processed_files=2), "another")
    assert len(await pipeline.points(collection)) == 8
    assert await model_of(pipeline, collection) == ("stub-1", 512)
    (await service.http.post(f"ingest/{feeding}/close")).raise_for_status()
    status = account(await pipeline.bus.finished(job_id))
    assert (status["status"], counts(status)) == ("completed", {"stored": 7})
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    assert set(await pipeline.points(collection)) == {str(one) for one in listed(allowed)}
    await check_vectors(pipeline, collection)
    assert counts(await pipeline.run(allowed, collection=collection)) == {"unchanged": 8}
    # A message of the former model changes nothing: it fails with a reason, or is left out of a replay.
    await quiet()
    before = await points(pipeline, [collection])
    run = await run_to_its_end(service, "replay", topic="db-write", job_id=first["job_id"])
    assert (run["published"], sum("no more" in reason for reason in run["left_out"])) == (0, 1)
    hashed = pipeline.bus.values("hashed-file", job_id=first["job_id"])[0] | {"job_id": f"{feeding}-old"}
    await pipeline.bus.publish("hashed-file", hashed["sha256"], hashed)

    def failed() -> list[dict[str, Any]]:
        return [file for file in pipeline.bus.outcomes(f"{feeding}-old").values() if file["outcome"] == "failed"]

    (file,) = await pipeline.bus.until(failed, "an end of the old message")
    assert "is not of model stub-1" in file["reason"]
    assert await points(pipeline, [collection]) == before


async def test_what_is_kept_stands_for_files_that_are_gone(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(8200, 8204))
    await pipeline.run(allowed, collection=collection)
    stored = (await points(pipeline, [collection]))[collection]
    before = {point.payload["full_path"]: point.payload for point in stored.values()}
    gone, replaced, archived, here = (f"{allowed}/photo-{number}.jpg" for number in range(8200, 8204))
    write(gone, None)
    write(replaced, pictures.jpeg(8299))
    hidden = point_id(before[archived]["file_hash"])
    [found] = (await pipeline.qdrant.payloads(collection, [hidden], [REVISION])).values()
    assert await pipeline.qdrant.change(collection, hidden, {"paths": []}, found)
    pipeline.forget_ml()
    status = await reembed(pipeline, service, collection)
    assert (status["status"], counts(status), asked(pipeline)) == ("completed", {"stored": 4}, 4)
    after = (await points(pipeline, [collection]))[collection]
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    for point in after.values():
        path = point.payload["full_path"]
        thumbnail = base64.b64decode(before[path]["thumbnail_base64"])
        seen = read(Path(here)).rendition if path == here else thumbnail
        assert point.vector == pytest.approx(vector_of(seen, DIMENSION, NEW), abs=1e-6)
        assert point.payload.get("from_thumbnail") == (None if path == here else True)
        assert point.payload["paths"] == ([] if path == archived else [path])
        assert point.payload["width"] == before[path]["width"]
    check = await service.get(f"collections/{collection}/check")
    assert (check["points"], check["of_model"], check["from_thumbnail"], check["archived"]) == (4, 4, 3, 1)
    # The file is back: it is read again, and seen as it is.
    write(gone, pictures.jpeg(8200))
    job_id = await begin_to(service, "reread", collection)
    account(await pipeline.bus.finished(job_id))
    [point] = [p for p in (await points(pipeline, [collection]))[collection].values() if p.payload["full_path"] == gone]
    assert point.vector == pytest.approx(vector_of(read(Path(gone)).rendition, DIMENSION, NEW), abs=1e-6)
    assert "from_thumbnail" not in point.payload


async def test_what_fails_stays_findable_under_the_former_until_a_person_goes_on_without(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(8300, 8304))
    await pipeline.run(allowed, collection=collection)
    pipeline.forget_ml()
    told(pipeline, fail_images=["photo-8302.jpg"])
    job_id = await begin(service, collection)
    status = await ended(pipeline, service, job_id)
    assert (status["status"], counts(status)) == ("failed", {"stored": 3, "failed": 1})
    assert f"1 picture of {collection} has no vector of {NEW}" in status["message"]
    assert await model_of(pipeline, collection) == ("stub-1", 512)
    assert len(await pipeline.points(collection)) == 4
    listed = await service.get(f"ingest/{job_id}/files", outcome="failed")
    assert [Path(file["path"]).name for file in listed["files"]] == ["photo-8302.jpg"]
    check = await service.get(f"collections/{collection}/check")
    assert (check["of_model"], check["filling"], check["filled"]) == (4, NEW, 3)
    # Tried again: what is there is not sent again.
    again = await reembed(pipeline, service, collection)
    assert (again["status"], counts(again), asked(pipeline)) == ("failed", {"failed": 1}, 5)
    status = await reembed(pipeline, service, collection, accept_failed=True)
    assert counts(status) == {"failed": 1}
    assert f"3 of 4 pictures of {collection} have vectors of {NEW}" in status["message"]
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    after = await pipeline.points(collection)
    assert after[f"{allowed}/photo-8302.jpg"]["model_id"] == "stub-1"
    query = {"query": "photo-8302", "collection": collection, "mode": "keywords"}
    found = (await service.http.post("search", json=query)).json()
    assert [hit["filename"] for hit in found["results"]] == ["photo-8302.jpg"]
    # Once ML takes it, a scan of its folder embeds it.
    told(pipeline)
    assert counts(await pipeline.run(allowed, collection=collection)) == {"unchanged": 3, "stored": 1}
    await check_vectors(pipeline, collection)


@pytest.fixture
def second_worker(
    kafka: parts.Part, qdrant: parts.Part, ml: parts.Part, tmp_path: Path, worker: Worker
) -> Iterator[Callable[[str], Worker]]:
    """Return a way to start a worker that is killed at a point, in place of that of the package."""

    def start(point: str) -> Worker:
        worker.stop()
        return Worker(kafka, qdrant, ml, worker.data, darkroom_failpoint=point, kafka_session_timeout_seconds=2)

    yield start
    if worker.has_ended():
        worker.start()


@pytest.mark.parametrize(
    "point",
    [
        "reembed-switched",
        *(
            pytest.param(point, marks=pytest.mark.chaos)
            for point in ("embed-written:3", "store-upserted:3", "reembed-filled")
        ),
    ],
)
async def test_a_kill_anywhere_leaves_one_whole_collection(
    pipeline: Pipeline, service: Service, worker: Worker, second_worker: Callable[[str], Worker],
    collection: str, allowed: Path, point: str,
) -> None:  # fmt: skip
    pictures.write_new(allowed, 8)
    await pipeline.run(allowed, collection=collection)
    pipeline.forget_ml()
    killed = second_worker(point)
    killed.launch()
    job_id = await begin(service, collection)
    await pipeline.bus.until(killed.has_ended, f"a kill at {point}")
    assert killed.exit_code == -signal.SIGKILL
    assert (await model_of(pipeline, collection))[0] in ("stub-1", NEW)
    assert len(await pipeline.points(collection)) == 8
    worker.start()
    status = account(await pipeline.bus.finished(job_id))
    assert status["status"] == "completed"
    assert status["total_files"] == 8
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    [info] = await pipeline.qdrant.generations(collection)
    assert (info.points, info.model_id) == (8, NEW)
    await check_vectors(pipeline, collection)
    # A kill may repeat what was with ML, and nothing else.
    assert 8 <= asked(pipeline) <= 16
    assert counts(await pipeline.run(allowed, collection=collection)) == {"unchanged": 8}


async def test_what_comes_into_the_former_after_the_switch_is_brought_over(
    pipeline: Pipeline, service: Service, worker: Worker, second_worker: Callable[[str], Worker],
    kafka: parts.Part, qdrant: parts.Part, ml: parts.Part, collection: str, allowed: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """A message of the former model was on its way when the switch came, and a job of it is submitted just then."""
    pictures.write_new(allowed, 3)
    await pipeline.run(allowed, collection=collection)
    killed = second_worker("reembed-switched")
    killed.launch()
    job_id = await begin(service, collection)
    await pipeline.bus.until(killed.has_ended, "a kill behind the switch")
    assert await model_of(pipeline, collection) == (NEW, DIMENSION)
    late, path = f"{job_id}-late", allowed / "late.jpg"
    path.write_bytes(taken(8900, 2011))
    message = hashed_file(late, collection, path)
    with Worker(
        kafka, qdrant, ml, tmp_path / "late", "hash,prepare,embed,store,track", kafka_session_timeout_seconds=2
    ):
        await pipeline.bus.publish("hashed-file", message["sha256"], message)
        await pipeline.bus.until(lambda: pipeline.bus.outcomes(late), "the outcome of the late file")
        (await service.http.post(f"ingest/{late}/close")).raise_for_status()
        assert counts(await pipeline.bus.finished(late)) == {"stored": 1}
    assert str(path) not in await pipeline.points(collection)
    (allowed / "later.jpg").write_bytes(taken(8901, 2012))
    later = await pipeline.scan(allowed / "later.jpg", collection=collection, model_id="stub-1")
    worker.start()
    status = account(await pipeline.bus.finished(job_id))
    assert status["status"] == "completed"
    assert re.search(rf"All [45] pictures of {collection} have vectors of {NEW}\.", status["message"])
    assert counts(account(await pipeline.bus.finished(later))) == {"stored": 1}
    assert set(await pipeline.points(collection)) == {str(one) for one in listed(allowed)}
    await check_vectors(pipeline, collection)
    assert [info.model_id for info in await pipeline.qdrant.generations(collection)] == [NEW]


async def test_it_is_held_and_cancelled_as_any_job(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(8700, 8706))
    await pipeline.run(allowed, collection=collection)
    told(pipeline, hang=True)
    job_id = await begin(service, collection)
    await pipeline.bus.until(lambda: pipeline.bus.values("job-status", job_id=job_id, total_files=6), "all files")
    refused = await service.http.post(f"collections/{collection}/reembed", json={"model": "two"})
    assert (refused.status_code, job_id in refused.json()["detail"]) == (409, True)
    (await service.http.post(f"ingest/{job_id}/pause")).raise_for_status()
    (await service.http.post(f"ingest/{job_id}/cancel")).raise_for_status()
    told(pipeline)
    status = await ended(pipeline, service, job_id)
    assert status["status"] == "cancelled"
    assert await model_of(pipeline, collection) == ("stub-1", 512)
    pipeline.forget_ml()
    status = await reembed(pipeline, service, collection)
    assert status["status"] == "completed"
    await check_vectors(pipeline, collection)


async def test_what_cannot_be_embedded_anew_is_said(pipeline: Pipeline, service: Service, collection: str) -> None:
    async def refusal(body: dict[str, object]) -> tuple[int, str]:
        answer = await service.http.post(f"collections/{collection}/reembed", json=body)
        return answer.status_code, answer.json()["detail"]

    assert (await refusal({"model": "two"}))[0] == 404
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    assert (await refusal({}))[0] == 422
    status, said = await refusal({"model": "three"})
    assert (status, "ML has no model 'three'; it has two." in said) == (422, True)
    status, said = await refusal({"model_id": "stub-1"})
    assert (status, "holds vectors of stub-1 already" in said) == (409, True)
    told(pipeline, writes_captions=False)
    answer = await service.http.post(f"collections/{collection}/caption")
    assert (answer.status_code, "writes no captions" in answer.json()["detail"]) == (409, True)


async def test_captions_are_added_to_what_has_none_without_a_file_or_a_vector(
    pipeline: Pipeline, service: Service, worker: Worker, collection: str, allowed: Path
) -> None:
    pictures.write(allowed, range(8800, 8804))
    other = f"{collection}-other"
    await pipeline.run(allowed / "photo-8800.jpg", collection=collection, caption=True)
    await pipeline.run(allowed, collection=collection)
    await pipeline.run(allowed, collection=other)
    before = (await points(pipeline, [collection]))[collection]
    for path in listed(allowed):
        path.unlink()
    pipeline.forget_ml()
    jobs = await asyncio.gather(*(begin_to(service, "caption", name) for name in (collection, other)))
    both = [await ended(pipeline, service, job) for job in jobs]
    assert [status["status"] for status in both] == ["completed", "completed"]
    assert [status["total_files"] for status in both] == [3, 3]
    assert sum(status["ml_images_sent"] for status in both) == 3
    batches = httpx.get(f"{pipeline.ml.url}/log").json()
    assert {(batch["caption"], batch["embed"]) for batch in batches} == {(True, False)}
    assert sum(len(batch["images"]) for batch in batches) == 3
    for name in (collection, other):
        after = (await points(pipeline, [name]))[name]
        for one, point in after.items():
            assert point.payload["caption"] == f"A picture called {point.payload['filename']}"
            assert point.vector == pytest.approx(before[one].vector, abs=1e-6)
            same = {field: value for field, value in point.payload.items() if field in before[one].payload}
            if name == collection:
                assert same | {"words": None, "caption": None} == before[one].payload | {"words": None, "caption": None}
    # They are words to find pictures by, and what is known of the contents has them.
    found = await service.http.post("search", json={"query": "called", "collection": collection, "mode": "keywords"})
    assert found.json()["total"] == 4
    again = account(await pipeline.bus.finished(await begin_to(service, "caption", collection)))
    assert (again["total_files"], again["ml_images_sent"]) == (0, 0)
