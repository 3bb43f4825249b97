"""The description of the topics is true: every message of real jobs on a real broker is as it says."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import ConsumerRecord
from jsonschema_rs import Draft7Validator

from tests import pictures
from tests.bus import Bus
from tests.pipeline import Pipeline
from topics import bundle
from topics.asyncapi import document
from topics.cloud_event import PREFIX
from topics.dead_letter import DEAD_LETTER, Mark
from topics.raw_path import RAW_PATH
from topics.record import Topic
from topics.topology import TOPICS

DOCUMENT = json.loads(json.dumps(document()))
BUNDLED = {topic.name: topic for topic in TOPICS if topic.has_bundles}
PUBLIC = {"scan-request", "raw-path", "job-status", "dead-letter"}


def kinds(record: ConsumerRecord) -> list[str]:
    """Return the kinds of message, of those that the channel names, that this one is."""
    channel = DOCUMENT["channels"][record.topic]
    return [name for name in channel["messages"] if fits(record, DOCUMENT["components"]["messages"][name])]


def fits(record: ConsumerRecord, message: dict[str, Any]) -> bool:
    try:
        value = None if record.value is None else json.loads(record.value)
    except ValueError:
        value = "some bytes"  # only a dead letter may be no JSON
    headers = {name: value.decode() for name, value in record.headers}
    known = headers.keys() <= message["headers"]["properties"].keys()
    return known and valid(value, message["payload"]) and valid(headers, message["headers"])


def valid(value: Any, schema: dict[str, Any]) -> bool:
    return Draft7Validator(schema | {"components": DOCUMENT["components"]}).is_valid(value)


def message_of(topic: Topic[Any], records: list[ConsumerRecord], files: int) -> Any:
    """Return a message about so many of the files that came; how many Darkroom put into one is a matter of time."""
    entries = [
        entry
        for record in records
        if record.topic == topic.name and record.value is not None
        for entry in bundle.decode(topic, record.value, record.headers)
    ]
    apart = [bundle.take_apart(b"", entry.record, entry.headers) for entry in entries if entry.record is not None]
    alike = apart[-1][0]
    value, headers = bundle.message(topic, alike, [own for like, own in apart if like == alike][-files:])
    return type("Message", (), {"topic": topic.name, "value": value, "headers": headers})


async def test_every_message_is_of_a_kind_that_is_described(
    pipeline: Pipeline, kafka: Any, collection: str, tmp_path: Path
) -> None:
    pictures.write(tmp_path, range(8100, 8124))
    (tmp_path / "copy.jpg").write_bytes(pictures.jpeg(8100))
    (tmp_path / "cut.jpg").write_bytes(pictures.jpeg(8105)[:2000])
    (tmp_path / "notes.txt").touch()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    httpx.post(f"{pipeline.ml.url}/control", json={"fail_images": ["8103.jpg"]}).raise_for_status()
    async with Bus(kafka.address, *DOCUMENT["channels"]) as bus:
        job_id = await pipeline.scan(tmp_path, collection=collection)
        await bus.finished(job_id)
        # A point whose collection was deleted meanwhile: its content is told all the same.
        lost = bus.values("db-write", job_id=job_id)[0] | {"collection": f"{collection}-gone"}
        await pipeline.bus.publish("db-write", lost["sha256"], lost)
        await bus.until(lambda: bus.values("image-outcome", job_id=job_id, kind="embedded"), "the content")
        await pipeline.bus.publish("raw-path", job_id, b"no JSON", [("job_id", job_id.encode())])
        await bus.publish("dead-letter", job_id, None, Mark("dropped", 7).headers(), 0)
        await bus.until(lambda: any(r.value == b"no JSON" for r in bus.of_job("dead-letter", job_id)), "its letter")
        await bus.until(lambda: any(record.value is None for record in bus.records if record.topic == "db-write"), "")
        # What the test published itself is not the system's.
        records = [one for one in bus.messages if one.topic != "scan-request" and one.value != b"no JSON"]
        letters = [one for one in bus.messages if one.topic == "dead-letter"]
        alone = [one for one in bus.records if one.topic in BUNDLED and one.value != b"no JSON"]
    found = Counter(name for record in records + alone for name in kinds(record))
    strange = [(one.topic, one.value, one.headers) for one in records if not kinds(one)]
    assert strange == []
    assert found.keys() >= {
        "RawPath", "HashedFile", "MLRequest", "DBWrite", "EndOfWalk", "Embedded", "Stored", "FailedContent",
        "Scanning", "Seen", "Outcomes", "Sealed", "JobStatus", "DeadLetter", "Decision",
        "RawPathBundle",
    }  # fmt: skip
    for bundled in BUNDLED.values():
        for files in (1, 2):
            assert len(kinds(message_of(bundled, records, files))) == 1, (bundled.name, files)
    assert all("DeadLetter" in kinds(letter) for letter in letters if letter.value is not None)

    events = [one for one in records + letters if any(name.startswith(PREFIX) for name, _ in one.headers)]
    assert {event.topic for event in events} == PUBLIC - {"scan-request"}
    for topic in PUBLIC - {"scan-request"}:
        of_topic = [one for one in events if one.topic == topic]
        names = [dict(one.headers)["ce_id"] for one in of_topic]
        assert len(set(names)) == len({(one.partition, one.offset) for one in of_topic})
        assert {dict(one.headers)["ce_type"] for one in of_topic} == {f"darkroom.{topic}".encode()}
    for one in records:
        if one.topic in PUBLIC and one.value is not None:
            assert one in events


@pytest.mark.parametrize(
    ("topic", "value", "headers"),
    [
        ("raw-path", b'{"job_id": "j", "collection": "c"}', []),
        ("job-status", b"{}", []),
        ("raw-path", None, [("job_id", b"j")]),
        ("raw-path", b'{"job_id": "j", "collection": "c", "files": []}', []),
        ("raw-path", b'{"job_id": "j", "collection": "c", "files": [{"size": 1}]}', []),
        ("hashed-file", b'{"job_id": "j", "collection": "c", "model_id": "m", "files": [{"path": "/a"}]}', []),
        ("job-event", b'{"type": "unheard", "job_id": "j", "at": 1}', []),
    ],
)
def test_what_is_not_described_does_not_fit(topic: str, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    record: Any = type("Message", (), {"topic": topic, "value": value, "headers": headers})
    assert kinds(record) == []


@pytest.mark.parametrize("topic", BUNDLED)
def test_every_topic_of_files_has_both_forms(topic: str) -> None:
    bundles = [name for name in DOCUMENT["channels"][topic]["messages"] if name.endswith("Bundle")]
    assert len(bundles) == 1


def test_the_example_of_many_files_is_read_as_two() -> None:
    (example,) = DOCUMENT["components"]["messages"]["RawPathBundle"]["examples"]
    headers = [(name, value.encode()) for name, value in example["headers"].items()]
    value = json.dumps(example["payload"]).encode()
    record: Any = type("Message", (), {"topic": "raw-path", "value": value, "headers": headers})
    assert kinds(record) == ["RawPathBundle"]
    files = [entry.record for entry in bundle.decode(RAW_PATH, value, headers)]
    assert [file and file.path for file in files] == ["/photos/2024/a.jpg", "/photos/2024/b.jpg"]


def test_every_topic_is_described() -> None:
    assert DOCUMENT["channels"].keys() == {*(topic.name for topic in TOPICS), DEAD_LETTER}
