"""scan alone: scan-request → scanning and refused files on job-event, raw-path, a sentinel on each partition."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from rules.identity import file_id
from tests.agents.conftest import new_job
from tests.agents.messages import headers, partition_of
from tests.agents.test_hash import status_document
from tests.bus import PARTITIONS, Bus

STAGE = "scan"
OUTSTANDING = 50


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"scan_outstanding_files": OUTSTANDING}


async def scan(bus: Bus, job: str, collection: str, *sources: Path, **options: object) -> None:
    request = {"job_id": job, "collection": collection, "sources": [str(source) for source in sources]}
    await bus.publish("scan-request", job, request | options)


def found(bus: Bus, job: str) -> list[ConsumerRecord]:
    return [record for record in bus.of_job("raw-path", job) if record.value is not None]


def sentinels(bus: Bus, job: str) -> list[ConsumerRecord]:
    return [record for record in bus.of_job("raw-path", job) if record.value is None]


def touch(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.jpg").touch()


async def test_a_folder_becomes_files_and_sentinels(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    touch(tmp_path / "deeper" / "and deeper", 20)
    (tmp_path / "Ünï.JPG").write_bytes(b"12345")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    strange = os.fsencode(tmp_path / os.fsdecode(b"\xff.jpg"))
    (tmp_path / os.fsdecode(b"\xff.jpg")).touch()

    await scan(bus, job, collection, tmp_path, caption=True)
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS and len(bus.outcomes(job)) == 3, "the walk's end")

    (scanning,) = bus.events(job, "scanning")
    assert (scanning["model_id"], scanning["sources"], scanning["counted"]) == ("stub-1", [str(tmp_path)], True)
    records = {record.key: record for record in found(bus, job)}
    assert len(records) == len(found(bus, job)) == 22
    for key, record in records.items():
        assert record.partition == partition_of(key)
        value = json.loads(record.value)
        assert (value["job_id"], value["collection"], value["caption"]) == (job, collection, True)
        assert (value["model_id"], value["walk_id"]) == ("stub-1", scanning["walk_id"])
        status = os.stat(key)  # noqa: PTH116 - bytes
        assert (value["size"], value["mtime_ns"]) == (status.st_size, status.st_mtime_ns)
        expected = {"job_id": job, "file_id": file_id(job, collection, key), "model_id": "stub-1"}
        own = {name: value for name, value in headers(record).items() if not name.startswith("ce_")}
        assert own == expected | {"content-type": "application/json"}
    value = json.loads(records[strange].value)
    assert value["path"].endswith("\\xff.jpg")
    assert base64.b64decode(value["path_b64"]) == strange
    assert "path_b64" not in json.loads(records[os.fsencode(tmp_path / "Ünï.JPG")].value)

    assert {Path(path).name: file["outcome"] for path, file in bus.outcomes(job).items()} == {
        "notes.txt": "skipped",
        "nowhere.jpg": "failed",
        "loop": "skipped",
    }
    for sentinel in sentinels(bus, job):
        before = [record for record in records.values() if record.partition == sentinel.partition]
        assert headers(sentinel) == {
            "job_id": job,
            "walk_id": scanning["walk_id"],
            "files": str(len(before)),
            "content-type": "application/json",
        }
        assert all(record.offset < sentinel.offset for record in before)
    assert {sentinel.partition for sentinel in sentinels(bus, job)} == set(range(PARTITIONS))


async def test_a_request_that_comes_twice_is_walked_under_a_new_name(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    touch(tmp_path, 3)
    for _ in range(2):
        # The deeper folder lies in the other: its files are found once a walk.
        await scan(bus, job, collection, tmp_path, tmp_path / "0001.jpg", tmp_path)
    await bus.until(lambda: len(sentinels(bus, job)) == 2 * PARTITIONS, "two walks")
    assert len({headers(sentinel)["walk_id"] for sentinel in sentinels(bus, job)}) == 2
    assert len(found(bus, job)) == 6
    assert len({headers(record)["file_id"] for record in found(bus, job)}) == 3


async def test_a_job_waits_for_its_files_while_others_go_on(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    """A folder is read 100 entries at a time, so a walk may be that much beyond the limit."""
    touch(tmp_path / "large", 450)
    touch(tmp_path / "small", 3)
    await scan(bus, job, collection, tmp_path / "large")
    await bus.until(lambda: len(found(bus, job)) >= 100, "the first files")
    small = new_job()
    await scan(bus, small, collection, tmp_path / "small")
    await bus.until(lambda: len(sentinels(bus, small)) == PARTITIONS, "the small job's end", 10)
    assert len(found(bus, job)) == 100

    await bus.publish("job-status", job, status_document(job, collection) | {"processed_files": 60})
    await bus.until(lambda: len(found(bus, job)) == 200, "the next files")
    paused = status_document(job, collection) | {"processed_files": 200, "paused": True, "status": "paused"}
    await bus.publish("job-status", job, paused)
    await bus.quiet(1.5)
    assert len(found(bus, job)) == 200

    await bus.publish("job-status", job, status_document(job, collection) | {"cancelling": True})
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the cancelled walk", 5)
    assert len(found(bus, job)) == 200


async def test_a_request_that_cannot_be_walked_fails_its_job(bus: Bus, job: str, collection: str) -> None:
    gone = Path("/no/such/folder")
    await scan(bus, job, collection, gone)
    other = new_job()
    await scan(bus, other, "no/such name", Path("/tmp"))
    await bus.until(lambda: bus.events(job, "job-failed") and bus.events(other, "job-failed"), "two failed jobs")
    assert "/no/such/folder does not exist" in bus.events(job, "job-failed")[0]["reason"]
    assert "no/such name" in bus.events(other, "job-failed")[0]["reason"]
    letter = next(record for record in bus.records if record.topic == "dead-letter" and record.key == job.encode())
    assert json.loads(letter.value)["sources"] == [str(gone)]
    # Files of an earlier walk may still be on their way: the job ends when those have their outcomes.
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "a sentinel on each partition")
    # They say nothing about how many files that earlier walk has published.
    assert all("files" not in headers(sentinel) for sentinel in sentinels(bus, job))
