"""What Darkroom costs a machine on which it has nothing to do."""

import asyncio
import time
from pathlib import Path

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import Darkroom

FILES = 100
REST_SECONDS = 60.0
LOOK_SECONDS = 20.0


async def run(result: Result, folder: Path, rounds: int) -> None:
    """CPU of each part, in percent of one core, after a job and a minute of rest."""
    looks: list[dict[str, float]] = []
    async with Darkroom(folder) as darkroom:
        photos = folder / "photos"
        await asyncio.to_thread(photographs.write_small_jpegs, photos, FILES, int(time.time()) * 1000)
        await darkroom.ingest(photos)
        await asyncio.sleep(REST_SECONDS)
        for _ in range(rounds):
            before, begin = darkroom.cpu_seconds(), time.perf_counter()
            await asyncio.sleep(LOOK_SECONDS)
            after, seconds = darkroom.cpu_seconds(), time.perf_counter() - begin
            # The stub stands for a service of someone else's.
            looks.append({name: 100 * (after[name] - before[name]) / seconds for name in after if name != "ml stub"})
    result.add("all parts", "% of one core", [sum(look.values()) for look in looks], 8, "at most")
    for name in looks[0]:
        result.add(name, "% of one core", [look[name] for look in looks])
