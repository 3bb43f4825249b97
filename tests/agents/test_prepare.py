"""prepare alone: hashed-file and image-outcome → ml-request, db-write, outcomes on job-event, claims in its table."""

import asyncio
import base64
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from PIL import Image

from gateways.qdrant import Qdrant
from rules.identity import point_id
from tests.agents.conftest import new_job
from tests.agents.messages import Message, check_envelope, content, hashed_file, picture, sealed, unread_file
from tests.agents.test_hash import status_document
from tests.bus import PARTITIONS, Bus
from tests.worker import Worker

STAGE = "prepare"
# What each file has of its own in messages of hash about files that it has not read.
PLAIN = ("path", "size", "mtime_ns", "ctime_ns", "sha256")


async def send(bus: Bus, *files: Message) -> None:
    for file in files:
        await bus.publish("hashed-file", file["sha256"], file)


async def tell(bus: Bus, file: Message, kind: str, **fields: object) -> None:
    """Publish what became of a file's content."""
    await bus.publish("image-outcome", file["sha256"], file | {"kind": kind} | fields)


def about(bus: Bus, topic: str, file: Message) -> list[ConsumerRecord]:
    """Return the messages of a topic about one content in one job."""
    records = [record for record in bus.of_job(topic, file["job_id"]) if record.value is not None]
    return [record for record in records if record.key == file["sha256"].encode()]


def values(records: list[ConsumerRecord]) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in records]


async def claimed(bus: Bus, job: str, collection: str, path: Path) -> Message:
    """Write a new picture to `path`, and let prepare claim its content."""
    file = hashed_file(job, collection, picture(path))
    await send(bus, file)
    await bus.until(lambda: about(bus, "ml-request", file), "an ml-request")
    return file


async def waiting(bus: Bus, owner: Message, name: str, job: str) -> Message:
    """Send a copy of a claimed content, and return when prepare has taken it."""
    path = Path(owner["path"]).with_name(name)
    path.write_bytes(await asyncio.to_thread(Path(owner["path"]).read_bytes))
    file = hashed_file(job, owner["collection"], path)
    await send(bus, file)
    await sealed(bus, "hashed-file", "ml-request", job)
    return file


def is_flushed(bus: Bus, file: Message) -> bool:
    """Tell whether a tombstone of the file's job came behind its point."""
    point = about(bus, "db-write", file)[-1]
    records = [r for r in bus.of_job("db-write", file["job_id"]) if r.partition == point.partition and r.value is None]
    return any(record.offset > point.offset for record in records)


