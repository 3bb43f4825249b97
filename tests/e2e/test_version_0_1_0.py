"""What version 0.1.0 has left goes on working: its jobs, tables, topics, dead letters and collections."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from PIL import Image

from core import settings
from rules import paths
from tests.fixtures.record_version_0_1_0 import LATIN_1, PHOTOS, grey, jpeg
from tests.fixtures.version_0_1_0 import SETTINGS, unpacked
from tests.pipeline import account
from tests.up import Up, eventually
from topics.admin import wanted
from topics.job_status import REMOVALS_SETTLED

ENDED: dict[str, tuple[str, dict[str, int]]] = {
    "album": ("completed_with_errors", {"stored": 9, "duplicate": 1, "failed": 1, "skipped": 1}),
    "again": ("completed_with_errors", {"unchanged": 10, "failed": 1, "skipped": 1}),
    "holiday": ("completed", {"stored": 2, "cached": 1, "duplicate": 1}),
    "cancelled": ("cancelled", {"stored": 2, "skipped": 3}),
}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with unpacked() as data:
        running = Up(data, **SETTINGS)
        yield running
        running.stop()


def status(up: Up, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = up.get(f"/ingest/status/{job_id}").raise_for_status().json()
    return found


def finished(up: Up, job_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        now = status(up, job_id)
        return now if now["end_time"] else None

    return account(eventually(ended, f"the end of {job_id}"))


def outcomes(job: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in job["outcomes"].items() if count}


def payloads(up: Up, collection: str, **query: Any) -> dict[str, dict[str, Any]]:
    answer = up.get("/images", params={"collection": collection, "per_page": 50, **query}).raise_for_status().json()
    return {image["payload"]["filename"]: image["payload"] | {"id": image["id"]} for image in answer["images"]}


def test_its_jobs_are_shown_as_they_were(up: Up) -> None:
    for job_id, (state, counts) in ENDED.items():
        job = account(status(up, job_id))
        assert (job["status"], outcomes(job)) == (state, counts), job_id
    files = up.get("/ingest/album/files", params={"outcome": "failed"}).json()["files"]
    assert [(file["path"], file["reason"]) for file in files] == [
        (f"{PHOTOS}/album/broken.jpg", f"{PHOTOS}/album/broken.jpg is damaged and cannot be decoded: "
         "it ends before the picture does (truncated).")
    ]  # fmt: skip
    jobs = up.get("/ingest/recent_jobs").json()["jobs"]
    assert {job["job_id"] for job in jobs} >= {*ENDED, "late", "answered", "interrupted"}


def test_what_was_broken_off_comes_to_its_end(up: Up) -> None:
    answered = finished(up, "answered")
    assert (answered["status"], outcomes(answered)) == ("completed", {"stored": 3})
    interrupted = finished(up, "interrupted")
    assert interrupted["status"] == "completed_with_errors"
    # To unpack i0.jpg changes its ctime, so it may be hashed again while what ML answered before is on its way: then a
    # copy of it has taken its place as the first of the job.
    assert outcomes(interrupted) in [
        {"stored": 3, "cached": cached, "duplicate": 5 - cached, "failed": 1, "skipped": 1} for cached in (3, 4)
    ]
    # ML had been asked for three of `answered`, and kill -9 ended the worker: those may be repeated, no others.
    assert answered["ml_images_sent"] in {3, 4, 5, 6}
    assert interrupted["ml_images_sent"] == 3
    holiday = payloads(up, "holiday")
    assert len(holiday) == 3 + 3 + 3
    (copies,) = [image for image in holiday.values() if f"{PHOTOS}/interrupted/i0.jpg" in image["paths"]]
    assert len(copies["paths"]) == 3


def test_a_folder_that_it_took_in_is_unchanged(up: Up) -> None:
    done = up.darkroom("ingest", str(PHOTOS / "album"), "--collection", "home", "--wait", "--json")
    job = account(httpx.Response(200, text=done.stdout).json())
    assert outcomes(job) == {"unchanged": 10, "failed": 1, "skipped": 1}
    assert job["ml_images_sent"] == 0


def test_its_pictures_are_found(up: Up) -> None:
    found = up.post("/search", json={"query": "nikon", "collection": "home"}).raise_for_status().json()
    assert [hit["filename"] for hit in found["results"]] == ["nikon.jpg"]
    original = (PHOTOS / "album/canon.jpg").read_bytes()
    body: dict[str, Any] = {"files": {"file": ("query.jpg", original)}, "data": {"collection": "holiday"}}
    nearest = up.post("/search/image", **body).raise_for_status().json()["results"][0]
    assert nearest["filename"] == "canon again.jpg"
    assert nearest["score"] == pytest.approx(1.0, abs=1e-3)
    assert payloads(up, "home", filters='{"taken_at": "2021-05"}').keys() == {"canon.jpg"}
    assert payloads(up, "home", filters='{"iso": {"gte": 500}}').keys() == {"nikon.jpg"}
    assert payloads(up, "home", filters='{"tags": "fireworks"}').keys() == {"xmp-date.jpg"}
    box = '{"gps": {"north": 49, "south": 47, "west": 1, "east": 3}}'
    assert payloads(up, "home", filters=box).keys() == {"canon.jpg"}
    newest_first = list(payloads(up, "home", sort="-taken_at"))
    assert newest_first.index("canon.jpg") < newest_first.index("nikon.jpg")
    facets = up.get("/images/facets/camera_make", params={"collection": "home"}).raise_for_status().json()
    assert {value["value"]: value["images"] for value in facets["values"]} == {"Canon": 1, "NIKON CORPORATION": 1}


def test_a_path_that_is_not_utf8_is_known_as_such(up: Up) -> None:
    (image,) = [image for name, image in payloads(up, "home").items() if name.startswith("caf")]
    assert image["full_path"] == paths.readable(bytes(PHOTOS / "album") + b"/" + LATIN_1)
    thumbnail = up.get(f"/images/{image['id']}/thumbnail", params={"collection": "home"}).raise_for_status()
    assert thumbnail.content.startswith(b"\xff\xd8")


def test_its_dead_letters_can_be_replayed(up: Up) -> None:
    letters = up.get("/dead-letters", params={"job": "late"}).json()["letters"]
    assert {letter["state"] for letter in letters} == {"open", "replayed"}
    (dropped,) = up.get("/dead-letters", params={"job": "again"}).json()["letters"]
    assert dropped["state"] == "dropped"
    (PHOTOS / "late/torn.jpg").write_bytes(jpeg(11))  # it was mended meanwhile
    up.post("/ingest/late/retry-failed").raise_for_status()
    eventually(lambda: status(up, "late")["status"] == "completed", "the mended file")
    assert outcomes(status(up, "late")) == {"stored": 1}


def test_what_it_archived_comes_back(up: Up) -> None:
    (archive,) = up.get("/archive").json()["archives"]
    assert not (PHOTOS / "holiday/beach.jpg").exists() or not (PHOTOS / "holiday/beach copy.jpg").exists()
    up.post(f"/archive/{archive['archive_id']}/undo").raise_for_status()
    assert (PHOTOS / "holiday/beach.jpg").read_bytes() == (PHOTOS / "holiday/beach copy.jpg").read_bytes()
    (beach,) = [image for name, image in payloads(up, "holiday").items() if name.startswith("beach")]
    assert len(beach["paths"]) == 2


def test_what_it_stored_wrongly_comes_right_when_it_is_read_again(up: Up) -> None:
    before = payloads(up, "home")
    done = up.darkroom("reread", "home", "--wait", "--json")
    job = account(json.loads(done.stdout))
    # The one that is gone was archived: nothing of home is.
    assert outcomes(job).keys() <= {"cached", "stored", "unchanged"}, outcomes(job)
    after = payloads(up, "home")
    assert after.keys() == before.keys()
    assert after["xmp-date.jpg"]["taken_at"].startswith("2019-07-14T21:30:05")
    for name, photograph in after.items():
        assert photograph["paths"] == before[name]["paths"], name
        assert photograph["ingested_at"] == before[name]["ingested_at"], name
    dates = payloads(up, "home", filters='{"taken_at": "2019"}')
    assert dates.keys() == {"xmp-date.jpg"}
    # Version 0.1.0 saw two pictures as they are not, and cut 16 bits off where they are rounded: these alone go to ML.
    files = up.get(f"/ingest/{job['job_id']}/files", params={"outcome": "stored"}).json()["files"]
    seen_again = {file["path"].rpartition("/")[2] for file in files}
    assert seen_again == {"white-is-zero.tif", "twelve-bits.tif", "grey.tif"}
    assert job["ml_images_sent"] == 3
    for name, right in {"white-is-zero.tif": grey(6), "twelve-bits.tif": grey(7), "grey.tif": grey(8)}.items():
        query = {"collection": "home"}
        thumbnail = up.get(f"/images/{after[name]['id']}/thumbnail", params=query).raise_for_status().content
        shown = np.asarray(Image.open(io.BytesIO(thumbnail)).convert("L")) / 255
        assert np.abs(shown - right).mean() < 0.03, name
    again = json.loads(up.darkroom("reread", "home", "--wait", "--json").stdout)
    assert outcomes(account(again)) == {"unchanged": len(after)}
    # What holds the same contents takes them at its own reread, without ML.
    other = account(json.loads(up.darkroom("reread", "holiday", "--wait", "--json").stdout))
    assert other["ml_images_sent"] == 0


def test_what_had_left_before_its_folder_became_a_source_is_found(up: Up) -> None:
    folder = PHOTOS / "holiday"
    (folder / "2022").mkdir()
    (folder / "dunes.jpg").rename(folder / "2022/dunes.jpg")
    (folder / "canon again.jpg").unlink()
    (folder / "beach copy.jpg").write_bytes(jpeg(99))
    before = {name: image["id"] for name, image in payloads(up, "holiday").items()}
    up.post("/sources", json={"folder": str(folder), "name": "holiday", "collection": "holiday"}).raise_for_status()

    def removed() -> dict[str, Any] | None:
        job = up.get("/sources/holiday").raise_for_status().json()["last_job"]
        found = None if job is None else status(up, job["job_id"])["removals"]
        return found if found and found["state"] in REMOVALS_SETTLED else None

    removals = eventually(removed, "what has left")
    counts = {name: removals[name] for name in ("moved", "gone", "replaced", "excluded")}
    assert (removals["state"], counts) == ("removed", {"moved": 1, "gone": 1, "replaced": 1, "excluded": 0})
    found = payloads(up, "holiday")
    paths = {path.removeprefix(f"{folder}/") for image in found.values() for path in image["paths"]}
    assert {path for path in paths if not path.startswith("/")} == {"2022/dunes.jpg", "beach.jpg", "beach copy.jpg"}
    assert found["dunes.jpg"]["id"] == before["dunes.jpg"]


async def test_its_topics_are_configured_as_today(up: Up) -> None:
    today = settings.Settings(kafka_partitions=2, kafka_retention_hours=SETTINGS["kafka_retention_hours"])
    brokers = up.addresses["KAFKA_BROKERS"]
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted(today)]
        answers = await admin.describe_configs(asked)
    finally:
        await admin.close()
    live = {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
    for topic in wanted(today):
        assert topic.topic_configs.items() <= live[topic.name].items(), topic.name
