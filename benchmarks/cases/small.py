"""Many small files: what a file costs beside its decode. Then the same folder again, nothing changed."""

import asyncio
import shutil
import time
from pathlib import Path

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import Darkroom

FILES = 20_000
WARM_UP = 2_000


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Files a second, cold and again, and CPU by process."""
    seed = int(time.time()) * 100_000
    cold: list[float] = []
    again: list[float] = []
    result.raw |= {"files": FILES, "cpu_seconds_per_1000_files": [], "again_cpu_seconds_per_1000_files": []}
    async with Darkroom(folder) as darkroom:
        for number in range(rounds + 1):
            count = FILES if number else WARM_UP
            photos = folder / f"photos-{number}"
            await asyncio.to_thread(photographs.write_small_jpegs, photos, count, seed + number * FILES)
            for seconds, expected, cpu in (
                (cold, "stored", "cpu_seconds_per_1000_files"),
                (again, "unchanged", "again_cpu_seconds_per_1000_files"),
            ):
                before = darkroom.cpu_seconds()
                timed = await darkroom.ingest(photos)
                after = darkroom.cpu_seconds()
                if timed.status["outcomes"][expected] != count:
                    raise RuntimeError(f"Not all {count} are {expected}: {timed.status['outcomes']}")
                if number:
                    seconds.append(timed.seconds)
                    result.raw[cpu].append(
                        {name: round(1000 * (after[name] - before.get(name, 0.0)) / count, 3) for name in after}
                    )
            shutil.rmtree(photos)
    result.raw |= {"cold_seconds": cold, "again_seconds": again}
    result.add("new files", "files/s", [FILES / seconds for seconds in cold], 500)
    result.add("nothing changed", "files/s", [FILES / seconds for seconds in again], 1500)
    for name in result.raw["cpu_seconds_per_1000_files"][0]:
        rounds_of_part = [cpu[name] for cpu in result.raw["cpu_seconds_per_1000_files"]]
        result.add(f"new files: CPU of {name}", "s per 1,000 files", rounds_of_part)
