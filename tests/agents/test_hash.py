"""hash alone: raw-path → seen and sealed on job-event, hashed-file, tombstones on all its partitions."""

import asyncio
import hashlib
import json
import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.agents.conftest import new_job
from tests.agents.messages import check_envelope, id_of, partition_of, picture, raw_path
from tests.bus import PARTITIONS, Bus
from tests.worker import Worker
from topics.sentinel import sentinel_headers

STAGE = "hash"


async def hashed(bus: Bus, job: str, collection: str, path: Path, **fields: object) -> str:
    """Send a file, and return the SHA-256 that comes out for it."""
    before = len(bus.of_job("hashed-file", job))
    await bus.publish("raw-path", str(path), raw_path(job, collection, path) | fields)
    await bus.until(lambda: len(bus.of_job("hashed-file", job)) > before, f"{path} hashed")
    sha256: str = json.loads(bus.of_job("hashed-file", job)[-1].value)["sha256"]
    return sha256


async def remembered(bus: Bus, job: str, collection: str, *paths: Path) -> None:
    """Have files hashed, and wait until their fingerprints are written: their end marker is passed on behind that."""
    for path in paths:
        await hashed(bus, job, collection, path)
    await bus.close_job(job)
    await bus.until(lambda: len(bus.events(job, "sealed")) == PARTITIONS, "all partitions sealed")


