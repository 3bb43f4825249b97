"""How long a start takes, and how long until work moves again after the worker was killed."""

import asyncio
import contextlib
import time
from pathlib import Path

import psutil

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import Darkroom
from embedded.stack import WORKERS

FILES = 2_000
KILL_AT = 500


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Seconds from `darkroom up` to `/ready`, and from kill -9 of the worker to the next outcome of a job."""
    seed = int(time.time()) * 100_000
    started: list[float] = []
    moving: list[float] = []
    for number in range(rounds):
        home = folder / f"run-{number}"
        async with Darkroom(home) as darkroom:
            started.append(darkroom.start_seconds)
            photos = home / "photos"
            await asyncio.to_thread(photographs.write_small_jpegs, photos, FILES, seed + number * FILES)
            await darkroom.ml.post("/control", params={"lanes": 1, "seconds_per_image": 0.005})
            job_id = await darkroom.submit(photos)
            before = await _processed(darkroom, job_id, beyond=KILL_AT)
            killed = time.perf_counter()
            for name in WORKERS:
                for process in darkroom.processes()[name]:
                    # The supervisor may have found it dead, and started another.
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
            # What was on its way to the view when the worker died still arrives.
            await asyncio.sleep(1.0)
            before = await _processed(darkroom, job_id, beyond=before)
            await _processed(darkroom, job_id, beyond=before + 1)
            moving.append(time.perf_counter() - killed)
            await darkroom.finished(job_id)
    result.add("`darkroom up` to /ready", "s", started, 15, "at most")
    result.add("kill -9 of the worker to progress", "s", moving, 20, "at most")


async def _processed(darkroom: Darkroom, job_id: str, *, beyond: int) -> int:
    """Wait until more files than so many have their outcome; return how many."""
    async with asyncio.timeout(120):
        while True:
            status = (await darkroom.http.get(f"/api/v1/ingest/status/{job_id}")).json()
            if status["processed_files"] >= beyond:
                return int(status["processed_files"])
            await asyncio.sleep(0.05)
