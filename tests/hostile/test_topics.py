"""Whatever stands on a topic, its neighbours go on: the worker stays, the message is kept, jobs end exactly."""

import contextlib
import json
import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord

from core.settings import STAGES, Settings
from embedded.ports import free_port
from tests import pictures
from tests.agents.messages import Message, content, db_write, hashed_file, headers, ml_request, partition_of, raw_path
from tests.api.service import Service, eventually, serving
from tests.batches import damage, with_bad_checksum, with_codec
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.dead_letter import KEPT_BYTES, UNREADABLE
from topics.limits import MAX_MESSAGE_BYTES
from topics.sentinel import sentinel_headers
from topics.topology import topics_read

MIB = 1 << 20
STAGE_OF = {topic: stage for stage in STAGES for topic in topics_read(stage)}
HUGE = "x" * 900_000


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, object]:
    return {"metrics_port": free_port()}


@dataclass
class Odd:
    """A message as no program of ours would write it."""

    name: str
    value: bytes | None
    key: bytes | None = b"odd"
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    compression: str | None = None

    @property
    def is_too_large(self) -> bool:
        """Tell whether it is more than a message may have; compression lets it through."""
        return len(self.value or b"") + sum(len(value) for _, value in self.headers) > MAX_MESSAGE_BYTES

    def kept(self) -> bytes | None:
        """Return what its dead letter is to hold."""
        return self.value[:KEPT_BYTES] if self.value and self.is_too_large else self.value


def valid(topic: str, job: str, collection: str) -> Message:
    """Return a message that validates; its file does not exist."""
    file = hashed_file(job, collection, Path("/nowhere/a.jpg"), os.urandom(8))
    match topic:
        case "scan-request":
            return {"job_id": job, "collection": collection, "sources": ["/nowhere"]}
        case "raw-path" | "hashed-file":
            return file
        case "ml-request":
            return ml_request(file)
        case "db-write":
            return db_write(file)
        case "image-outcome":
            return file | {"kind": "embedded", "content": content()}
        case _:
            return {"type": "seen", "job_id": job, "at": 1, "collection": collection, "files": []}


def odd_messages(topic: str, job: str, collection: str) -> Iterator[Odd]:
    """Yield what does not validate on a topic."""
    good = valid(topic, job, collection)
    for name, value in {
        "no JSON": b"{",
        "nothing": b"",
        "no object": b"[]",
        "null": b"null",
        "not UTF-8": b'{"job_id":"\xff"}',
        "deep": b"[" * 100_000,
        "lone surrogate": json.dumps(good | {"collection": "\ud800"}).encode(),
        "at the limit": b"{" + b"x" * (MAX_MESSAGE_BYTES - 200),
        "long error": json.dumps(good | {"job_id": HUGE}).encode(),
        "long collection": json.dumps(good | {"collection": HUGE}).encode(),
    }.items():
        yield Odd(name, value)
    for name in good:
        yield Odd(f"{name} missing", json.dumps({k: v for k, v in good.items() if k != name}).encode())
        yield Odd(f"{name} of another type", json.dumps(good | {name: [["wrong"]]}).encode())
    yield Odd("compressed", b"[" * (8 * MIB), compression="gzip")
    yield Odd("without a key", b"{", key=None)
    yield Odd("a job id that is none", json.dumps(good | {"job_id": "../x"}).encode())
    if "path" in good:
        yield Odd("a relative path", json.dumps(good | {"path": "a.jpg"}).encode())
        yield Odd("a long relative path", json.dumps(good | {"path": "a" * 900_000}).encode())
        yield Odd("a path with a NUL", json.dumps(good | {"path": "/a\0.jpg"}).encode())
        yield Odd("a path in wrong base64", json.dumps(good | {"path_b64": "!"}).encode())
        yield Odd("roots without end", json.dumps(good | {"roots": ["/" + "r" * 300_000]}).encode())
    yield from odd_requests(topic, job, collection)
    if topic not in {"job-event", "scan-request", "image-outcome"}:
        yield Odd("an end marker of nobody", None)
        yield Odd("an end marker of no walk", None, headers=[("job_id", job.encode())])
        yield Odd("an end marker with a long walk", None, headers=sentinel_headers(job, "w" * 500_000, None))
        yield Odd(
            "a compressed end marker", None, headers=sentinel_headers(job, "w" * (4 * MIB), None), compression="gzip"
        )


