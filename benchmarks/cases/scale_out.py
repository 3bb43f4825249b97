"""Workers of one stage that only waits: twice as many must do twice as much, and none of it twice."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from statistics import median

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from benchmarks.measure import Result
from benchmarks.running import ROOT, until_answers
from core.settings import Settings
from embedded import ports
from gateways.kafka import groups
from gateways.kafka.client import asking
from topics.admin import create_topics
from topics.bundle import decode
from topics.db_write import DB_WRITE, DBWrite

WORKERS = (1, 2, 4, 8)
PARTITIONS = 8
SECONDS_PER_IMAGE = 0.05
# What one worker can do: two batches at a time.
IMAGES_PER_WORKER = 2 * 32 * 5


class _Parts:
    """A broker, the ML stub, and the workers of one stage."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self._folder = folder
        self._stack = stack
        kafka_port, ml_port, qdrant_port = ports.free_ports(3)
        self.kafka_port = kafka_port
        self.brokers = f"127.0.0.1:{kafka_port}"
        self.ml_url = f"http://127.0.0.1:{ml_port}"
        self.qdrant_url = f"http://127.0.0.1:{qdrant_port}"
        self.run("kafka", "-m", "embedded.kafka", "--data", str(folder / "kafka"), "--port", str(kafka_port))
        self.run("qdrant", "-m", "embedded.qdrant", "--data", str(folder / "qdrant"), "--port", str(qdrant_port))
        self.run("ml", "-m", "benchmarks.ml_stub", "--port", str(ml_port))

    def run(self, name: str, *arguments: str) -> None:
        environment = os.environ | {
            "TRUST_KAFKA": "1",
            "KAFKA_BROKERS": self.brokers,
            "ML_INFERENCE_SERVICE_URL": self.ml_url,
            "QDRANT_URL": self.qdrant_url,
            "DARKROOM_DATA": str(self._folder / name),
            "CPU_PROCESSES": "1",
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._stack.callback(_end, process)


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Images a second with 1, 2, 4 and 8 workers, over what so many times one worker does."""
    one: list[float] = []
    async with AsyncExitStack() as stack:
        parts = _Parts(folder, stack)
        await until_answers(parts.ml_url + "/health")
        await _until_open(parts.kafka_port)
        async with httpx.AsyncClient(base_url=parts.ml_url) as ml:
            await ml.post("/control", params={"lanes": 64, "seconds_per_image": SECONDS_PER_IMAGE})
        await create_topics(Settings(), parts.brokers)
        producer = await stack.enter_async_context(AIOKafkaProducer(bootstrap_servers=parts.brokers))
        consumer = await stack.enter_async_context(AIOKafkaConsumer(bootstrap_servers=parts.brokers))
        written = [TopicPartition("db-write", number) for number in range(PARTITIONS)]
        consumer.assign(written)
        await consumer.seek_to_end(*written)
        started = 0
        for workers in WORKERS:
            for number in range(started, workers):
                parts.run(f"worker-{number}", "-m", "agents", "embed")
            started = workers
            await _until_joined(parts.brokers, workers)
            rates = [await _round(producer, consumer, f"{workers}-{number}", workers) for number in range(rounds)]
            one = one or rates
            result.raw[f"images_per_second_with_{workers}"] = rates
            ratios = [rate / (workers * median(one)) for rate in rates]
            result.add(f"{workers} workers ÷ {workers} times one", "ratio", ratios, 0.9 if workers > 1 else None)


async def _round(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, name: str, workers: int) -> float:
    """Have images embedded, as many on each partition; return images a second."""
    count = IMAGES_PER_WORKER * workers
    digests = [sha256(f"{name}/{number}".encode()).hexdigest() for number in range(count)]
    requests = [_request(name, digest) for digest in digests]
    begin = time.perf_counter()
    deliveries = [
        await producer.send("ml-request", request, key=digest.encode(), partition=number % PARTITIONS)
        for number, (digest, request) in enumerate(zip(digests, requests, strict=True))
    ]
    await asyncio.gather(*deliveries)
    seen: Counter[str] = Counter()
    async with asyncio.timeout(120):
        while len(seen) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for message in records:
                    seen.update(_sha256s(message))
    seconds = time.perf_counter() - begin
    if seen != Counter(digests):
        raise RuntimeError(f"{name}: of {count} images some were written more than once, or are others.")
    return count / seconds


def _sha256s(message: ConsumerRecord[bytes, bytes]) -> Iterator[str]:
    """Yield the contents of the files in a message of db-write. Raises RuntimeError for one that is none."""
    for entry in decode(DB_WRITE, message.value or b"", message.headers):
        if entry.record is None:
            raise RuntimeError(f"A message on db-write is not valid: {message.value!r}")
        if isinstance(entry.record, DBWrite):
            yield entry.record.sha256


def _request(name: str, digest: str) -> bytes:
    image = base64.b64encode(digest.encode() * 400).decode()
    metadata = {"width": 64, "height": 64, "format": "JPEG", "mode": "RGB", "file_size": 1000}
    file = {"job_id": f"scale-{name}", "collection": "bench", "path": f"/{digest}.jpg", "size": 1000, "mtime_ns": 0}
    content = {"metadata": metadata, "thumbnail_base64": "", "rendition_base64": image}
    return json.dumps(file | content | {"model_id": "bench-1", "sha256": digest}).encode()


async def _until_joined(brokers: str, workers: int) -> None:
    async with asyncio.timeout(180):
        while True:
            async with asking({"bootstrap_servers": brokers}) as client:
                group = (await groups.describe(client, ["darkroom-embed"]))["darkroom-embed"]
            if group.works and len(group.members) == workers:
                return
            await asyncio.sleep(0.5)


async def _until_open(port: int) -> None:
    async with asyncio.timeout(120):
        while not ports.is_open(port):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
