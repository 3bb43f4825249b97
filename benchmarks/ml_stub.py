"""An ML service that costs next to nothing, so that what is timed is Darkroom.

    python -m benchmarks.ml_stub --port N

`POST /control` sets `lanes` (batches at a time) and `seconds_per_image`; `GET /log` gives, since the last `DELETE
/log`, the size of each batch, and of each image its name, bytes and SHA-256.
"""

import argparse
import asyncio
import base64
import hashlib
from typing import Any

import numpy as np
import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

DIMENSION = 512
BATCH = 32

app = FastAPI(openapi_url=None)
_seconds_per_image = 0.0
_lanes = asyncio.Semaphore(64)
_batches: list[int] = []
_images: list[tuple[str, str]] = []


@app.get("/health")
async def health() -> dict[str, bool]:
    return {"ready": True}


@app.get("/api/v1/capabilities")
async def capabilities() -> dict[str, Any]:
    return {"safe_clip_batch": BATCH, "safe_blip_batch": BATCH, "embedding_dim": DIMENSION, "model_id": "bench-1"}


@app.post("/api/v1/batch_embed_and_caption")
async def embed(request: Request) -> Response:
    images = orjson.loads(await request.body())["images"]
    async with _lanes:
        await asyncio.sleep(_seconds_per_image * len(images))
    _batches.append(len(images))
    _images.extend((image["filename"], image["image_base64"]) for image in images)
    results = [_result(image["unique_id"], image["image_base64"]) for image in images]
    return Response(orjson.dumps({"results": results}, option=orjson.OPT_SERIALIZE_NUMPY))


def _result(unique_id: str, image: str) -> dict[str, Any]:
    seed = int.from_bytes(hashlib.sha256(image.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(DIMENSION, dtype=np.float32)
    return {"unique_id": unique_id, "embedding": vector, "embedding_shape": [DIMENSION], "model_name_clip": "bench-1"}


@app.post("/control")
async def control(lanes: int = 64, seconds_per_image: float = 0.0) -> None:
    global _lanes, _seconds_per_image
    _lanes, _seconds_per_image = asyncio.Semaphore(lanes), seconds_per_image


@app.get("/log")
async def log() -> dict[str, Any]:
    decoded = [(name, base64.b64decode(image)) for name, image in _images]
    images = [{"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in decoded]
    return {"batches": _batches, "images": images}


@app.delete("/log")
async def forget() -> None:
    _batches.clear()
    _images.clear()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(app, port=parser.parse_args().port, log_level="warning", access_log=False)