PURGE = {"kind": "purge", "sha256": "0" * 64, "collection": "odd", "gone_at": "2026-01-01T00:00:00+00:00", "at": 1}
LEFT = {"path": "/a.jpg", "sequence": 0}
SWEEP = {"job_id": "odd", "walk_id": "w", "source": "odd", "collection": "odd", "folder": "/nowhere"}


def odd_requests(topic: str, job: str, collection: str) -> Iterator[Odd]:
    """Yield what asks stages for something beside files, and does not validate."""
    path = {"kind": "path", "path": "/a.jpg", "at": 1}
    source = {"kind": "source", "source": "odd", "collection": collection, "folder": "/a", "at": 1}
    forget = {"kind": "forget-picture", "sha256": "0" * 64, "collection": collection, "at": 1}
    erase = PURGE | {"kind": "erase", "why": "purge"}
    sweep = SWEEP | {"job_id": job, "collection": collection}
    of_headers: dict[str, list[Any]] = {
        "forget": [path | {"kind": "nothing"}, path | {"path_b64": "!"}, path | {"path": "a.jpg"},
                   path | {"path": "/a\0"}, path | {"at": float("nan")}, path | {"at": 1e300},
                   path | {"kind": "retire"}, source | {"folder": "a"}, source | {"after": "!"},
                   source | {"source": "../odd"}, {"kind": "collection", "collection": None}, [], HUGE],
        "sweep": [sweep | {"folder": "a"}, sweep | {"folder": "/a\0b"}, sweep | {"departed": -1},
                  sweep | {"after": "!"}, sweep | {"phase": "nothing"}, {}, HUGE],
        "sweep-behind": [sweep | {"folder": "/a\0b"}],
        "known": [{"job_id": job, "walk_id": "w", "collection": collection, "paths": [[wrong, "0" * 64]]}
                  for wrong in ("!", "", "YS5qcGc=", "L2EAYg==")],
    }  # fmt: skip
    of_values: dict[str, list[Any]] = {
        "image-outcome": [
            PURGE | {"gone_at": "long ago"}, PURGE | {"at": float("inf")}, forget | {"left": LEFT | {"path_b64": "!"}},
            forget | {"left": LEFT | {"path": "a.jpg"}}, forget | {"at": 1e300}, forget | {"sha256": "0"},
            {"kind": "forget-collection", "collection": collection, "at": 1, "after": "eHx5"},
            erase | {"kind": "erased"}, erase | {"kind": "erased", "is_gone": True, "gone_at": None},
            {"kind": "tally", "job_id": job, "collection": collection, "moved": -1},
            {"kind": "left-end", "job_id": job, "round": 1, "sent_from": -1},
            {"kind": "compare", "job_id": job, "sweep": sweep, "partition": 99},
            {"kind": "compare", "job_id": job, "sweep": sweep | {"folder": "a"}, "partition": 0},
            {"kind": "departed", "job_id": job, "collection": collection, "sha256": "0" * 64, "reason": "gone"},
            {"kind": "of a newer program"},
        ],
        "db-write": [
            erase | {"gone_at": None}, erase | {"why": "nothing"}, erase | {"at": -1},
            {"kind": "left", "job_id": job, "collection": collection, "sha256": "0" * 64, "reason": "gone"} | LEFT
            | {"sequence": -1},
            {"kind": "left-end", "job_id": job, "round": -1, "sent_from": 0},
            {"kind": "tally", "job_id": job}, {"kind": "of a newer program"},
        ],
        "job-event": [
            {"job_id": job, "at": 1} | fields for fields in (
                {"type": "sweeping", "sweep": sweep | {"folder": "a"}, "pictures": 1},
                {"type": "swept", "partition": 0, "partitions": 0},
                {"type": "tallied", "partition": 0, "moved": 1 << 70},
                {"type": "left-all", "round": 1, "sent_from": 0, "partition": -1},
            )
        ],
    }  # fmt: skip
    for name, wrong in of_headers.items():
        for number, each in enumerate(wrong if topic == "raw-path" else ()):
            marks = [*sentinel_headers(job, "w", None), (name, json.dumps(each).encode())]
            yield Odd(f"header {name} {number}", None, headers=marks)
    for number, each in enumerate(of_values.get(topic, ())):
        yield Odd(f"request {number}", json.dumps(each).encode())


