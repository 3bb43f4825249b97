"""ML is what limits: one lane, 25 ms an image. Darkroom must keep it busy, with full batches."""

import asyncio
import shutil
import time
from pathlib import Path
from statistics import mean

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.ml_stub import BATCH
from benchmarks.running import Darkroom

FILES = 1_200
SECONDS_PER_IMAGE = 0.025


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Images a second against the stub's own limit, and how full the batches are."""
    seed = int(time.time()) * 100_000
    ratios: list[float] = []
    fills: list[float] = []
    async with Darkroom(folder) as darkroom:
        for number in range(rounds + 1):
            count = FILES if number else 200
            photos = folder / f"photos-{number}"
            await asyncio.to_thread(photographs.write_small_jpegs, photos, count, seed + number * FILES)
            limited = {"lanes": 1, "seconds_per_image": SECONDS_PER_IMAGE} if number else {}
            await darkroom.ml.post("/control", params=limited)
            await darkroom.forget_ml()
            timed = await darkroom.ingest(photos)
            if number:
                ratios.append(count * SECONDS_PER_IMAGE / timed.seconds)
                fills.append(mean((await darkroom.ml_log())["batches"]) / BATCH)
            shutil.rmtree(photos)
    result.add("images/s ÷ the stub's limit", "ratio", ratios, 0.95)
    result.add("mean batch fill", "ratio", fills, 0.95)
