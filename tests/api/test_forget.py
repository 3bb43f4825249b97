"""What is to be forgotten, over HTTP: what is said of it, what is refused, and what the service itself keeps of it.

No worker runs here; see tests/e2e/test_forgetting.py.
"""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from api.images.preview_store import END, START
from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from tests.api.events import queued
from tests.api.service import Service, eventually, producing

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def stored(vectors: Qdrant, collection: str, *names: str) -> str:
    """Store a picture with these files; return its hash."""
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    sha256, paths = uuid.uuid4().hex * 2, [f"/p/{collection}/{name}" for name in names]
    payload = {"filename": names[0], "full_path": paths[0], "paths": paths, "file_hash": sha256}
    await vectors.upsert(collection, [Point(point_id(sha256), [0.5] * 512, payload)])
    return sha256


async def failed(service: Service, collection: str, path: str) -> None:
    """Publish a dead letter about a file."""
    value = {"job_id": f"j-{collection}", "collection": collection, "path": path}
    headers = [("job_id", f"j-{collection}".encode()), ("file_id", uuid.uuid4().hex.encode())]
    async with producing(service.settings.kafka_brokers) as producer:
        await producer.send_and_wait("dead-letter", json.dumps(value).encode(), key=path.encode(), headers=headers)


async def letters(service: Service, collection: str) -> list[str]:
    found = await service.get("dead-letters", job=f"j-{collection}")
    return [letter["path"] for letter in found["letters"]]


def shown(service: Service, name: str) -> Path:
    """Keep a preview as the service does."""
    path = service.settings.darkroom_data / "api" / "previews" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(START + END)
    return path


async def forget(service: Service, **body: Any) -> dict[str, Any]:
    response = await service.http.post("forget", json=body)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_letters_and_previews_of_what_is_forgotten_go(service: Service, vectors: Qdrant, collection: str) -> None:
    sha256 = await stored(vectors, collection, "a.jpg", "copy.jpg")
    paths = [f"/p/{collection}/{name}" for name in ("a.jpg", "copy.jpg", "other.jpg")]
    for path in paths:
        await failed(service, collection, path)

    async def are_known() -> bool:
        return len(await letters(service, collection)) == 3

    await eventually(are_known)
    previews = [shown(service, f"{one}-512-v") for one in (sha256, "b" * 64)]
    said = await forget(service, path=paths[0], dry_run=True)
    assert (said["pictures"], said["paths"], said["dead_letters"]) == (1, paths[:2], 2)
    assert f"1 picture in {collection}, with 2 files" in said["what"]
    assert len(await letters(service, collection)) == 3
    await forget(service, path=paths[0])

    async def one_is_left() -> bool:
        return await letters(service, collection) == [paths[2]]

    await eventually(one_is_left)
    assert list(map(os.path.exists, previews)) == [False, True]


async def test_a_collection_that_is_being_filled_is_not_forgotten(
    service: Service, vectors: Qdrant, collection: str, photos: Path, job_id: str
) -> None:
    await stored(vectors, collection, "a.jpg")
    name = f"s-{collection}"
    source = {"folder": str(photos), "collection": collection, "name": name}
    assert (await service.http.post("sources", json=source)).status_code == 201
    refused = await service.http.post("forget", json={"collection": collection})
    assert (refused.status_code, name in refused.json()["detail"]) == (409, True)
    assert (await service.http.delete(f"sources/{name}")).status_code == 204
    offset = await service.publish(queued(job_id, collection=collection))
    await service.status(job_id, offset=offset)
    refused = await service.http.post("forget", json={"collection": collection})
    assert (refused.status_code, job_id in refused.json()["detail"]) == (409, True)
    assert await vectors.collection(collection) is not None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"content": "a" * 64, "path": "/p"}, 422),
        ({"content": "no hash"}, 422),
        ({"path": "relative.jpg"}, 422),
        ({"source": "s", "collection": "c"}, 422),
        ({"source": "no-such-source"}, 404),
        ({"collection": "no/name"}, 422),
    ],
    ids=["nothing", "two", "no-hash", "relative", "source-and-collection", "no-source", "no-name"],
)
async def test_what_cannot_be_meant_is_refused(service: Service, body: dict[str, str], status: int) -> None:
    response = await service.http.post("forget", json=body)
    assert response.status_code == status, response.text


async def test_only_one_of_two_collections_may_be_meant(service: Service, vectors: Qdrant, collection: str) -> None:
    sha256 = await stored(vectors, collection, "a.jpg")
    other = f"{collection}-other"
    await vectors.ensure_collection(other, model_id="stub-1", dimension=512, distance="Cosine")
    point = await vectors.point(collection, point_id(sha256))
    assert point is not None
    await vectors.upsert(other, [point])
    both = await forget(service, content=sha256, dry_run=True)
    assert (both["collections"], both["pictures"]) == (sorted([collection, other]), 2)
    one = await forget(service, content=sha256, collection=other, dry_run=True)
    assert (one["collections"], one["pictures"]) == ([other], 1)