# What a message may leave out, or carries without being read.
OPTIONAL = {"raw-path": {"size", "mtime_ns", "model_id", "sha256"}}
# Its end markers say no more than that it is time.
UNREAD_MARKERS = "db-write"


def is_refused(topic: str, odd: Odd) -> bool:
    """Tell whether an odd message cannot be taken on this topic."""
    if odd.value is None and topic == UNREAD_MARKERS:
        return odd.compression is not None
    optional = OPTIONAL.get(topic, set())
    if odd.name.endswith(" missing"):
        return odd.name.removesuffix(" missing") not in optional
    return odd.name != "sha256 of another type" or "sha256" not in optional


@pytest.mark.parametrize("topic", STAGE_OF)
async def test_what_does_not_validate_leaves_and_its_neighbours_go_on(
    topic: str, pipeline: Pipeline, worker: Worker, kafka: Part, collection: str, tmp_path: Path
) -> None:
    job = f"odd-{uuid.uuid4().hex[:8]}"
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    odd = [each for each in odd_messages(topic, job, collection) if is_refused(topic, each)]
    sent = await publish(kafka, topic, odd, partition_of(b"odd"))
    pictures.write_new(tmp_path / "photos", 3)
    status = await pipeline.run(tmp_path / "photos", collection=collection)
    assert status["outcomes"]["stored"] == 3
    letters: dict[int, ConsumerRecord] = {}

    def all_arrived() -> bool:
        for record in pipeline.bus.records:
            told = headers(record) if record.topic == "dead-letter" else {}
            if told.get("__connect.errors.topic") == topic:
                letters[int(told["__connect.errors.offset"])] = record
        return letters.keys() >= sent.keys()

    with contextlib.suppress(AssertionError):
        await pipeline.bus.until(all_arrived, "the dead letters")
    assert [each.name for offset, each in sent.items() if offset not in letters] == []
    for offset, each in sent.items():
        letter = letters[offset]
        assert letter.value == each.kept(), each.name
        told = headers(letter)
        assert told["__connect.errors.stage"] == STAGE_OF[topic]
        assert told["__connect.errors.exception.message"], each.name
        assert told["restart-topic"] == ("" if each.is_too_large else topic), each.name
    assert not worker.has_ended(), worker.log[-2000:]


async def publish(kafka: Part, topic: str, messages: list[Odd], partition: int | None = None) -> dict[int, Odd]:
    """Send messages; return them by their offsets."""
    sent: dict[int, Odd] = {}
    for compression in (None, "gzip"):
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.address, max_request_size=64 * MIB, compression_type=compression
        )
        await producer.start()
        try:
            for each in messages:
                if each.compression == compression:
                    record = await producer.send_and_wait(
                        topic, each.value, key=each.key, headers=each.headers, partition=partition
                    )
                    sent[record.offset] = each
        finally:
            await producer.stop()
    return sent


