"""scan alone: scan-request → scanning and refused files on job-event, raw-path, a sentinel on each partition."""

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from agents.scan.agent import WALKS_AT_ONCE
from core.settings import Stage
from rules.identity import file_id
from tests.agents.conftest import new_job
from tests.agents.messages import headers, partition_of
from tests.agents.test_hash import status_document
from tests.bus import PARTITIONS, Bus
from tests.worker import Worker
from topics.topology import FILE_TOPICS, topics_read

STAGE = "scan"
OUTSTANDING = 50


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"scan_outstanding_files": OUTSTANDING, "restart_after_seconds": 3}


async def scan(bus: Bus, job: str, collection: str, *sources: Path, **options: object) -> None:
    request = {"job_id": job, "collection": collection, "sources": [str(source) for source in sources]}
    await bus.publish("scan-request", job, request | options)


def found(bus: Bus, job: str) -> list[ConsumerRecord]:
    return [record for record in bus.of_job("raw-path", job) if record.value is not None]


def sentinels(bus: Bus, job: str) -> list[ConsumerRecord]:
    return [record for record in bus.of_job("raw-path", job) if record.value is None]


async def finish(bus: Bus, job: str, collection: str, records: list[ConsumerRecord]) -> None:
    """Tell that files have their outcome, as the stages behind do."""
    files = [
        {"file_id": headers(record)["file_id"], "path": json.loads(record.value)["path"], "outcome": "unchanged"}
        for record in records
    ]
    event = {"type": "outcomes", "job_id": job, "at": time.time(), "collection": collection, "files": files}
    await bus.publish("job-event", job, event)


