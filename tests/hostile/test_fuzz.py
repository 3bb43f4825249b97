"""Random messages on every topic, made from valid ones: whatever they are, the worker stays and a job ends exactly.

`DARKROOM_FUZZ_SEED` runs a failure again; the seed is printed.
"""

import contextlib
import json
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests import pictures
from tests.hostile.test_topics import valid
from tests.parts import Part, running_kafka
from tests.pipeline import Pipeline
from tests.worker import Worker
from topics.topology import NAMES

MESSAGES = 400
EVENTS: list[dict[str, Any]] = [
    {"type": "queued", "collection": "c"},
    {"type": "scanning", "collection": "c", "walk_id": "w"},
    {"type": "seen", "collection": "c", "files": [{"file_id": "a", "path": "/a"}]},
    {"type": "outcomes", "collection": "c", "files": [{"file_id": "a", "path": "/a", "outcome": "failed"}]},
    {"type": "sealed", "walk_id": "w", "partition": 0, "partitions": 1},
    {"type": "moved", "stage": "hash", "files": 3},
    {"type": "waiting", "stage": "embed", "target": "ml"},
    {"type": "cancel"},
    {"type": "job-failed", "collection": "c", "reason": "r"},
    {"type": "stalled", "reason": "x"},
    {"type": "restarted", "files": 1, "attempt": 1},
]
ODD: list[Any] = [
    None, True, 0, -1, 1 << 31, 1 << 63, 1 << 64, 10**400, 1e308, math.nan, math.inf, "", "x", "/", "//", "/\x01",
    "/a\nb.jpg", "\ud800", "é" * 300, [], {}, [[]], {"a": 1}, "0" * 64, "../..", "stub-1", "/dev/zero", "2020-01-01",
]  # fmt: skip
HEADERS = ("job_id", "walk_id", "files", "attempt", "replay", "file_id", "traceparent", "mark", "letter", "x")
VALUES = (None, b"", b"1", b"-1", b"true", b"\xff", b"9" * 50, b"replayed", b"raw-path")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """Give a broker of its own: what is thrown at it stays in its topics."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


class Fuzz:
    def __init__(self, seed: int, collection: str) -> None:
        self._random = random.Random(seed)
        self._collection = collection
        self._jobs = [f"fuzz-{seed}-{number}" for number in range(10)]

    def message(self) -> tuple[str, bytes | None, bytes, list[tuple[str, bytes | None]]]:
        """Return topic, value, key and headers."""
        choose = self._random
        topic, job = choose.choice(NAMES), choose.choice(self._jobs)
        value: Any = valid(topic, job, self._collection)
        if topic == "job-event":
            value = choose.choice(EVENTS) | {"job_id": job, "at": time.time()}
        if choose.random() < 0.85:
            value = self._spoilt(value)
        raw: bytes | None = json.dumps(value).encode()
        if raw and choose.random() < 0.05:
            raw = raw[: choose.randrange(len(raw))]
        elif choose.random() < 0.05:
            raw = None
        headers = [(choose.choice(HEADERS), choose.choice((*VALUES, job.encode()))) for _ in range(choose.randrange(4))]
        return topic, raw, choose.choice((b"", b"k", job.encode(), b"\xff")), headers

    def _spoilt(self, value: dict[str, Any]) -> dict[str, Any]:
        choose = self._random
        spoilt = {name: self._spoilt_value(found) for name, found in value.items()}
        if choose.random() < 0.2:
            spoilt.pop(choose.choice(list(spoilt)))
        if choose.random() < 0.1:
            spoilt[choose.choice(["roots", "caption", "path_b64", "size"])] = choose.choice(ODD)
        return spoilt

    def _spoilt_value(self, value: Any) -> Any:
        if self._random.random() > 0.3:
            return value
        if isinstance(value, dict) and value and self._random.random() < 0.7:
            return self._spoilt(value)
        return self._random.choice(ODD)


async def test_random_messages_stop_nobody(
    pipeline: Pipeline, worker: Worker, kafka: Part, collection: str, tmp_path: Path
) -> None:
    seed = int(os.environ.get("DARKROOM_FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"DARKROOM_FUZZ_SEED={seed}")  # noqa: T201 - shown when the test fails
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    fuzz = Fuzz(seed, collection)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
    await producer.start()
    try:
        for _ in range(MESSAGES):
            topic, value, key, headers = fuzz.message()
            with contextlib.suppress(AssertionError):  # Kafka's own client refuses a message without anything
                await producer.send(topic, value, key=key, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()
    pictures.write_new(tmp_path / "photos", 5)
    status = await pipeline.run(tmp_path / "photos", collection=collection)
    assert status["outcomes"]["stored"] == 5
    assert not worker.has_ended(), worker.log[-2000:]