async def test_a_file_is_handed_on_by_its_content(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    path = picture(tmp_path / "a photo with ünicode.jpg")
    file = raw_path(job, collection, path)
    await bus.publish("raw-path", str(path), file | {"caption": True})
    await bus.until(lambda: bus.of_job("hashed-file", job), "a hashed file")
    (record,) = bus.of_job("hashed-file", job)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    stamp = {"size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
    hashed = json.loads(record.value)
    assert hashed.pop("ctime_ns", path.stat().st_ctime_ns) == path.stat().st_ctime_ns  # where it is settled
    assert hashed == file | stamp | {"sha256": sha256, "caption": True}
    check_envelope(record, sha256, file)


async def test_seen_is_delivered_before_the_file_goes_on(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{number}.jpg") for number in range(40)]
    for path in paths:
        await bus.publish("raw-path", str(path), raw_path(job, collection, path) | {"walk_id": "walk-1"})
    await bus.until(lambda: len(bus.of_job("hashed-file", job)) == 40, "40 hashed files")
    seen_at: dict[str, int] = {}
    for record in bus.of_job("job-event", job):
        assert (record.key, record.partition) == (job.encode(), partition_of(job.encode()))
        event = json.loads(record.value)
        if event["type"] == "seen":
            assert (event["collection"], event["walk_id"]) == (collection, "walk-1")
            seen_at |= {file["file_id"]: record.timestamp for file in event["files"]}
    assert set(seen_at) == {id_of(raw_path(job, collection, path)) for path in paths}
    for record in bus.of_job("hashed-file", job):
        assert seen_at[dict(record.headers)["file_id"].decode()] <= record.timestamp
    # Many files to one event, or track would fold each by itself.
    assert len(bus.events(job, "seen")) < 40


@pytest.mark.parametrize("counted", [True, None], ids=["counted", "not counted"])
async def test_unchanged_files_are_seen_by_their_outcome_where_the_end_of_their_walk_counts_them(
    bus: Bus, job: str, collection: str, tmp_path: Path, counted: bool | None
) -> None:
    """Of another walk the end may come first: the job would be over, without them. No scan has begun this job."""
    paths = [picture(tmp_path / f"{number}.jpg") for number in range(5)]
    await remembered(bus, job, collection, *paths)
    # On the partition where their fingerprints are.
    paths = [path for path in paths if partition_of(bytes(path)) == partition_of(bytes(paths[0]))]
    own = [{"path": str(path), "size": (stat := path.stat()).st_size, "mtime_ns": stat.st_mtime_ns} for path in paths]
    again = new_job()
    shared = {"job_id": again, "collection": collection, "model_id": "stub-1", "walk_id": "mine", "counted": counted}
    await bus.publish("raw-path", str(paths[0]), shared | {"files": own})
    await bus.until(lambda: len(bus.of_job("hashed-file", again)) == len(own), "all hashed")
    walks = {json.loads(record.value).get("walk_id") for record in bus.of_job("hashed-file", again)}
    seen = {file["path"] for event in bus.events(again, "seen") for file in event["files"]}
    assert walks == ({"mine"} if counted else {None})
    assert seen == (set() if counted else {str(path) for path in paths})


async def test_a_message_about_a_collection_that_cannot_be_had_fails_unchanged_files_one_by_one(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.jpg")
    await remembered(bus, job, collection, path)
    own = {"path": str(path), "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
    again = new_job()
    shared = {"job_id": again, "collection": collection, "model_id": "another-model"}
    await bus.publish("raw-path", str(path), shared | {"files": [own, own | {"path": str(tmp_path / "gone.jpg")}]})
    await bus.until(lambda: len(bus.outcomes(again)) == 2, "an outcome of each")
    assert {outcome["outcome"] for outcome in bus.outcomes(again).values()} == {"failed"}
    assert "another-model" in bus.outcomes(again)[str(path)]["reason"]
    assert bus.of_job("hashed-file", again) == []


async def test_a_sentinel_seals_after_the_files_before_it(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    files = [raw_path(job, collection, picture(tmp_path / f"{number}.jpg")) for number in range(40)]
    for file in files:
        await bus.publish("raw-path", file["path"], file)
    for partition in range(PARTITIONS):
        await bus.publish("raw-path", job, None, sentinel_headers(job, "walk-1", partition + 100), partition)

    def tombstones(partition: int) -> list[int]:
        records = bus.of_job("hashed-file", job)
        return [r.offset for r in records if r.value is None and r.partition == partition]

    await bus.until(
        lambda: (
            len(bus.events(job, "sealed")) == PARTITIONS
            and all(len(tombstones(partition)) == PARTITIONS for partition in range(PARTITIONS))
        ),
        "all partitions sealed, and each tombstone on every partition",
    )
    seals: dict[int, int] = {}
    seen: dict[str, int] = {}
    for record in bus.of_job("job-event", job):
        event = json.loads(record.value)
        if event["type"] == "sealed":
            seals[event["partition"]] = record.offset
            assert (event["walk_id"], event["partitions"]) == ("walk-1", PARTITIONS)
            assert event["files"] == event["partition"] + 100
        elif event["type"] == "seen":
            seen |= {each["path"]: record.offset for each in event["files"]}
    assert len(seen) == 40
    for path, offset in seen.items():
        assert offset < seals[partition_of(path.encode())]
    for record in bus.of_job("hashed-file", job):
        if record.value is None:
            assert dict(record.headers)["walk_id"] == b"walk-1"
        else:
            assert record.offset < max(tombstones(record.partition))


async def test_what_cannot_be_read_fails_with_a_letter_that_restarts_it(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    gone, folder = tmp_path / "gone.jpg", tmp_path / "folder.jpg"
    folder.mkdir()
    for path in (gone, folder):
        await bus.publish("raw-path", str(path), raw_path(job, collection, path))
    await bus.until(lambda: len(bus.outcomes(job)) == 2, "two outcomes")
    for path in (gone, folder):
        assert bus.outcomes(job)[str(path)]["outcome"] == "failed"
        assert str(path) in bus.outcomes(job)[str(path)]["reason"]
    letters = {json.loads(record.value)["path"]: record for record in bus.of_job("dead-letter", job)}
    file = raw_path(job, collection, gone)
    letter = letters[str(gone)]
    assert json.loads(letter.value) == file | {"caption": False}
    told = {name: value.decode() for name, value in letter.headers}
    assert (letter.key, told["file_id"], told["job_id"]) == (str(gone).encode(), id_of(file), job)
    assert told["__connect.errors.topic"] == "raw-path"
    assert told["__connect.errors.stage"] == "hash"
    assert told["__connect.errors.exception.class.name"] == "FileError"
    assert "Traceback" in told["__connect.errors.exception.stacktrace"]
    assert bus.of_job("hashed-file", job) == []


async def test_messages_that_do_not_validate_leave_as_they_came(bus: Bus, collection: str, tmp_path: Path) -> None:
    job = new_job()
    odd = [
        b"no { json",
        json.dumps({"job_id": job, "collection": collection, "path": "relative.jpg"}).encode(),
        json.dumps({"job_id": "two words", "collection": collection, "path": "/a.jpg"}).encode(),
    ]
    for value in odd:
        await bus.publish("raw-path", "same key", value, [("job_id", job.encode())])
    await hashed(bus, job, collection, picture(tmp_path / "good.jpg"))
    await bus.until(lambda: len(bus.of_job("dead-letter", job)) == len(odd), "the dead letters")
    assert {record.value for record in bus.of_job("dead-letter", job)} == set(odd)
    assert {record.key for record in bus.of_job("dead-letter", job)} == {b"same key"}
    assert bus.outcomes(job) == {}


async def test_a_wrong_collection_fails_the_file(bus: Bus, job: str, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg")
    await bus.publish("raw-path", str(path), raw_path(job, "no/such name", path))
    await bus.until(lambda: bus.outcomes(job), "an outcome")
    assert bus.outcomes(job)[str(path)]["outcome"] == "failed"
    assert "no/such name" in bus.outcomes(job)[str(path)]["reason"]


async def test_files_of_a_cancelled_job_are_skipped(bus: Bus, job: str, collection: str, tmp_path: Path) -> None:
    def taken(files: int) -> bool:
        return len(bus.outcomes(job)) + len(bus.of_job("hashed-file", job)) == files

    await bus.publish("job-status", job, status_document(job, collection) | {"cancelling": True})
    for number in range(100):
        # The worker reads job-status by itself: the first files may come before it has.
        path = picture(tmp_path / f"{number}.jpg")
        await bus.publish("raw-path", str(path), raw_path(job, collection, path))
        await bus.until(partial(taken, number + 1), "the file taken")
        if bus.outcomes(job):
            break
    outcome = bus.outcomes(job)[str(path)]
    assert (outcome["outcome"], outcome["reason"]) == ("skipped", "job cancelled")


async def test_a_file_that_begins_again_and_ends_here_tells_those_that_wait_for_its_content(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    """It may own the claim on what it held: nobody else would end that."""
    names = ("gone", "changed", "same", "first")
    paths = {name: picture(tmp_path / f"{name}.jpg") for name in names}
    held = {name: await hashed(bus, job, collection, path) for name, path in paths.items()}
    paths["gone"].unlink()
    picture(paths["changed"])
    for name in names[:3]:
        await bus.publish("raw-path", str(paths[name]), raw_path(job, collection, paths[name]), [("attempt", b"2")])
    picture(paths["first"])  # not for another attempt: what it held may be on its way
    await hashed(bus, job, collection, paths["first"])
    await bus.until(lambda: len(bus.of_job("hashed-file", job)) == 7, "the files hashed again")
    await bus.until(lambda: len(bus.of_job("image-outcome", job)) >= 2, "two image-outcomes")
    told = {value["path"]: value for value in bus.values("image-outcome", job_id=job)}
    assert {path: (value["kind"], value["sha256"], value["model_id"]) for path, value in told.items()} == {
        str(paths[name]): ("failed-file", held[name], "stub-1") for name in ("gone", "changed")
    }
    for record in bus.of_job("image-outcome", job):
        assert (record.key, dict(record.headers)["attempt"]) == (json.loads(record.value)["sha256"].encode(), b"2")


async def test_a_file_of_a_cancelled_job_that_begins_again_gives_up_its_claim(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.jpg")
    sha256 = await hashed(bus, job, collection, path)
    await bus.publish("job-status", job, status_document(job, collection) | {"cancelling": True})
    file = {name: value for name, value in raw_path(job, collection, path).items() if name != "model_id"}

    async def skipped() -> bool:
        # The worker reads job-status by itself: the first may come before it has.
        await bus.publish("raw-path", str(path), file, [("attempt", b"2")])
        await bus.quiet(0.2)
        return bool(bus.outcomes(job))

    while not await skipped():
        pass
    await bus.until(lambda: bus.of_job("image-outcome", job), "an image-outcome")
    told = bus.values("image-outcome", job_id=job)[0]
    assert (told["kind"], told["sha256"], told["model_id"]) == ("failed-file", sha256, "stub-1")


def status_document(job: str, collection: str) -> dict[str, object]:
    return {
        "job_id": job,
        "status": "running",
        "collection": collection,
        "progress": 0,
        "total_files": 0,
        "total_known": False,
        "processed_files": 0,
        "cached_files": 0,
        "failed_files": 0,
        "outcomes": {},
        "stages": {},
        "rate": 0,
        "ml_images_sent": 0,
        "message": "",
        "logs": [],
        "offset": 0,
    }


async def test_a_file_is_read_again_only_when_its_stamp_changes_also_after_a_restart(
    bus: Bus, job: str, collection: str, tmp_path: Path, worker: Worker
) -> None:
    path = picture(tmp_path / "a.jpg")
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    before = path.stat()
    assert await hashed(bus, job, collection, path) == old
    # Another content behind the same size and time: who takes the stamp's word for it does not see it.
    path.write_bytes(path.read_bytes()[::-1])
    new = hashlib.sha256(path.read_bytes()).hexdigest()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await hashed(bus, job, collection, path) == old
    assert await hashed(bus, job, collection, path, size=before.st_size, mtime_ns=before.st_mtime_ns) == old

    assert worker.stop() == 0
    shutil.rmtree(worker.data / "worker")
    await asyncio.to_thread(worker.start)
    assert await hashed(bus, job, collection, path) == old

    os.utime(path)
    assert await hashed(bus, job, collection, path) == new


async def test_another_content_of_a_path_goes_by_way_of_the_one_before(
    bus: Bus, job: str, collection: str, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.jpg")
    await remembered(bus, job, collection, path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    again = new_job()
    assert await hashed(bus, again, collection, picture(path)) == hashlib.sha256(path.read_bytes()).hexdigest()
    (record,) = [record for record in bus.of_job("hashed-file", again) if record.value]
    assert (record.key, json.loads(record.value)["by_way_of"]) == (before.encode(), before)