async def skip(bus: Bus, stage: Stage) -> None:
    """Commit for a stage that it has read all there is."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bus.brokers, group_id=f"darkroom-{stage}", enable_auto_commit=False)
    await consumer.start()
    try:
        ends = {part: end for topic in topics_read(stage) for part, end in (await bus.ends(topic)).items()}
        consumer.assign(list(ends))
        await consumer.commit(ends)
    finally:
        await consumer.stop()


def touch(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number:04}.jpg").touch()


async def test_what_is_left_out_is_one_event_and_no_outcome(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    touch(tmp_path / "2024", 3)
    touch(tmp_path / "2024" / "@eaDir" / "0001.jpg", 4)
    touch(tmp_path / "private", 2)
    for name in ("._0001.jpg", ".DS_Store", "0001.tif", "notes.txt"):
        (tmp_path / "2024" / name).touch()
    await scan(bus, job, collection, tmp_path, exclude=["private/", "*.tif"])
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS and len(bus.outcomes(job)) == 1, "the walk's end")
    assert {json.loads(record.value)["path"] for record in found(bus, job)} == {
        str(path) for path in (tmp_path / "2024").glob("000?.jpg")
    }
    (scanning,) = bus.events(job, "scanning")
    (left_out,) = bus.events(job, "left-out")
    assert scanning["exclude"] == ["private/", "*.tif"]
    assert left_out["walk_id"] == scanning["walk_id"]
    assert {name: left_out[name] for name in ("files", "folders", "more")} == {"files": 9, "folders": 3, "more": False}


async def test_a_pattern_that_is_none_fails_the_job(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    touch(tmp_path, 1)
    await scan(bus, job, collection, tmp_path, exclude=["good", "bad\\"])
    (failed,) = await bus.until(lambda: bus.events(job, "job-failed"), "the failure")
    assert "bad" in failed["reason"]
    assert found(bus, job) == []


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
    touch(tmp_path / "large", 450)
    touch(tmp_path / "small", 3)
    await scan(bus, job, collection, tmp_path / "large")
    await bus.until(lambda: len(found(bus, job)) >= 50, "the first files")
    small = new_job()
    await scan(bus, small, collection, tmp_path / "small")
    await bus.until(lambda: len(sentinels(bus, small)) == PARTITIONS, "the small job's end")
    assert len(found(bus, job)) == 50

    await finish(bus, job, collection, found(bus, job)[:30])
    # Twice as many as had their outcome just now may be under way.
    await bus.until(lambda: len(found(bus, job)) == 90, "the next files")
    paused = status_document(job, collection) | {"paused": True, "status": "paused"}
    await bus.publish("job-status", job, paused)
    await finish(bus, job, collection, found(bus, job))
    await bus.quiet(1.5)
    assert len(found(bus, job)) == 90

    await bus.publish("job-status", job, status_document(job, collection) | {"cancelling": True})
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the cancelled walk")
    assert len(found(bus, job)) == 90


async def test_paused_jobs_leave_their_places_to_others(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    """As many as may be walked at once were paused, and nothing was walked any more."""
    touch(tmp_path, 1)
    held = [new_job() for _ in range(WALKS_AT_ONCE)]
    for one in held:
        await bus.publish("job-status", one, status_document(one, collection) | {"paused": True, "status": "paused"})
    for one in held:
        await scan(bus, one, collection, tmp_path)
    await bus.until(lambda: all(bus.events(one, "scanning") for one in held), "all walks begun")
    await scan(bus, job, collection, tmp_path)
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the walk behind them")
    assert not any(sentinels(bus, one) for one in held)

    for one in held:
        await bus.publish("job-status", one, status_document(one, collection))
    await bus.until(lambda: all(len(sentinels(bus, one)) == PARTITIONS for one in held), "the end of all")


@pytest.mark.parametrize("state", ["completed", "running"])
async def test_a_job_that_is_walked_again_waits_for_the_files_of_that_walk(
    bus: Bus, job: str, collection: str, tmp_path: Path, state: str
) -> None:
    """What an earlier walk did counts neither for it nor against it."""
    touch(tmp_path, 250)
    done = {"status": state, "total_files": 250, "processed_files": 250}
    await bus.publish("job-status", job, status_document(job, collection) | done)
    await scan(bus, job, collection, tmp_path)
    told = 0
    for many in (50, 150, 250):
        await bus.until(lambda many=many: len(found(bus, job)) >= many, f"{many} files")  # type: ignore[misc]
        # Twice as many may be under way as had their outcome within the last second.
        await bus.quiet(1.5)
        assert len(found(bus, job)) == many
        await finish(bus, job, collection, found(bus, job)[told:])
        told = many
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the walk")


async def test_a_walk_that_begins_again_adds_nothing_to_the_unfinished_files_of_its_job(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    touch(tmp_path, 3)
    half = status_document(job, collection) | {"total_files": 200, "processed_files": 140}
    await bus.publish("job-status", job, half)
    await scan(bus, job, collection, tmp_path)
    await bus.until(lambda: bus.events(job, "scanning"), "the walk's begin")
    await bus.quiet(1.5)
    assert found(bus, job) == []
    await bus.publish("job-status", job, half | {"processed_files": 160})
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the walk")


async def test_a_walk_goes_on_without_files_that_were_lost(
    bus: Bus, job: str, collection: str, tmp_path: Path, worker: Worker
) -> None:
    """Nobody sends a file of a job that has ended once more: where no stage has it, nothing will come of it."""
    touch(tmp_path, OUTSTANDING + 20)
    for stage in FILE_TOPICS:
        await skip(bus, stage)
    await scan(bus, job, collection, tmp_path)
    await bus.until(lambda: len(found(bus, job)) == OUTSTANDING, "the first files")
    await bus.until(lambda: "scan-waits" in worker.log, "that it says so")
    await skip(bus, "hash")
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "the end of the walk")
    assert "scan-goes-on" in worker.log


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


async def in_the_name_of(bus: Bus, source: str, job: str, collection: str, *folders: Path) -> None:
    asked = {"job_id": job, "collection": collection, "sources": [str(folder) for folder in folders], "source": source}
    await bus.publish("scan-request", source, asked)


async def test_a_request_in_the_name_of_a_source_that_is_not_there_takes_nothing_in(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    """What it found was held by that name for ever: no pattern of anybody left it out."""
    touch(tmp_path, 3)
    await in_the_name_of(bus, "nobody", job, collection, tmp_path)
    await bus.until(lambda: len(sentinels(bus, job)) == PARTITIONS, "a sentinel on each partition")
    assert found(bus, job) == []
    (failed,) = bus.events(job, "job-failed")
    assert "There is no source 'nobody'" in failed["reason"]
    assert not [record for record in bus.records if record.topic == "dead-letter" and record.key == b"nobody"]


async def test_a_request_in_the_name_of_a_source_asks_for_what_it_keeps(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    """Also where the source was written, or written anew, a moment ago."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        touch(folder, 1)
    wrong: list[tuple[str, list[Path]]] = [
        (f"{collection}-other", folders[1:]),
        (collection, [tmp_path]),
        (collection, folders),
    ]
    jobs = [new_job() for _ in wrong]
    # Its schedule does not fire beside.
    source = {"name": job, "collection": collection, "paused": True}
    for number, folder in enumerate(folders):
        await bus.publish("source", job, source | {"folder": f"{folder}/"})
        await in_the_name_of(bus, job, f"{job}-{number}", collection, folder)
        await bus.until(lambda number=number: found(bus, f"{job}-{number}"), "the file")  # type: ignore[misc]
    for one, (name, places) in zip(jobs, wrong, strict=True):
        await in_the_name_of(bus, job, one, name, *places)
        (failed,) = await bus.until(lambda one=one: bus.events(one, "job-failed"), "the failure")  # type: ignore[misc]
        assert f"keeps {folders[1]}/ in step with {collection!r}" in failed["reason"]
        assert found(bus, one) == []