@pytest.mark.parametrize(
    "change", [with_bad_checksum, lambda raw: with_codec(raw, 6)], ids=["a wrong checksum", "an unknown compression"]
)
async def test_a_batch_that_nobody_can_read_is_put_aside_and_its_neighbours_go_on(
    change: Callable[[bytes], bytes],
    pipeline: Pipeline,
    worker: Worker,
    service: Service,
    kafka: Part,
    collection: str,
    tmp_path: Path,
) -> None:
    """It is damaged on the broker's disk, before anyone reads it: until a transaction ends, nobody does."""
    job_id, name = f"job-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    before = unreadable(worker)
    photos = pictures.write_new(tmp_path / "photos", 3)
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id=name) as producer:
        await producer.begin_transaction()
        sent = [await producer.send_and_wait(**of_file(path, job_id, collection)) for path in photos]
        damage(kafka.log.parent / "data" / "logs" / "raw-path-1", sent[1].offset, change)
        await producer.commit_transaction()
    await pipeline.bus.close_job(job_id)
    status = account(await pipeline.bus.finished(job_id))
    assert (status["outcomes"]["stored"], status["total_files"]) == (2, 2)
    assert (await pipeline.points(collection)).keys() == {str(photos[0]), str(photos[2])}

    offset = sent[1].offset
    said = [line for line in worker.lines() if line["event"] == "messages-unreadable"]
    assert [(each["topic"], each["partition"], each["first_offset"], each["last_offset"]) for each in said][-1:] == [
        ("raw-path", 1, offset, offset)
    ]
    assert unreadable(worker) - before == 1

    async def shown() -> list[dict[str, Any]]:
        found = await service.get("dead-letters", error_class=UNREADABLE, limit=1000)
        return [letter for letter in found["letters"] if f"offsets {offset} to {offset}," in letter["message"]]

    (letter,) = await eventually(shown)
    assert (letter["stage"], letter["state"]) == ("hash", "open")
    assert letter["message"].startswith("1 message of raw-path, partition 1, offsets ")
    assert not worker.has_ended()


def of_file(path: Path, job_id: str, collection: str) -> dict[str, Any]:
    return {
        "topic": "raw-path",
        "key": str(path).encode(),
        "value": json.dumps(raw_path(job_id, collection, path)).encode(),
        "headers": [("job_id", job_id.encode())],
        "partition": 1,
    }


def unreadable(worker: Worker) -> float:
    """Return how many messages the worker has counted as unreadable."""
    (started,) = [line for line in worker.lines() if line["event"] == "worker-started"]
    (counted,) = re.findall(
        r'^darkroom_unreadable_messages_total{messaging_destination_name="raw-path"} (\S+)$',
        httpx.get(started["metrics"]).text,
        re.MULTILINE,
    )
    return float(counted)


@pytest.fixture
async def service(kafka: Part, qdrant: Part, ml: Part, tmp_path: Path) -> AsyncIterator[Service]:
    settings = Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path / "api",
        ingest_roots=(tmp_path,),
    )
    async with serving(settings) as running:
        yield running


def odd_documents() -> Iterator[Odd]:
    """Yield what is no status document, or one that nobody could have written."""
    yield from odd_messages("job-status", "odd", "odd")
    document = {
        "job_id": "odd", "status": "running", "collection": "odd", "progress": 0, "total_files": 1 << 80,
        "total_known": False, "processed_files": -1, "cached_files": 0, "failed_files": 0, "outcomes": {},
        "stages": {}, "rate": float("nan"), "ml_images_sent": 0, "message": "", "logs": [], "offset": 1 << 70,
    }  # fmt: skip
    yield Odd("numbers beyond all bounds", json.dumps(document).encode())
    yield Odd("a tombstone for nobody", None)
    yield Odd("a tombstone under a key that is no text", None, key=b"\xff")
    yield Odd("a stage that is none", json.dumps(document | {"stages": {"nothing": {}}}).encode())