async def test_a_new_content_is_decoded(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with Image.open(picture(path)) as image:
        larger = image.resize((1600, 1200))
    tags = Image.Exif()
    tags[274] = 6  # lies on its side
    larger.save(path, exif=tags)
    file = hashed_file(job, created, path)
    await send(bus, file)
    await bus.until(lambda: about(bus, "ml-request", file), "an ml-request")
    (record,) = about(bus, "ml-request", file)
    check_envelope(record, file["sha256"], file)
    (request,) = values([record])
    assert request["metadata"] | {"width": 1200, "height": 1600, "orientation": 6} == request["metadata"]
    for field, size in (("rendition_base64", (384, 512)), ("thumbnail_base64", (150, 200))):
        with Image.open(io.BytesIO(base64.b64decode(request[field], validate=True))) as decoded:
            decoded.load()
            assert (decoded.format, decoded.size) == ("JPEG", size)
    assert {name: request[name] for name in file} == file


async def test_copies_wait_for_the_answer(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    copies = [await waiting(bus, owner, f"copy-{number}.jpg", job) for number in range(2)]
    other = await waiting(bus, owner, "other.jpg", new_job())
    assert len(about(bus, "ml-request", owner)) == 1
    assert about(bus, "ml-request", other) == []
    assert about(bus, "db-write", owner) + about(bus, "db-write", other) == []

    # The owner again, as after a kill, is sent again; it is no copy of itself.
    await send(bus, owner)
    await bus.until(lambda: len(about(bus, "ml-request", owner)) == 2, "the owner again")

    await tell(bus, owner, "embedded", content=content(3))
    await bus.until(lambda: len(about(bus, "db-write", owner)) == 2 and about(bus, "db-write", other), "three points")
    written = {value["path"]: value for value in values(about(bus, "db-write", owner) + about(bus, "db-write", other))}
    assert {path: value["outcome"] for path, value in written.items()} == {
        copies[0]["path"]: "duplicate",
        copies[1]["path"]: "duplicate",
        other["path"]: "cached",
    }
    for record in about(bus, "db-write", other):
        check_envelope(record, other["sha256"], other)
    for value in written.values():
        assert value["content"] == content(3)
        assert value["point_id"] == point_id(owner["sha256"])
    # The tombstones of the walks may have passed while the copies waited: each job gets one behind its points.
    await bus.until(lambda: is_flushed(bus, owner) and is_flushed(bus, other), "tombstones behind the points")

    # What comes later needs no decode and no answer.
    later = hashed_file(new_job(), created, tmp_path / "other.jpg")
    await send(bus, later)
    await bus.until(lambda: about(bus, "db-write", later), "one more point")
    assert values(about(bus, "db-write", later))[0]["outcome"] == "cached"
    assert about(bus, "ml-request", later) == []


async def test_what_is_confirmed_is_unchanged_until_the_collection_is_another(
    bus: Bus, job: str, created: str, store: Qdrant, tmp_path: Path
) -> None:
    owner = await claimed(bus, job, created, tmp_path / "a.jpg")
    await tell(bus, owner, "embedded", content=content())
    known = await store.collection(created)
    assert known is not None
    await tell(bus, owner, "stored", incarnation=known.incarnation)
    await sealed(bus, "hashed-file", "ml-request", job)

    async def again() -> str:
        file = owner | {"job_id": new_job()}
        await send(bus, file)
        await bus.until(lambda: bus.outcomes(file["job_id"]) or about(bus, "db-write", file), "a decision")
        if bus.outcomes(file["job_id"]):
            return str(bus.outcomes(file["job_id"])[file["path"]]["outcome"])
        return f"write {values(about(bus, 'db-write', file))[0]['outcome']}"

    async def becomes(wanted: str) -> None:
        # The outcomes come through another topic than the files: nothing says which is taken first.
        for _ in range(20):
            if await again() == wanted:
                return
        raise AssertionError(f"never {wanted}")

    await becomes("unchanged")
    await store.delete_collection(created)
    missing = owner | {"job_id": new_job()}
    await send(bus, missing)
    await bus.until(lambda: bus.outcomes(missing["job_id"]), "an outcome")
    failed = bus.outcomes(missing["job_id"])[owner["path"]]
    assert failed["outcome"] == "failed"
    assert f"Collection {created} does not exist" in failed["reason"]

    await store.ensure_collection(created, model_id="stub-1", dimension=512, distance="Cosine")
    assert await again() == "write cached"


async def test_a_file_of_a_message_whose_fields_are_no_such_is_refused_alone(
    bus: Bus, job: str, created: str, store: Qdrant, tmp_path: Path
) -> None:
    """Only a program could send them: a hash that makes up another row's key, and a size that is no number."""
    created = f"{created}-ab"
    await store.ensure_collection(created, model_id="a|b", dimension=512, distance="Cosine")
    path = picture(tmp_path / "a.jpg")
    known = hashed_file(job, created, path) | {"model_id": "a|b"}
    await send(bus, known)
    await bus.until(lambda: about(bus, "ml-request", known), "an ml-request")
    collection = await store.collection(created)
    assert collection is not None
    await tell(bus, known, "embedded", content=content())
    await tell(bus, known, "stored", incarnation=collection.incarnation)

    later = new_job()

    async def publish(model_id: str, *files: Message) -> None:
        shared = {"job_id": later, "collection": created, "model_id": model_id}
        message = shared | {"files": [{name: file.get(name) for name in PLAIN} for file in files]}
        await bus.publish("hashed-file", known["sha256"], message, [("job_id", later.encode())])

    def outcome(file: Message) -> str | None:
        told = bus.outcomes(later).get(file["path"])
        return None if told is None else str(told["outcome"])

    for _ in range(20):  # the outcomes come through another topic than the files
        await publish("a|b", known, known)
        await bus.until(lambda: outcome(known) or about(bus, "db-write", known | {"job_id": later}), "a decision")
        if outcome(known) == "unchanged":
            break
    others = [unread_file(later, created, name) for name in ("b.jpg", "c.jpg", "d.jpg")]
    no_number = known | {"size": "much"}
    no_hash = known | {"sha256": known["sha256"] + "|a"}
    await publish("a|b", others[0], no_number, known)
    await publish("b", others[1], no_hash, others[2])

    def letters() -> list[dict[str, Any]]:
        # There are no such files as the others; their dead letters have no hash.
        return [letter for letter in values(bus.of_job("dead-letter", later)) if "sha256" in letter]

    await bus.until(lambda: all(map(outcome, others)) and len(letters()) == 2, "an outcome of each, and two letters")
    # Their keys differ, so they may stand on two partitions: which comes first says nothing.
    sizes = {letter["sha256"]: letter["size"] for letter in letters()}
    assert sizes == {known["sha256"]: "much", no_hash["sha256"]: known["size"]}


async def test_a_content_that_fails_takes_its_copies_along(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    copies = [await waiting(bus, owner, f"copy-{number}.jpg", job) for number in range(3)]
    await tell(bus, owner, "failed-content", stage="embed", error_class="ContentError", reason="too odd for words")
    await bus.until(lambda: len(bus.outcomes(job)) == 3, "three outcomes")
    for copy in copies:
        outcome = bus.outcomes(job)[copy["path"]]
        assert outcome["outcome"] == "failed"
        assert "too odd for words" in outcome["reason"]
    letters = bus.of_job("dead-letter", job)
    assert {letter.key.decode() for letter in letters} == {copy["path"] for copy in copies}
    assert {json.loads(letter.value)["path"] for letter in letters} == {copy["path"] for copy in copies}
    # The claim is gone: whoever comes next tries again.
    later = owner | {"job_id": new_job()}
    await send(bus, later)
    await bus.until(lambda: about(bus, "ml-request", later), "another try")


async def test_a_file_that_fails_lets_the_next_copy_take_over(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    first = await waiting(bus, owner, "first.jpg", job)
    second = await waiting(bus, owner, "second.jpg", job)
    await tell(bus, owner, "failed-file", reason="vanished")
    await bus.until(lambda: len(about(bus, "ml-request", owner)) == 2, "the first copy's request")
    assert values(about(bus, "ml-request", owner))[1]["path"] == first["path"]
    await tell(bus, first, "embedded", content=content())
    await bus.until(lambda: about(bus, "db-write", owner), "the second copy's point")
    (write,) = values(about(bus, "db-write", owner))
    assert (write["path"], write["outcome"]) == (second["path"], "duplicate")


async def test_what_cannot_be_decoded_fails_with_its_content(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(picture(tmp_path / "a.jpg").read_bytes()[:2000])
    held = {"source": "home"}
    broken = hashed_file(job, created, tmp_path / "broken.jpg") | held
    gone = hashed_file(job, created, picture(tmp_path / "gone.jpg")) | held
    (tmp_path / "gone.jpg").unlink()
    await send(bus, broken, gone)
    await bus.until(lambda: len(bus.of_job("image-outcome", job)) == 2, "two image-outcomes")
    told = {value["path"]: value for value in bus.values("image-outcome", job_id=job)}
    assert (told[broken["path"]]["kind"], told[broken["path"]]["stage"]) == ("failed-content", "prepare")
    assert "truncated" in told[broken["path"]]["reason"]
    assert told[gone["path"]]["kind"] == "failed-file"
    for record in bus.of_job("image-outcome", job):
        check_envelope(record, json.loads(record.value)["sha256"], json.loads(record.value))
    assert {file["outcome"] for file in bus.outcomes(job).values()} == {"failed"}
    letters = bus.of_job("dead-letter", job)
    assert {letter.key.decode() for letter in letters} == {broken["path"], gone["path"]}
    assert [letter["source"] for letter in values(letters)] == ["home", "home"]


async def test_a_file_that_changed_is_hashed_again(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    file = hashed_file(job, created, picture(tmp_path / "a.jpg")) | {"source": "home"}
    picture(tmp_path / "a.jpg")
    await send(bus, file)
    await bus.until(lambda: bus.of_job("image-outcome", job), "an image-outcome")
    (record,) = bus.of_job("raw-path", job)
    assert record.key == file["path"].encode()
    again = {name: file[name] for name in ("job_id", "collection", "path", "model_id", "source")}
    assert json.loads(record.value) == again | {"caption": False}
    assert dict(record.headers)["attempt"] == b"2"
    assert bus.values("image-outcome", job_id=job)[0]["kind"] == "failed-file"
    assert (bus.outcomes(job), bus.of_job("dead-letter", job), bus.of_job("ml-request", job)) == ({}, [], [])

    # One that never keeps still is given up.
    await bus.publish("hashed-file", file["sha256"], file, [("attempt", b"5")])
    await bus.until(lambda: bus.outcomes(job), "an outcome")
    assert bus.outcomes(job)[file["path"]]["outcome"] == "failed"


async def test_a_file_that_begins_again_takes_over_from_an_owner_whose_job_has_ended(
    bus: Bus, job: str, created: str, tmp_path: Path
) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    later = new_job()
    copies = [await waiting(bus, owner, f"copy-{number}.jpg", later) for number in range(2)]

    async def again(file: Message) -> None:
        await bus.publish("hashed-file", file["sha256"], file, [("attempt", b"2")])
        await sealed(bus, "hashed-file", "ml-request", later)

    # While the owner's job runs, that one is sent again itself.
    await bus.publish("job-status", job, status_document(job, created))
    await until_known(bus, later, created)
    await again(copies[0])
    assert about(bus, "ml-request", copies[0]) == []

    await bus.publish("job-status", job, status_document(job, created) | {"status": "completed"})
    await until_known(bus, later, created)
    # One that does not begin again waits on: the owner may have told its outcome just before it is known here.
    await send(bus, copies[0])
    await sealed(bus, "hashed-file", "ml-request", later)
    assert about(bus, "ml-request", copies[0]) == []
    await bus.publish("job-status", later, status_document(later, created))
    await until_known(bus, later, created)
    for copy in copies:
        await again(copy)
    (request,) = values(about(bus, "ml-request", copies[0]))
    assert request["path"] == copies[0]["path"]
    await tell(bus, copies[0], "embedded", content=content())
    await bus.until(lambda: about(bus, "db-write", copies[1]), "the other copy's point")
    await sealed(bus, "hashed-file", "ml-request", later)
    written = values(about(bus, "db-write", copies[1]))
    assert {(value["path"], value["outcome"]) for value in written} == {(copies[1]["path"], "duplicate")}


async def until_known(bus: Bus, job: str, collection: str) -> None:
    """Wait until the worker has read what was published to job-status: it shows as a new job is cancelled there."""
    other, number = new_job(), 0
    await bus.publish("job-status", other, status_document(other, collection) | {"cancelling": True})
    while not bus.outcomes(other):
        file = unread_file(other, collection, f"{number}.jpg")
        await send(bus, file)
        await sealed(bus, "hashed-file", "ml-request", other)
        number += 1


async def test_the_copies_of_a_cancelled_job_wait_no_longer(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    later = new_job()
    copy = await waiting(bus, owner, "copy.jpg", later)
    other = await waiting(bus, owner, "other.jpg", job)
    await bus.publish("job-status", later, status_document(later, created) | {"cancelling": True})
    await bus.until(lambda: bus.outcomes(later), "an outcome")
    outcome = bus.outcomes(later)[copy["path"]]
    assert (outcome["outcome"], outcome["reason"], outcome["sha256"]) == ("skipped", "job cancelled", copy["sha256"])
    await tell(bus, owner, "embedded", content=content())
    await bus.until(lambda: about(bus, "db-write", other), "the point of the job that goes on")
    assert about(bus, "db-write", copy) == []


async def test_claims_that_are_cleared_pass_on(bus: Bus, job: str, created: str, tmp_path: Path) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    copy = await waiting(bus, owner, "copy.jpg", job)
    for partition in range(PARTITIONS):
        sweep = {"kind": "claims-cleared", "collection": created}
        await bus.publish("image-outcome", created, sweep, partition=partition)
    await bus.until(lambda: len(about(bus, "ml-request", owner)) == 2, "the copy's request")
    assert values(about(bus, "ml-request", owner))[1]["path"] == copy["path"]


async def test_copies_wait_on_when_the_local_tables_are_lost(
    bus: Bus, job: str, created: str, tmp_path: Path, worker: Worker
) -> None:
    owner = await claimed(bus, job, created, tmp_path / "owner.jpg")
    copy = await waiting(bus, owner, "copy.jpg", job)
    assert worker.stop() == 0
    shutil.rmtree(worker.data / "worker")
    await asyncio.to_thread(worker.start)
    await tell(bus, owner, "embedded", content=content(5))
    await bus.until(lambda: about(bus, "db-write", owner), "the copy's point")
    (write,) = values(about(bus, "db-write", owner))
    assert (write["path"], write["outcome"], write["content"]) == (copy["path"], "duplicate", content(5))


@pytest.mark.parametrize("rendition", ["ab" * 32, None], ids=["known", "of-0.1.0"])
async def test_an_edit_is_passed_on_with_what_is_known_of_the_content_before(
    rendition: str | None, bus: Bus, job: str, created: str, tmp_path: Path
) -> None:
    """Where no rendition is known of it, nothing is: the edit costs a call of ML."""
    former = await claimed(bus, job, created, tmp_path / "former.jpg")
    await waiting(bus, former, "copy.jpg", job)
    known = content(5) | ({} if rendition is None else {"rendition_sha256": rendition})
    await tell(bus, former, "embedded", content=known)
    await bus.until(lambda: about(bus, "db-write", former), "the copy, as its content is known")
    edit = unread_file(job, created, "edit.jpg")
    await bus.publish("hashed-file", former["sha256"], edit | {"by_way_of": former["sha256"]})
    await bus.until(lambda: about(bus, "hashed-file", edit), "the edit on its own partition")
    (passed_on,) = values(about(bus, "hashed-file", edit))
    told = passed_on.pop("former", None)
    assert passed_on == edit | {"caption": False}
    taken = {"sha256": former["sha256"], "rendition_sha256": rendition, "vector": known["vector"]}
    assert told == (None if rendition is None else taken)
