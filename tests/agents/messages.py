"""The messages that the stages send each other, as another program would write them, and checks of theirs."""

import base64
import hashlib
import os
import random
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from rules.identity import file_id, new_id, point_id
from tests import pictures
from tests.bus import PARTITIONS, Bus
from topics.sentinel import sentinel_headers

MODEL = "stub-1"
Message = dict[str, Any]


def partition_of(key: bytes) -> int:
    """Return the partition that every Kafka client chooses for a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % PARTITIONS)


def id_of(message: Message) -> str:
    return file_id(message["job_id"], message["collection"], message["path"].encode())


def picture(path: Path) -> Path:
    """Write a picture that no other test has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pictures.jpeg(random.SystemRandom().randrange(1 << 48)))
    return path


def raw_path(job: str, collection: str, path: Path) -> Message:
    return {"job_id": job, "collection": collection, "path": str(path), "model_id": MODEL}


def hashed_file(job: str, collection: str, path: Path, content: bytes | None = None) -> Message:
    """Return the message of the file at `path`, or of one that held `content`."""
    if content is None:
        content = path.read_bytes()
        mtime_ns = path.stat().st_mtime_ns
    else:
        mtime_ns = 1
    sha256 = hashlib.sha256(content).hexdigest()
    return raw_path(job, collection, path) | {"sha256": sha256, "size": len(content), "mtime_ns": mtime_ns}


def unread_file(job: str, collection: str, name: str) -> Message:
    """Return the message of a file with a new content that no stage behind `prepare` will look for."""
    return hashed_file(job, collection, Path("/elsewhere") / name, os.urandom(16))


def metadata() -> Message:
    return {"width": 320, "height": 240, "format": "JPEG", "mode": "RGB", "file_size": 1000, "iso": 200}


def content(seed: int = 0) -> Message:
    vector = [0.0] * 512
    vector[seed] = 1.0
    return {"vector": vector, "metadata": metadata(), "thumbnail_base64": base64.b64encode(b"thumbnail").decode()}


def ml_request(file: Message) -> Message:
    rendition = base64.b64encode(os.urandom(64)).decode()
    thumbnail = base64.b64encode(b"thumbnail").decode()
    return file | {"metadata": metadata(), "thumbnail_base64": thumbnail, "rendition_base64": rendition}


def db_write(file: Message, outcome: str = "stored", seed: int = 0) -> Message:
    return file | {"point_id": point_id(file["sha256"]), "outcome": outcome, "content": content(seed)}


def headers(record: ConsumerRecord) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def check_envelope(record: ConsumerRecord, key: str, file: Message) -> None:
    """Check key, partition and headers of a message about a file."""
    assert record.key == key.encode()
    assert record.partition == partition_of(record.key)
    assert headers(record) == {
        "job_id": file["job_id"],
        "file_id": id_of(file),
        "model_id": MODEL,
        "content-type": "application/json",
    }


async def sealed(bus: Bus, topic: str, passed_to: str, job: str) -> None:
    """Send a tombstone to each partition of a topic; each must come out on the same one of the next topic."""
    walk_id = new_id()
    for partition in range(PARTITIONS):
        await bus.publish(topic, job, None, sentinel_headers(job, walk_id, partition), partition)

    def passed() -> dict[int, ConsumerRecord]:
        records = [record for record in bus.of_job(passed_to, job) if headers(record).get("walk_id") == walk_id]
        assert all(record.value is None for record in records)
        return {record.partition: record for record in records}

    await bus.until(lambda: len(passed()) == PARTITIONS, f"the tombstones on {passed_to}")
    for partition, record in passed().items():
        assert record.key == job.encode()
        assert headers(record) == {
            "job_id": job,
            "walk_id": walk_id,
            "files": str(partition),
            "content-type": "application/json",
        }
