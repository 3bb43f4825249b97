"""Photographs that are new: end to end against a bare loop over the same files, and that against the fastest way."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks import photographs
from benchmarks.measure import Result
from benchmarks.running import ROOT, Darkroom

Write = Callable[[Path, int, int], list[Path]]

ML_BYTES = 64 * 1024
RSS_BYTES = 1.5 * 2**30
MIB = 2**20


async def jpeg(result: Result, folder: Path, rounds: int) -> None:
    """200 JPEGs of 12 megapixels: also against simplejpeg, with the bytes that ML gets and the peak of memory."""
    await _run(result, folder, rounds, photographs.write_large_jpegs, count=200, bound=0.88, fastest=True)


async def raw_with_preview(result: Result, folder: Path, rounds: int) -> None:
    """DNGs of 20 megapixels with an embedded JPEG."""
    await _run(result, folder, rounds, photographs.write_raws_with_preview, count=60, bound=0.80)


async def raw_without_preview(result: Result, folder: Path, rounds: int) -> None:
    """DNGs of 20 megapixels that have to be developed."""
    await _run(result, folder, rounds, photographs.write_raws_without_preview, count=16, bound=0.90)


async def _run(
    result: Result, folder: Path, rounds: int, write: Write, *, count: int, bound: float, fastest: bool = False
) -> None:
    seed = int(time.time()) * 1000
    product: list[float] = []
    loop: list[float] = []
    fast: list[float] = []
    images: list[dict[str, Any]] = []
    result.raw["cpu_ms_per_file"] = []
    # The first round is half as large: the warm-up, compared with the loop byte for byte, and not counted.
    async with Darkroom(folder) as darkroom, darkroom.watching_memory() as peaks:
        for number in range(rounds + 1):
            photos = folder / f"photos-{number}"
            files = count if number else count // 2
            await asyncio.to_thread(write, photos, files, seed + number * count)
            await darkroom.forget_ml()
            before = darkroom.cpu_seconds()
            timed = await darkroom.ingest(photos)
            after = darkroom.cpu_seconds()
            if timed.status["outcomes"]["stored"] != files:
                raise RuntimeError(f"Not all {files} were new: {timed.status['outcomes']}")
            images = (await darkroom.ml_log())["images"]
            bare = await asyncio.to_thread(bare_loop, photos)
            if number == 0:
                await _check_same(darkroom, bare["files"], images)
            else:
                product.append(timed.seconds)
                loop.append(bare["seconds"])
                result.raw["cpu_ms_per_file"].append(
                    {name: round(1000 * (after[name] - before.get(name, 0.0)) / count, 2) for name in after}
                )
                if fastest:
                    fast.append((await asyncio.to_thread(_script, "fastest", photos))["seconds"])
            shutil.rmtree(photos)
    result.raw |= {"files": count, "product_seconds": product, "loop_seconds": loop, "fastest_seconds": fast}
    result.add("end to end ÷ bare loop", "ratio", _ratios(loop, product), bound)
    result.add("end to end", "images/s", [count / seconds for seconds in product])
    result.add("bare loop", "images/s", [count / seconds for seconds in loop])
    result.add("sent to ML", "KB mean", [sum(image["bytes"] for image in images) / len(images) / 1024], 64, "at most")
    if fastest:
        result.add("bare loop ÷ fastest way", "ratio", _ratios(fast, loop), 0.95)
        result.add("peak RSS, all parts", "MiB", [(peaks["sum"] - peaks["ml stub"]) / MIB], RSS_BYTES / MIB, "at most")
        result.raw["peak_rss_mib"] = {name: round(value / MIB) for name, value in peaks.items()}


def bare_loop(photos: Path) -> dict[str, Any]:
    """Run the bare loop over a folder: its `seconds`, and the digests of what it made by path, under `files`."""
    return _script("bare_loop", photos)


def _ratios(over: list[float], under: list[float]) -> list[float]:
    return [one / other for one, other in zip(over, under, strict=True)]


def _script(name: str, photos: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", f"benchmarks.{name}", str(photos)]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=600)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


async def _check_same(darkroom: Darkroom, bare: dict[str, list[str]], images: list[dict[str, Any]]) -> None:
    """Check that thumbnails and renditions of the product are those of the loop, byte for byte."""
    renditions = {image["name"]: image["sha256"] for image in images}
    points = await darkroom.payloads("bench", "file_hash", "thumbnail_base64")
    thumbnails = {point["file_hash"]: sha256(b64decode(point["thumbnail_base64"])).hexdigest() for point in points}
    for path, (digest, thumbnail, rendition) in bare.items():
        if renditions[Path(path).name] != rendition or thumbnails[digest] != thumbnail:
            raise RuntimeError(f"What the loop makes of {path} is not what Darkroom makes of it.")