async def test_the_readers_of_jobs_go_on(
    pipeline: Pipeline, worker: Worker, service: Service, kafka: Part, collection: str, tmp_path: Path
) -> None:
    """The API's view and the stages' watch of jobs read past anything on job-status, job-event and dead-letter."""
    for topic in ("job-status", "job-event", "dead-letter"):
        # Kafka itself refuses what has no key on a compacted topic.
        await publish(kafka, topic, [each for each in odd_documents() if each.key or topic != "job-status"])
    mark = [("mark", b"replayed"), ("letter", b"9" * 18)]
    await publish(kafka, "dead-letter", [Odd("a mark of no letter", None, headers=mark)])
    pictures.write_new(tmp_path / "photos", 2)
    status = await pipeline.run(tmp_path / "photos", collection=collection)
    assert (await service.status(status["job_id"], offset=status["offset"]))["outcomes"]["stored"] == 2
    letters = await service.get("dead-letters", limit=100)
    assert len(letters["letters"]) > 10
    assert (await service.get("ingest/recent_jobs"))["jobs"]

    # The stages still hear of a cancel.
    job_id = f"job-{uuid.uuid4().hex[:12]}"
    paused = {"type": "pause", "job_id": job_id, "at": 1}
    await pipeline.bus.publish("job-event", job_id, paused)
    await pipeline.bus.until(lambda: pipeline.bus.values("job-status", job_id=job_id, paused=True), "the pause")
    request = {"job_id": job_id, "collection": collection, "sources": [str(tmp_path / "photos")]}
    await pipeline.bus.publish("scan-request", job_id, request)
    await pipeline.bus.until(lambda: pipeline.bus.events(job_id, "scanning"), "the scan")
    await pipeline.bus.publish("job-event", job_id, paused | {"type": "cancel"})
    assert (await pipeline.bus.finished(job_id))["status"] == "cancelled"
    assert not worker.has_ended()


async def test_what_is_no_source_is_said_and_passed_over(
    pipeline: Pipeline, worker: Worker, service: Service, kafka: Part, collection: str, tmp_path: Path
) -> None:
    """Also by what replays and what looks: the collection that was forgotten has no name."""
    name, folder = f"s-{uuid.uuid4().hex[:12]}", tmp_path / "photos"
    pictures.write_new(folder, 1)
    source = {"name": name, "folder": str(folder), "collection": collection, "roots": [str(tmp_path)]}
    wrong: list[Any] = [
        source | {"folder": "a"}, source | {"folder": "/a\0"}, source | {"every_seconds": 0},
        source | {"name": "other"}, source | {"watch": []}, source | {"name": "../x"}, [], "", HUGE, {"name": name},
    ]  # fmt: skip
    odd = [Odd(f"{number}", json.dumps(each).encode(), key=name.encode()) for number, each in enumerate(wrong)]
    odd += [Odd("no JSON", b"{", key=name.encode()), Odd("a key that is no text", b"{}", key=b"\xff"),
            Odd("nobody's end", None, key=b"\xff"), Odd("no key", b"{}", key=b"")]  # fmt: skip
    for topic in ("source", "source-status", "forgotten"):
        await publish(kafka, topic, odd)
    # What can be read and makes no sense: a look at it fails.
    pattern = source | {"name": f"{name}-p", "exclude": ["["]}
    links = {"name": name, "mounts": [], "links": [["/a\0b", "x", []]]}
    watching = {"name": name, "watching": {"state": "watching", "folders": -1}}
    of_source = {name: source, f"{name}-p": pattern}
    of_status = {f"{name}/mounts": links, f"{name}/watch": watching}
    for topic, documents in (("source-status", of_status), ("source", of_source)):
        told = [Odd(key, json.dumps(each).encode(), key=key.encode()) for key, each in documents.items()]
        await publish(kafka, topic, told)

    def looked() -> list[dict[str, Any]]:
        return [s for s in pipeline.bus.values("job-status", source=name) if s.get("end_time")]

    (status, *_) = await pipeline.bus.until(looked, "the look at the source")
    # The other source has the same folder: one of the two is first.
    assert (status["outcomes"]["stored"] + status["outcomes"]["cached"], status["source"]) == (1, name)
    assert [one["name"] for one in (await service.get("sources"))["sources"]].count(name) == 1
    assert {line["name"] for line in worker.lines() if line["event"] == "source-ignored"} >= {name}
    assert not worker.has_ended()


