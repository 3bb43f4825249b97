"""Messages of many files, end to end: each file has the outcome that it would have alone."""

import asyncio
import json
import os
import shutil
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.bus import Bus
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

MAX_FILE_BYTES = 200_000
MANY = 600  # more than any window holds


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"max_file_bytes": MAX_FILE_BYTES}


def new_job() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


async def publish(bus: Bus, job_id: str, collection: str, files: list[Any], **shared: Any) -> None:
    """Publish files in one message, as a program may."""
    first = next(file["path"] for file in files if isinstance(file, dict) and "path" in file)
    value = {"job_id": job_id, "collection": collection, "files": files} | shared
    await bus.publish("raw-path", first, value, [("job_id", job_id.encode())])


def named(paths: list[Path]) -> list[dict[str, str]]:
    return [{"path": str(path)} for path in paths]


def letters(bus: Bus, job_id: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in bus.of_job("dead-letter", job_id)]


async def test_what_is_wrong_with_a_file_concerns_no_other_of_its_message(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    bus, job_id = pipeline.bus, new_job()
    good = pictures.write_new(tmp_path, 5)
    copies = [tmp_path / f"copy-{number}.jpg" for number in range(2)]
    for copy in copies:
        shutil.copy(good[0], copy)
    cut, large, gone = (tmp_path / f"{name}.jpg" for name in ("cut", "large", "gone"))
    cut.write_bytes(good[1].read_bytes()[:2000])
    large.write_bytes(pictures.jpeg(1) + os.urandom(MAX_FILE_BYTES))
    strange = [17, {"size": 3}, {"path": ["a"]}, {"path": str(tmp_path / "odd.jpg"), "size": "much"}]
    files = [*named([good[0], cut, *copies, large, good[1], gone]), *strange, *named([*good[2:], good[3]])]
    await publish(bus, job_id, collection, files, caption=False)
    await bus.close_job(job_id)
    status = account(await bus.finished(job_id))

    assert status["status"] == "completed_with_errors"
    assert status["outcomes"] == {"stored": 5, "cached": 0, "duplicate": 2, "unchanged": 0, "skipped": 0, "failed": 3}
    assert {path: one["outcome"] for path, one in bus.outcomes(job_id).items() if one["outcome"] == "failed"} == {
        str(path): "failed" for path in (cut, large, gone)
    }
    assert f"{MAX_FILE_BYTES:,}" in bus.outcomes(job_id)[str(large)]["reason"]
    sent = Counter(name for batch in pipeline.ml_batches() for name in batch)
    assert sent.total() == 5, sent
    assert len(await pipeline.points(collection)) == 7
    # Each of them alone, as the message that it would be by itself.
    await bus.until(lambda: len(letters(bus, job_id)) == 3 + len(strange), "a dead letter for each")
    assert all("files" not in letter and letter["job_id"] == job_id for letter in letters(bus, job_id))
    assert {str(letter.get("path")) for letter in letters(bus, job_id)} == {
        *map(str, (cut, large, gone, tmp_path / "odd.jpg")), "None", "['a']",
    }  # fmt: skip
    names = [dict(record.headers)["ce_id"] for record in bus.of_job("dead-letter", job_id)]
    assert len(set(names)) == len(names), names


async def test_a_message_whose_collection_has_no_valid_name_fails_file_by_file(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    bus, bad, good = pipeline.bus, new_job(), new_job()
    paths = pictures.write_new(tmp_path, 3)
    await publish(bus, bad, "no/such name", named(paths))
    await publish(bus, good, collection, named(paths))
    for job_id in (bad, good):
        await bus.close_job(job_id)
    refused, taken = account(await bus.finished(bad)), account(await bus.finished(good))
    assert (refused["outcomes"]["failed"], taken["outcomes"]["stored"]) == (3, 3)
    assert {letter["path"] for letter in letters(bus, bad)} == {str(path) for path in paths}


async def test_more_files_than_any_window_holds_and_each_once(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    """The same message twice, one behind the other: every file is in flight twice, and one of them thrice."""
    bus, job_id = pipeline.bus, new_job()
    paths = pictures.write_new(tmp_path, 8)
    for number in range(MANY - 8):
        path = tmp_path / f"copy-{number}.jpg"
        path.hardlink_to(paths[number % 8])
        paths.append(path)
    for _ in range(2):
        await publish(bus, job_id, collection, named([*paths, paths[0]]))
    await bus.close_job(job_id)
    status = account(await bus.finished(job_id))
    assert (status["status"], status["total_files"]) == ("completed", MANY)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (8, MANY - 8)
    assert sum(len(batch) for batch in pipeline.ml_batches()) == 8
    assert len(await pipeline.points(collection)) == MANY


async def test_a_folder_that_is_looked_at_again_gives_an_exact_account(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    bus = pipeline.bus
    originals = pictures.write_new(tmp_path / "originals", 40)
    folders = [tmp_path / f"{number}" for number in range(4)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for copy in range((MANY - 40) // 4):
            (folder / f"{copy}.jpg").hardlink_to(originals[(copy + number) % 40])
    first = await pipeline.run(tmp_path, collection=collection)
    assert (first["outcomes"]["stored"], first["outcomes"]["duplicate"]) == (40, MANY - 40)
    pipeline.forget_ml()

    for path in originals[:10]:
        path.unlink()  # deleted: its copies keep the content
    for copy in range(20):
        changed = folders[0] / f"{copy}.jpg"
        changed.unlink()
        changed.write_bytes(pictures.jpeg(9_700_000 + hash(collection) % 1_000_000 * 100 + copy))
    moved = folders[1] / "0.jpg"
    moved.rename(folders[1] / "moved.jpg")
    pictures.write_new(folders[2], 7)
    (folders[3] / "0.jpg").write_bytes(b"no picture")
    links = (folders[3] / "0.jpg").stat().st_nlink
    job_id = await pipeline.scan(tmp_path, collection=collection)
    again = account(await bus.finished(job_id))
    outcomes = again["outcomes"]
    # All links to what is no picture any more have changed with it.
    assert (outcomes["stored"], outcomes["failed"]) == (27, links)
    # The file that was moved: a duplicate, unless it came before the other files of its content.
    assert outcomes["duplicate"] + outcomes["cached"] == 1
    assert again["total_files"] == MANY - 10 + 7
    assert outcomes["unchanged"] == again["total_files"] - 27 - links - 1
    assert sum(len(batch) for batch in pipeline.ml_batches()) == 27
    # An unchanged file is seen by its outcome; each file has one, and one only.
    told = Counter(file["file_id"] for event in bus.events(job_id, "outcomes") for file in event["files"])
    assert len(told) == again["total_files"]
    assert again["status"] == "completed_with_errors"


async def test_a_file_that_hash_knows_and_the_collection_does_not_is_seen_once_and_stored(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    """The same files for another collection, and for the first one after it was deleted and made anew."""
    bus = pipeline.bus
    pictures.write_new(tmp_path, 30)
    await pipeline.run(tmp_path, collection=collection)
    pipeline.forget_ml()
    jobs = [await pipeline.scan(tmp_path, collection=f"{collection}-b")]
    await bus.finished(jobs[0])
    await pipeline.qdrant.delete_collection(collection)
    jobs.append(await pipeline.scan(tmp_path, collection=collection))
    for job_id in jobs:
        status = account(await bus.finished(job_id))
        assert (status["outcomes"]["cached"], status["total_files"]) == (30, 30)
        seen = Counter(file["file_id"] for event in bus.events(job_id, "seen") for file in event["files"])
        assert set(seen.values()) == {1}
        assert len(seen) == 30
    assert pipeline.ml_batches() == []


async def test_a_job_that_is_cancelled_while_it_is_looked_at_again_keeps_its_account(
    pipeline: Pipeline, worker: Worker, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """Its unchanged files are seen by their outcome: at the cancel nobody has seen them."""
    bus = pipeline.bus
    pictures.write_new(tmp_path, 60)
    await pipeline.run(tmp_path, collection=collection)
    await asyncio.to_thread(worker.stop)
    settings = {"darkroom_data": str(worker.data), "max_file_bytes": MAX_FILE_BYTES}
    with Worker(kafka, qdrant, ml, worker.data, "scan,hash,track", **settings):
        job_id = await pipeline.scan(tmp_path, collection=collection)
        await bus.until(lambda: len(bus.of_job("hashed-file", job_id)) >= 60, "all files hashed")
        await bus.publish("job-event", job_id, {"type": "cancel", "job_id": job_id, "at": 1.0, "by": "user"})
        await bus.until(lambda: [s for s in bus.values("job-status", job_id=job_id) if s["cancelling"]], "the cancel")
    await asyncio.to_thread(worker.start)
    status = account(await bus.finished(job_id))
    assert (status["status"], status["total_files"]) == ("cancelled", 60)
    assert status["outcomes"]["unchanged"] + status["outcomes"]["skipped"] == 60
    ended = status["end_time"]
    await bus.quiet(2)
    last = await bus.finished(job_id)
    assert (last["status"], last["outcomes"], last["end_time"]) == ("cancelled", status["outcomes"], ended)


async def test_the_form_of_a_single_file_is_kept_where_the_setting_says_so(
    pipeline: Pipeline, worker: Worker, collection: str, tmp_path: Path
) -> None:
    """For workers of the version before, which read no other. It reads both."""
    bus = pipeline.bus
    paths = pictures.write_new(tmp_path, 20)
    await asyncio.to_thread(worker.stop)
    worker.environment["KAFKA_FILES_PER_MESSAGE"] = "1"
    try:
        await asyncio.to_thread(worker.start)
        status = await pipeline.run(tmp_path, collection=collection)
        again = await pipeline.scan(tmp_path, collection=collection)
        await bus.finished(again)
        bundle = new_job()
        await publish(bus, bundle, f"{collection}-b", named(paths))
        await bus.close_job(bundle)
        both = account(await bus.finished(bundle))
    finally:
        del worker.environment["KAFKA_FILES_PER_MESSAGE"]
        await asyncio.to_thread(worker.stop)
        await asyncio.to_thread(worker.start)
    assert (status["outcomes"]["stored"], both["outcomes"]["cached"]) == (20, 20)
    many = [record for record in bus.messages if "files" in (json.loads(record.value) if record.value else {})]
    of_files = [record for record in many if record.topic not in {"job-event", "job-status"}]
    assert [record.topic for record in of_files] == ["raw-path"], "only what the test published"
