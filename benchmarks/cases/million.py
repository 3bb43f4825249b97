"""A million `raw-path` messages for files with known content: as fast at the end as at the beginning, memory flat."""

import asyncio
import json
import time
from pathlib import Path

from aiokafka import AIOKafkaProducer

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import Darkroom

JOBS = 50
FILES = 20_000
MIB = 2**20


async def run(result: Result, folder: Path, rounds: int) -> None:  # noqa: ARG001 - once is enough
    """50 jobs of 20,000 files each, published by a program of its own, two jobs ahead."""
    seed = int(time.time()) * 100_000
    seconds: list[float] = []
    memory: list[dict[str, int]] = []
    async with Darkroom(folder) as darkroom:
        photos = folder / "photos"
        paths = await asyncio.to_thread(photographs.write_small_jpegs, photos, FILES, seed)
        await darkroom.ingest(photos)
        async with AIOKafkaProducer(bootstrap_servers=darkroom.address("KAFKA_BROKERS"), linger_ms=5) as producer:
            await _publish(darkroom, producer, f"million-{seed}-0", paths)
            for number in range(JOBS):
                begin = time.perf_counter()
                if number + 1 < JOBS:
                    await _publish(darkroom, producer, f"million-{seed}-{number + 1}", paths)
                status = await darkroom.finished(f"million-{seed}-{number}")
                seconds.append(time.perf_counter() - begin)
                if status["outcomes"]["unchanged"] != FILES:
                    raise RuntimeError(f"Not all are unchanged: {status['outcomes']}")
                memory.append({name: value // MIB for name, value in darkroom.rss().items()})
    tenth = JOBS // 10
    rates = [FILES * tenth / sum(seconds[at : at + tenth]) for at in range(0, JOBS, tenth)]
    result.raw |= {"files_per_second_by_tenth": rates, "rss_mib_after_each_job": memory}
    result.add("last tenth ÷ first", "ratio", [rates[-1] / rates[0]], 0.95)
    result.add("all", "files/s", [FILES * JOBS / sum(seconds)])
    for name in memory[-1]:
        half = memory[JOBS // 2].get(name)
        if half:
            result.add(f"RSS of {name}: at the end ÷ at half", "ratio", [memory[-1][name] / half], 1.1, "at most")


async def _publish(darkroom: Darkroom, producer: AIOKafkaProducer, job_id: str, paths: list[Path]) -> None:
    deliveries = []
    for path in paths:
        status = path.stat()
        file: dict[str, object] = {"job_id": job_id, "collection": "bench", "path": str(path)}
        file |= {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
        deliveries.append(await producer.send("raw-path", json.dumps(file).encode(), key=str(path).encode()))
    await asyncio.gather(*deliveries)
    (await darkroom.http.post(f"/api/v1/ingest/{job_id}/close")).raise_for_status()