async def test_fields_that_are_not_known_are_ignored(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    (photo,) = pictures.write_new(tmp_path, 1)
    job_id = f"job-{uuid.uuid4().hex[:12]}"
    message = {"job_id": job_id, "collection": collection, "path": str(photo), "of a newer program": {"a": [1]}}
    await pipeline.bus.publish("raw-path", str(photo), message, [("a header of it", b"\xff")])
    await pipeline.bus.close_job(job_id)
    assert account(await pipeline.bus.finished(job_id))["outcomes"]["stored"] == 1


@pytest.mark.parametrize("fields", [{"collection": "no such name/.."}, {"model_id": "another-model"}])
async def test_a_file_for_what_cannot_be_fails_and_holds_nobody_up(
    fields: dict[str, str], pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    """Also in the middle of a job that runs: a file of another model would have ML waited for in vain."""
    photos = pictures.write_new(tmp_path / "photos", 3)
    (odd,) = pictures.write_new(tmp_path / "odd", 1)
    job_id = f"job-{uuid.uuid4().hex[:12]}"
    message: dict[str, Any] = {"job_id": job_id, "collection": collection, "model_id": "stub-1"}
    for path in photos:
        await pipeline.bus.publish("raw-path", str(path), message | {"path": str(path)})
    await pipeline.bus.until(lambda: pipeline.bus.values("job-status", job_id=job_id), "the job")
    await pipeline.bus.publish("raw-path", "odd", message | {"path": str(odd)} | fields)
    await pipeline.bus.close_job(job_id)
    status = account(await pipeline.bus.finished(job_id))
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (3, 1)
    (failed,) = [file for file in pipeline.bus.outcomes(job_id).values() if file["outcome"] == "failed"]
    assert next(iter(fields.values()))[:10] in failed["reason"]


async def test_end_markers_of_nobody_and_those_that_come_again_change_nothing(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    pictures.write_new(tmp_path, 2)
    await pipeline.bus.close_job(f"nobody-{uuid.uuid4().hex[:8]}")
    status = await pipeline.run(tmp_path, collection=collection)
    job_id = status["job_id"]
    markers = [record for record in pipeline.bus.of_job("raw-path", job_id) if record.value is None]
    for topic in ("raw-path", "hashed-file", "ml-request", "db-write"):
        for record in markers:
            await pipeline.bus.publish(topic, job_id, None, list(record.headers), record.partition)
    # Another walk ends on some partitions, again and again.
    for number in range(60):
        await pipeline.bus.publish("raw-path", job_id, None, sentinel_headers(job_id, f"again-{number}", 1), 0)
    other = await pipeline.run(tmp_path, collection=collection)
    assert other["outcomes"]["unchanged"] == 2

    def told_after() -> list[dict[str, Any]]:
        return [s for s in pipeline.bus.values("job-status", job_id=job_id) if s["offset"] >= status["offset"] + 60]

    (again, *_) = await pipeline.bus.until(told_after, "the status after the markers")
    # The gauges of the stages may follow late.
    for name in status.keys() - {"offset", "logs", "stages"}:
        assert again[name] == status[name], name


async def test_a_job_id_that_is_used_again_keeps_the_account_exact(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    pictures.write_new(tmp_path / "first", 2)
    pictures.write_new(tmp_path / "second", 3)
    job_id = (await pipeline.run(tmp_path / "first", collection=collection))["job_id"]
    other = {"job_id": job_id, "collection": f"{collection}-2", "sources": [str(tmp_path / "second")]}
    await pipeline.bus.publish("scan-request", job_id, other)

    def ended() -> list[dict[str, Any]]:
        return [s for s in pipeline.bus.values("job-status", job_id=job_id) if s["processed_files"] == 5]

    (status, *_) = await pipeline.bus.until(ended, "five files")
    assert account(status)["outcomes"]["stored"] == 5
    assert len(await pipeline.points(collection)) == 2
    assert len(await pipeline.points(f"{collection}-2")) == 3
