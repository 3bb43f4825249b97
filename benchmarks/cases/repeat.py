"""25 DNGs of 20 megapixels, half of them with previews, and then the same again: the case that Darkroom began with."""

import asyncio
import shutil
import time
from pathlib import Path

from benchmarks import photographs
from benchmarks.cases.cold import bare_loop
from benchmarks.measure import Result
from benchmarks.running import Darkroom

WITH_PREVIEW, WITHOUT = 13, 12
FILES = WITH_PREVIEW + WITHOUT


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Seconds of the first time beside a bare loop's, and of the repeat, which must cost ML nothing."""
    seed = int(time.time()) * 1000
    first: list[float] = []
    again: list[float] = []
    hits: list[float] = []
    loop: list[float] = []
    async with Darkroom(folder) as darkroom:
        for number in range(rounds + 1):
            photos = folder / f"photos-{number}"
            await asyncio.to_thread(_write, photos, seed + number * FILES)
            cold = await darkroom.ingest(photos)
            await darkroom.forget_ml()
            repeat = await darkroom.ingest(photos)
            outcomes = repeat.status["outcomes"]
            if number:
                first.append(cold.seconds)
                again.append(repeat.seconds)
                loop.append((await asyncio.to_thread(bare_loop, photos))["seconds"])
                missed = len((await darkroom.ml_log())["images"])
                hits.append(100 * (outcomes["unchanged"] - missed) / FILES)
            shutil.rmtree(photos)
    result.add("first time", "s", first)
    result.add("bare loop", "s", loop)
    result.add("the same again", "s", again, 2.0, "at most")
    result.add("cache hits of the repeat", "%", hits, 100)


def _write(photos: Path, seed: int) -> None:
    photographs.write_raws_with_preview(photos / "a", WITH_PREVIEW, seed)
    photographs.write_raws_without_preview(photos / "b", WITHOUT, seed + WITH_PREVIEW)
    for path in sorted(photos.glob("*/*")):
        path.rename(photos / f"{path.parent.name}-{path.name}")
    (photos / "a").rmdir()
    (photos / "b").rmdir()
