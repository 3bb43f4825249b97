"""A real model: from renditions on `ml-request` to their vectors in Qdrant, against a bare loop over the same."""

import asyncio
import base64
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from aiokafka import AIOKafkaProducer

from benchmarks import photographs, vit
from benchmarks.measure import Result
from benchmarks.running import ROOT, Darkroom
from imaging.metadata import Metadata
from rules.identity import point_id
from topics.ml_request import ML_REQUEST, MLRequest

MODEL = "vit-b-16"
COUNT = 96  # a multiple of every batch
MIB = 2**20
SECONDS = 600.0
POLL_SECONDS = 0.2  # of some ten seconds


async def run(result: Result, folder: Path, rounds: int) -> None:
    """Images a second of the whole and of the loop, with the batch that the service found best, and their memory."""
    seed = int(time.time()) * 1000
    home = folder / "darkroom" / "models" / MODEL
    await asyncio.to_thread(vit.write, home, seed)
    product: list[float] = []
    loop: list[float] = []
    bare: dict[str, Any] = {}
    peaks: dict[str, int] = {}
    # The first round is half as large: the warm-up, in which vectors are compared and memory is watched. To look at all
    # processes takes CPU, and the model has use for all there is.
    async with Darkroom(folder, model=MODEL) as darkroom:
        service = await _capabilities(darkroom)
        for number in range(rounds + 1):
            count = COUNT if number else COUNT // 2
            renditions = await asyncio.to_thread(
                photographs.write_renditions, folder / f"renditions-{number}", count, seed + number * COUNT
            )
            collection = f"bench-{number}"
            (await darkroom.http.post("/api/v1/collections", json={"name": collection})).raise_for_status()
            async with darkroom.watching_memory() if number == 0 else nullcontext(peaks) as peaks:
                seconds = await _embed(darkroom, renditions, collection, service["model_id"])
            bare = await asyncio.to_thread(
                _bare_loop, home / "vision/model.onnx", renditions[0].parent, service["safe_clip_batch"]
            )
            if number == 0:
                await _check_same(
                    darkroom, collection, await asyncio.to_thread(renditions[0].read_bytes), bare["vector"]
                )
            else:
                product.append(seconds)
                loop.append(bare["seconds"])
    result.raw |= {
        "images": COUNT,
        "product_seconds": product,
        "loop_seconds": loop,
        "service": service,
        "learned": json.loads((home.parent / ".learned").read_bytes()),
    }
    result.add("end to end ÷ bare loop", "ratio", [one / other for one, other in zip(loop, product, strict=True)], 0.90)
    result.add("end to end", "images/s", [COUNT / seconds for seconds in product])
    result.add("bare loop", "images/s", [COUNT / seconds for seconds in loop])
    result.add("batch", "images", [service["safe_clip_batch"]])
    result.add("peak RSS, ML service", "MiB", [peaks["ml"] / MIB])
    result.add("peak RSS, bare loop", "MiB", [bare["peak"] / MIB])


async def _capabilities(darkroom: Darkroom) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=darkroom.address("ML_INFERENCE_SERVICE_URL")) as ml:
        told: dict[str, Any] = (await ml.get("/api/v1/capabilities")).raise_for_status().json()
        return told


async def _embed(darkroom: Darkroom, renditions: list[Path], collection: str, model_id: str) -> float:
    """Publish what prepare would; return the seconds until Qdrant has all points."""
    requests = [_request(path, collection, model_id) for path in renditions]
    messages = [(request.sha256.encode(), ML_REQUEST.encode(request)) for request in requests]
    async with (
        AIOKafkaProducer(bootstrap_servers=darkroom.address("KAFKA_BROKERS")) as producer,
        httpx.AsyncClient(base_url=darkroom.address("QDRANT_URL"), timeout=60) as qdrant,
        asyncio.timeout(SECONDS),
    ):
        begin = time.perf_counter()
        for key, value in messages:
            await producer.send(ML_REQUEST.name, value, key=key)
        await producer.flush()
        # The store has no way to say that a point has come.
        while await _points(qdrant, collection) < len(renditions):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        return time.perf_counter() - begin


async def _points(qdrant: httpx.AsyncClient, collection: str) -> int:
    answer = await qdrant.post(f"/collections/{collection}/points/count", json={"exact": True})
    count: int = answer.raise_for_status().json()["result"]["count"]
    return count


def _request(path: Path, collection: str, model_id: str) -> MLRequest:
    content = path.read_bytes()
    return MLRequest(
        job_id=collection,
        collection=collection,
        path=str(path),
        size=len(content),
        mtime_ns=path.stat().st_mtime_ns,
        model_id=model_id,
        sha256=sha256(content).hexdigest(),
        metadata=Metadata(width=512, height=384, format="JPEG", mode="RGB", file_size=len(content)),
        thumbnail_base64=base64.b64encode(content[:10_000]).decode(),
        rendition_base64=base64.b64encode(content),
    )


def _bare_loop(model: Path, renditions: Path, batch: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.bare_model", str(model), str(renditions), str(batch)]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=SECONDS)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


async def _check_same(darkroom: Darkroom, collection: str, rendition: bytes, vector: list[float]) -> None:
    """Check that the product's vector of a rendition is that of the loop."""
    point = point_id(sha256(rendition).hexdigest())
    async with httpx.AsyncClient(base_url=darkroom.address("QDRANT_URL")) as qdrant:
        answer = await qdrant.post(f"/collections/{collection}/points", json={"ids": [point], "with_vector": True})
    (found,) = answer.raise_for_status().json()["result"]
    if np.dot(found["vector"], vector) < 0.9999:
        raise RuntimeError("What the loop makes of a rendition is not what Darkroom makes of it.")
