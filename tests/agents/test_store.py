"""store alone: db-write → points in Qdrant, outcomes on job-event, `stored` on image-outcome."""

import json
from typing import Any

import pytest

from gateways.qdrant import Qdrant
from rules.identity import point_id
from rules.name_key import name_key
from rules.payload import HELPERS
from tests.agents.conftest import new_job
from tests.agents.messages import Message, check_envelope, content, db_write, unread_file
from tests.bus import PARTITIONS, Bus
from topics.sentinel import sentinel_headers

STAGE = "store"


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"qdrant_batch_linger_seconds": 0.5}


async def write(bus: Bus, *writes: Message) -> None:
    for message in writes:
        await bus.publish("db-write", message["sha256"], message)


async def test_a_point_is_stored_then_told(bus: Bus, job: str, created: str, store: Qdrant) -> None:
    message = db_write(unread_file(job, created, "a.jpg"), seed=7)
    await write(bus, message)
    await bus.until(lambda: bus.of_job("image-outcome", job), "an image-outcome")
    (record,) = bus.of_job("image-outcome", job)
    check_envelope(record, message["sha256"], message)
    told = json.loads(record.value)
    known = await store.collection(created)
    assert known is not None
    assert (told["kind"], told["incarnation"], told["path"]) == ("stored", known.incarnation, message["path"])
    assert told["content"] == message["content"]
    assert bus.outcomes(job)[message["path"]] == {
        "file_id": dict(record.headers)["file_id"].decode(),
        "path": message["path"],
        "outcome": "stored",
        "sha256": message["sha256"],
    }
    point = await store.point(created, point_id(message["sha256"]))
    assert point is not None
    assert point.vector == pytest.approx(content(7)["vector"])
    ingested_at = point.payload.pop("ingested_at")
    assert ingested_at.startswith("20")
    helpers = {name: point.payload.pop(name, None) for name in HELPERS}
    assert helpers["name_key"] == name_key("a.jpg")
    assert point.payload == message["content"]["metadata"] | {
        "filename": "a.jpg",
        "full_path": message["path"],
        "paths": [message["path"]],
        "file_hash": message["sha256"],
        "thumbnail_base64": message["content"]["thumbnail_base64"],
        "model_id": "stub-1",
        "job_id": job,
    }


async def test_paths_are_united_within_a_batch_and_with_what_is_there(
    bus: Bus, job: str, created: str, store: Qdrant
) -> None:
    first = db_write(unread_file(job, created, "a.jpg"))
    second = first | {"path": "/elsewhere/b.jpg", "outcome": "duplicate"}
    await write(bus, first, second)
    await bus.until(lambda: len(bus.outcomes(job)) == 2, "two outcomes")
    later = new_job()
    third = first | {"path": "/elsewhere/c.jpg", "outcome": "cached", "job_id": later}
    await write(bus, third, first)  # the last is a repeat
    await bus.until(lambda: bus.outcomes(later), "the later outcome")
    await bus.until(lambda: len(bus.of_job("image-outcome", job)) == 3, "the repeat's outcome")

    # Those that ML did not embed for this file have theirs from the cache.
    told = [*bus.values("image-outcome", job_id=job), *bus.values("image-outcome", job_id=later)]
    assert {value["path"] for value in told if "content" in value} == {first["path"]}

    paths = ["/elsewhere/a.jpg", "/elsewhere/b.jpg", "/elsewhere/c.jpg"]
    assert [bus.outcomes(j)[p]["outcome"] for j, p in zip((job, job, later), paths, strict=True)] == [
        "stored",
        "duplicate",
        "cached",
    ]
    known = await store.collection(created)
    assert known is not None
    assert known.points == 1
    point = await store.point(created, point_id(first["sha256"]))
    assert point is not None
    assert (point.payload["paths"], point.payload["full_path"], point.payload["job_id"]) == (paths, paths[0], job)


async def test_a_missing_collection_fails_its_files_and_no_others(
    bus: Bus, job: str, created: str, collection: str, store: Qdrant
) -> None:
    good = db_write(unread_file(job, created, "good.jpg"))
    lost = db_write(unread_file(job, f"{created}-gone", "lost.jpg"))
    await write(bus, lost, good)
    await bus.until(lambda: len(bus.of_job("image-outcome", job)) == 2, "two image-outcomes")
    assert bus.outcomes(job)[good["path"]]["outcome"] == "stored"
    failed = bus.outcomes(job)[lost["path"]]
    assert failed["outcome"] == "failed"
    assert f"Collection {created}-gone was deleted" in failed["reason"]
    told = {value["path"]: value for value in bus.values("image-outcome", job_id=job)}
    assert {path: value["kind"] for path, value in told.items()} == {good["path"]: "stored", lost["path"]: "embedded"}
    # ML has answered: copies in other collections, and the next job, do not ask it again.
    assert told[lost["path"]]["content"] == lost["content"]
    (letter,) = bus.of_job("dead-letter", job)
    assert letter.key == lost["path"].encode()
    restart = {name: lost[name] for name in ("job_id", "collection", "path", "model_id")}
    assert json.loads(letter.value) == restart | {"caption": False}
    assert await store.collection(f"{created}-gone") is None


async def test_a_point_that_qdrant_refuses_fails_alone(bus: Bus, job: str, created: str) -> None:
    writes = [db_write(unread_file(job, created, f"{number}.jpg")) for number in range(5)]
    writes[2]["content"]["vector"] = [1.0, 0.0, 0.0]
    await write(bus, *writes)
    await bus.until(lambda: len(bus.outcomes(job)) == 5, "five outcomes")
    outcomes = [bus.outcomes(job)[message["path"]]["outcome"] for message in writes]
    assert outcomes == ["stored", "stored", "failed", "stored", "stored"]
    assert [value["path"] for value in bus.values("dead-letter", job_id=job)] == [writes[2]["path"]]


async def test_sentinels_pass_and_messages_that_do_not_validate_leave(bus: Bus, job: str, created: str) -> None:
    for partition in range(PARTITIONS):
        await bus.publish("db-write", job, None, sentinel_headers(job, "walk", 1), partition)
    odd = json.dumps({"job_id": job, "collection": created}).encode()
    await bus.publish("db-write", "key", odd, [("job_id", job.encode())])
    await write(bus, db_write(unread_file(job, created, "after.jpg")))
    await bus.until(lambda: bus.outcomes(job) and bus.of_job("dead-letter", job), "the file, and the dead letter")
    (letter,) = bus.of_job("dead-letter", job)
    assert (letter.key, letter.value) == (b"key", odd)
