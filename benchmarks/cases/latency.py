"""One file into an idle system: from its message on `raw-path` to its point in Qdrant."""

import asyncio
import json
import time
from pathlib import Path
from statistics import quantiles

import httpx
from aiokafka import AIOKafkaProducer

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import Darkroom
from imaging.hashing import hash_file
from rules.identity import point_id

FILES = 60
POLL_SECONDS = 0.01


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Seconds for each of some files, one at a time, each after the one before is stored."""
    seed = int(time.time()) * 1000
    p50: list[float] = []
    p99: list[float] = []
    async with Darkroom(folder) as darkroom:
        warm = photographs.write_small_jpegs(folder / "warm", 100, seed + 10**6)
        await darkroom.ingest(warm[0].parent)
        async with (
            AIOKafkaProducer(bootstrap_servers=darkroom.address("KAFKA_BROKERS")) as producer,
            httpx.AsyncClient(base_url=darkroom.address("QDRANT_URL")) as qdrant,
        ):
            for number in range(rounds):
                photos = folder / f"photos-{number}"
                paths = await asyncio.to_thread(photographs.write_large_jpegs, photos, FILES, seed + number * FILES)
                job_id = f"latency-{seed}-{number}"
                waits = [await _take(producer, qdrant, job_id, path) for path in paths]
                await darkroom.http.post(f"/api/v1/ingest/{job_id}/close")
                await darkroom.finished(job_id)
                cuts = quantiles(waits, n=100, method="inclusive")
                p50.append(cuts[49])
                p99.append(cuts[98])
    result.raw["files"] = FILES
    result.add("publish → in Qdrant, p50", "s", p50, 0.3, "at most")
    result.add("publish → in Qdrant, p99", "s", p99, 1.0, "at most")


async def _take(producer: AIOKafkaProducer, qdrant: httpx.AsyncClient, job_id: str, path: Path) -> float:
    point = point_id(hash_file(bytes(path))[0])
    message = json.dumps({"job_id": job_id, "collection": "bench", "path": str(path)}).encode()
    begin = time.perf_counter()
    await producer.send_and_wait("raw-path", message, key=str(path).encode())
    async with asyncio.timeout(30):
        # The store has no way to say that a point has come.
        while (await qdrant.get(f"/collections/bench/points/{point}")).status_code != httpx.codes.OK:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
    return time.perf_counter() - begin
