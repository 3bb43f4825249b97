"""100,000 small files in nested folders: what a file costs beside its decode; and then a look at them all again.

The second look is measured beside `restic backup` of the same unchanged folder, where restic is installed, beside a
bare walk with `stat` and one RocksDB look-up a file, and beside a sync of it as a source, which also looks for what has
left.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import ROOT, Darkroom

FOLDERS = 10
FILES_PER_FOLDER = 10_000
FILES = FOLDERS * FILES_PER_FOLDER


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Files a second, new and again, and CPU by part; each look again beside restic's and the bare walk's."""
    photos, restic = folder / "photos", shutil.which("restic")
    result.raw |= {"files": FILES, "restic": restic is not None}
    async with Darkroom(folder) as darkroom:
        new = await _fill(darkroom, photos)
        await asyncio.to_thread(_bare_walk, photos, folder)
        if restic:
            await asyncio.to_thread(_restic, folder, restic, "init")
            await asyncio.to_thread(_restic, folder, restic, "backup", str(photos))
        await darkroom.ingest(photos)
        await darkroom.finished(await darkroom.add_source(photos, "all"))
        again: list[float] = []
        syncs: list[float] = []
        cpu: list[dict[str, float]] = []
        walks: list[dict[str, float]] = []
        backups: list[float] = []
        for _ in range(rounds):
            before = darkroom.cpu_seconds()
            timed = await darkroom.ingest(photos)
            cpu.append({name: seconds - before[name] for name, seconds in darkroom.cpu_seconds().items()})
            if timed.status["outcomes"]["unchanged"] != FILES:
                raise RuntimeError(f"Not all {FILES} are unchanged: {timed.status['outcomes']}")
            again.append(FILES / timed.seconds)
            # In this order a machine that becomes slower, and what a job leaves to the next one, weigh on both alike.
            synced = await _sync(darkroom) + await _sync(darkroom)
            syncs.append(synced / (timed.seconds + (await darkroom.ingest(photos)).seconds))
            walks.append(await asyncio.to_thread(_bare_walk, photos, folder))
            if restic:
                backups.append(FILES / await asyncio.to_thread(_restic, folder, restic, "backup", str(photos)))
    result.raw |= {"new": new, "again_cpu_seconds": cpu, "bare_walks": walks, "restic_files_per_second": backups}
    result.add("new files", "files/s", [FILES_PER_FOLDER / one["seconds"] for one in new], 700)
    result.add("nothing changed", "files/s", again)
    result.add("a sync ÷ looking again", "ratio", syncs, 1.1, "at most")
    if restic:
        ratios = [rate / backup for rate, backup in zip(again, backups, strict=True)]
        result.add("nothing changed ÷ restic backup", "ratio", ratios, 0.5)
    ratios = [rate * walk["seconds"] / FILES for rate, walk in zip(again, walks, strict=True)]
    result.add("nothing changed ÷ bare walk", "ratio", ratios, 0.06)
    ratios = [sum(parts.values()) / walk["cpu_seconds"] for parts, walk in zip(cpu, walks, strict=True)]
    result.add("CPU of all parts ÷ that of the bare walk", "ratio", ratios, 25, "at most")
    for name in cpu[0]:
        result.add(f"nothing changed: CPU of {name}", "ms a file", [1000 * parts[name] / FILES for parts in cpu])
    for name in new[0]["cpu_seconds"]:
        parts_of_all = [1000 * one["cpu_seconds"][name] / FILES_PER_FOLDER for one in new]
        result.add(f"new files: CPU of {name}", "ms a file", parts_of_all)


async def _fill(darkroom: Darkroom, photos: Path) -> list[dict[str, Any]]:
    """Take in one folder after the other; return seconds and CPU seconds by part of each but the first."""
    seed = int(time.time()) * 1_000_000
    timings: list[dict[str, Any]] = []
    for number in range(FOLDERS):
        # Two more levels, as cameras and people keep them; each folder is a tenth of its parent.
        below = photos / f"{2015 + number}"
        written = below.with_suffix(".new")
        paths = await asyncio.to_thread(
            photographs.write_small_jpegs, written, FILES_PER_FOLDER, seed + number * FILES_PER_FOLDER
        )
        await asyncio.to_thread(_spread, paths, below)
        written.rmdir()
        before = darkroom.cpu_seconds()
        timed = await darkroom.ingest(below)
        if timed.status["outcomes"]["stored"] != FILES_PER_FOLDER:
            raise RuntimeError(f"Not all {FILES_PER_FOLDER} are stored: {timed.status['outcomes']}")
        cpu = {name: seconds - before[name] for name, seconds in darkroom.cpu_seconds().items()}
        timings.append({"seconds": timed.seconds, "cpu_seconds": cpu})
    return timings[1:]


async def _sync(darkroom: Darkroom) -> float:
    """Look at all as a source, of which nothing has left; return the seconds until that is known."""
    synced = await darkroom.sync("all")
    if (synced.status["outcomes"]["unchanged"], synced.status["removals"]["state"]) != (FILES, "none"):
        raise RuntimeError(f"Not all {FILES} are as they were: {synced.status}")
    return synced.seconds


def _spread(paths: list[Path], below: Path) -> None:
    for number, path in enumerate(paths):
        folder = below / f"{number // 1000:02d}" / f"{number // 100 % 10}"
        if number % 100 == 0:
            folder.mkdir(parents=True)
        path.rename(folder / path.name)


def _bare_walk(photos: Path, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.bare_walk", str(photos), str(folder / "bare-walk")]
    answer = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(answer)
    return found


def _restic(folder: Path, restic: str, *arguments: str) -> float:
    """Run restic over a repository in the folder; return the seconds that it took."""
    environment = os.environ | {
        "RESTIC_REPOSITORY": str(folder / "restic"),
        "RESTIC_CACHE_DIR": str(folder / "restic-cache"),
        "RESTIC_PASSWORD": "benchmark",
    }
    begin = time.perf_counter()
    subprocess.run([restic, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - begin
