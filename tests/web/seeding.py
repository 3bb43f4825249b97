"""A collection of very many pictures, written to Qdrant directly: no pipeline is needed to look at them."""

import asyncio
import base64
import hashlib
import io
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from gateways.qdrant import Point, Qdrant
from imaging.decoding import prepare
from imaging.files import stamp
from rules.identity import point_id
from rules.name_key import name_key

BATCH = 4000
IN_FLIGHT = 2
COLOURS = 12
CAMERAS = ("Canon EOS 5D", "NIKON D90", "X-T4")
FIRST = datetime(2010, 1, 1, tzinfo=UTC)


def seed(url: str, collection: str, count: int, *, dimension: int = 4, model_id: str = "seeded") -> None:
    """Write pictures 0 to count - 1, each taken an hour after the one before. May be called beside a running loop."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _seed(url, collection, count, dimension, model_id)).result()


def identity(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"web-{number}"))


def filename(number: int) -> str:
    return f"IMG_{number:06}.jpg"


async def _seed(url: str, collection: str, count: int, dimension: int, model_id: str) -> None:
    thumbnails = [_thumbnail(number) for number in range(COLOURS)]
    async with Qdrant(url) as qdrant:
        async with httpx.AsyncClient(base_url=url) as rest:
            vectors = {"size": dimension, "distance": "Cosine"}
            (await rest.put(f"/collections/{collection}", json={"vectors": vectors})).raise_for_status()
        free = asyncio.Semaphore(IN_FLIGHT)

        async def write(numbers: range) -> None:
            async with free:
                await qdrant.upsert(collection, [_point(number, thumbnails, dimension) for number in numbers])

        starts = range(0, count, BATCH)
        await asyncio.gather(*(write(range(start, min(start + BATCH, count))) for start in starts))
        # Now: to index all at once takes less than half of the time.
        await qdrant.ensure_collection(collection, model_id=model_id, dimension=dimension, distance="Cosine")


def _point(number: int, thumbnails: list[str], dimension: int) -> Point:
    payload: dict[str, Any] = {
        "filename": filename(number),
        "name_key": name_key(filename(number)),
        "paths": [f"/photos/{filename(number)}"],
        "taken_at": (FIRST + timedelta(hours=number)).isoformat(),
        "camera_model": CAMERAS[number % len(CAMERAS)],
        "thumbnail_base64": thumbnails[number % COLOURS],
    }
    if number % 50 == 0:
        payload |= {
            "caption": "A lighthouse by the sea",
            "gps": {"lat": 48.8582, "lon": 2.2945},
            "rating": 4.0,
            "label": "Red",
            "people": ["Ann", "Bob"],
        }
    vector = [1.0, (number % 97) / 97, (number % 89) / 89, *([0.0] * (dimension - 3))]
    return Point(identity(number), vector, payload)


def _thumbnail(number: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (20 * number, 90, 255 - 20 * number)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def seed_files(url: str, collection: str, paths: Sequence[Path]) -> list[str]:
    """Write a point for each of these pictures, as the pipeline would; return their ids, which follow from contents."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _seed_files(url, collection, paths)).result()


async def _seed_files(url: str, collection: str, paths: Sequence[Path]) -> list[str]:
    points = []
    for number, path in enumerate(paths):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        prepared = prepare(str(path).encode(), stamp(str(path).encode()), None, max_pixels=1 << 28, max_bytes=1 << 28)
        metadata = prepared.metadata
        payload = {
            "filename": path.name,
            "name_key": name_key(path.name),
            "full_path": str(path),
            "paths": [str(path)],
            "file_hash": sha256,
            "file_size": path.stat().st_size,
            "taken_at": (FIRST + timedelta(hours=number)).isoformat(),
            **{name: getattr(metadata, name) for name in ("width", "height", "format", "mode")},
            "thumbnail_base64": base64.b64encode(prepared.thumbnail).decode(),
        }
        points.append(Point(point_id(sha256), [1.0, number / 100, 0.0, 0.0], payload))
    async with Qdrant(url) as qdrant:
        await qdrant.ensure_collection(collection, model_id="seeded", dimension=4, distance="Cosine")
        await qdrant.upsert(collection, points)
    return [point.id for point in points]
