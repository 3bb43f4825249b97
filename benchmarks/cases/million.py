"""A job of a million real files: as fast at the end as at the beginning, memory flat; then a look at them again.

They are a source, of which some files leave at last: how long it takes to find these, and in how much memory.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import FINISHED, Darkroom

FOLDERS = 100
FILES_PER_FOLDER = 10_000
FILES = FOLDERS * FILES_PER_FOLDER
SOURCE = "million"
LEAVING = 100
MIB = 2**20


async def run(result: Result, folder: Path, rounds: int) -> None:  # noqa: ARG001 - once is enough
    """One job of 100 folders of 10,000 files, and one more over the same."""
    photos, seed = folder / "photos", int(time.time()) * 10_000_000
    for number in range(FOLDERS):
        first = seed + number * FILES_PER_FOLDER
        await asyncio.to_thread(photographs.write_small_jpegs, photos / f"{number:02d}", FILES_PER_FOLDER, first)
    async with Darkroom(folder) as darkroom:
        new = await _watched(darkroom, await darkroom.add_source(photos, SOURCE))
        again = await _watched(darkroom, await darkroom.begin_sync(SOURCE))
        # Or it would still be looking for what has left, and find some of it.
        await darkroom.removed(again.job_id, time.perf_counter())
        before = _memory(darkroom)
        for number in range(LEAVING):
            next((photos / f"{number:02d}").iterdir()).unlink()
        async with darkroom.watching_memory() as peaks:
            last = await _watched(darkroom, await darkroom.begin_sync(SOURCE))
            removed = await darkroom.removed(last.job_id, time.perf_counter())
    if (gone := removed.status["removals"]["gone"]) != LEAVING:
        raise RuntimeError(f"{LEAVING} files have left, and {gone} were found to have.")
    if (new.outcomes["stored"], again.outcomes["unchanged"]) != (FILES, FILES):
        raise RuntimeError(f"Not all are stored, and then unchanged: {new.outcomes}, {again.outcomes}")
    rates = new.rates()
    result.raw |= {"new": rates, "again": again.rates(), "rss_mib_at_half": new.half, "rss_mib_at_the_end": new.end}
    result.add("last tenth ÷ first", "ratio", [rates[-1] / rates[0]], 0.95)
    result.add("new", "files/s", [FILES / new.seconds])
    result.add("again", "files/s", [FILES / again.seconds])
    # What looking again at a folder of a tenth of the size gives, of the first files of the same job.
    result.add("again: all ÷ the first tenth", "ratio", [FILES / again.seconds / again.rates()[0]], 0.9)
    result.add("what has left: after the walk", "s", [removed.seconds], 60, "at most")
    result.add("what has left: RSS of hash", "ratio", [peaks["worker-1"] / MIB / before["worker-1"]], 1.2, "at most")
    for name, half in new.half.items():
        if name == "ml stub":
            continue  # it keeps what it was sent, and stands for a service of someone else's
        result.add(f"RSS of {name}: at the end ÷ at half", "ratio", [new.end[name] / half], 1.05, "at most")


class _Watched:
    """A job that was followed to its end: when each tenth of its files had its outcome, and the memory of each part."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.outcomes: dict[str, int] = {}
        self.half: dict[str, int] = {}
        self.end: dict[str, int] = {}
        self.seconds = 0.0
        self._tenths: list[float] = [0.0]

    def note(self, done: int, seconds: float) -> None:
        """Note how many files have their outcome."""
        while len(self._tenths) <= 10 and done >= len(self._tenths) * FILES // 10:
            self._tenths.append(seconds)

    def rates(self) -> list[float]:
        """Return the files a second of each tenth."""
        ends = zip(self._tenths, self._tenths[1:], strict=False)
        return [FILES / 10 / max(end - begin, 1e-3) for begin, end in ends]


async def _watched(darkroom: Darkroom, job_id: str) -> _Watched:
    begin, watched = time.perf_counter(), _Watched(job_id)
    async with darkroom.http.stream("GET", f"/api/v1/ingest/{job_id}/events", timeout=3600) as events:
        async for line in events.aiter_lines():
            if not line.startswith("data:"):
                continue
            status: dict[str, Any] = json.loads(line.removeprefix("data:"))
            watched.note(status["processed_files"], time.perf_counter() - begin)
            if not watched.half and status["processed_files"] >= FILES // 2:
                watched.half = _memory(darkroom)
            if status["status"] in FINISHED:
                watched.outcomes = status["outcomes"]
    watched.seconds = time.perf_counter() - begin
    watched.end = _memory(darkroom)
    return watched


def _memory(darkroom: Darkroom) -> dict[str, int]:
    return {name: max(1, value // MIB) for name, value in darkroom.rss().items()}
