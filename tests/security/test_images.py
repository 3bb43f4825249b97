"""Originals are served from inside the allowed folders, whatever a point's payload says."""

import hashlib
import io
import os
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from gateways.qdrant import Point, Qdrant
from tests.api.service import Service
from tests.parts import Part

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def store(qdrant: Part, collection: str, **payload: Any) -> str:
    point = Point(str(uuid.uuid4()), [1.0] * 512, payload)
    async with Qdrant(qdrant.url) as client:
        await client.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
        await client.upsert(collection, [point])
    return point.id


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def fetch(service: Service, collection: str, point: str, kind: str = "image", **headers: str) -> httpx.Response:
    return await service.http.get(f"images/{point}/{kind}", params={"collection": collection}, headers=headers)


@pytest.mark.parametrize("kind", ["image", "preview"])
@pytest.mark.parametrize(
    "payload",
    [
        {"full_path": "/etc/passwd", "paths": ["/etc/passwd"]},
        {"full_path": "{root}/../../../../../../../etc/passwd", "paths": ["/proc/self/environ"]},
        {"full_path": "file:///etc/passwd", "paths": ["~root", "etc/passwd", "/dev/zero", "{root}", ""]},
        {"full_path": "\0", "paths": ["a" * 10_000, "\ud800".encode("utf-8", "replace").decode()]},
        {"full_path": 7, "paths": {"a": "/etc/passwd"}},
        {"paths": [None, 3, ["/etc/passwd"]]},
        {},
    ],
)
async def test_a_forged_payload_gives_nothing(
    service: Service, photos: Path, qdrant: Part, collection: str, payload: dict[str, Any], kind: str
) -> None:
    def fill(value: Any) -> Any:
        return value.replace("{root}", str(photos)) if isinstance(value, str) else value

    forged = {
        name: [fill(one) for one in value] if isinstance(value, list) else fill(value)
        for name, value in payload.items()
    }
    response = await fetch(service, collection, await store(qdrant, collection, **forged), kind)
    assert response.status_code == 404, response.text
    assert "root:" not in response.text


@pytest.mark.parametrize("thumbnail", ["not base64!", 7, ["x"], None, {}])
async def test_a_forged_thumbnail_gives_nothing(
    service: Service, qdrant: Part, collection: str, thumbnail: object
) -> None:
    point = await store(qdrant, collection, thumbnail_base64=thumbnail)
    response = await service.http.get(f"images/{point}/thumbnail", params={"collection": collection})
    assert response.status_code == 404, response.text


async def test_a_link_that_is_swapped_later_gives_nothing(
    service: Service, photos: Path, tmp_path: Path, qdrant: Part, collection: str
) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (photos / "inside.jpg").write_bytes(b"inside")
    link = photos / f"{collection}.jpg"
    link.symlink_to(photos / "inside.jpg")
    point = await store(qdrant, collection, full_path=str(link), paths=[str(link)])
    assert (await fetch(service, collection, point)).content == b"inside"
    link.unlink()
    link.symlink_to(tmp_path / "secret.jpg")
    response = await fetch(service, collection, point)
    assert response.status_code == 404
    assert b"secret" not in response.content.replace(b"secret.jpg", b"")


async def test_parts_of_a_file_are_served_and_nothing_stays_open(
    service: Service, photos: Path, qdrant: Part, collection: str
) -> None:
    (photos / "whole.jpg").write_bytes(b"0123456789")
    point = await store(qdrant, collection, full_path=str(photos / "whole.jpg"), paths=[])
    before = open_files()
    for _ in range(5):
        part = await fetch(service, collection, point, Range="bytes=2-4")
        assert (part.status_code, part.content) == (206, b"234")
    assert (await fetch(service, collection, point, Range="bytes=20-")).status_code == 416
    assert open_files() <= before  # what was open for something else may have been closed


async def test_an_original_that_changed_is_not_served_under_its_old_hash(
    service: Service, photos: Path, qdrant: Part, collection: str
) -> None:
    """Also where size and time of change are as before; a copy that is still the same is served in its place."""
    original, copy = photos / f"{collection}.jpg", photos / f"{collection}-copy.jpg"
    original.write_bytes(b"as taken in")
    copy.write_bytes(b"as taken in")
    before = original.stat()
    paths = [str(original), str(copy)]
    sha256 = hashlib.sha256(b"as taken in").hexdigest()
    point = await store(qdrant, collection, full_path=paths[0], paths=paths, file_hash=sha256)
    assert (await fetch(service, collection, point)).content == b"as taken in"
    original.write_bytes(b"as TAKEN in")
    os.utime(original, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await fetch(service, collection, point)).content == b"as taken in"
    copy.unlink()
    for kind, headers in (("image", {}), ("image", {"Range": "bytes=0-3"}), ("preview", {})):
        gone = await fetch(service, collection, point, kind, **headers)
        assert gone.status_code == 410, gone.text
        assert f"{original} changed since it was taken in" in gone.json()["detail"]
    original.write_bytes(b"as taken in")
    assert (await fetch(service, collection, point)).content == b"as taken in"
    original.unlink()
    assert (await fetch(service, collection, point)).status_code == 404


async def test_a_preview_is_a_jpeg_of_any_format_and_of_pictures_only(
    service: Service, photos: Path, qdrant: Part, collection: str
) -> None:
    Image.new("RGB", (900, 600), "teal").save(photos / "seen.tiff")
    (photos / "secret.jpg").write_text("root:x:0:0")
    seen = await fetch(
        service, collection, await store(qdrant, collection, paths=[str(photos / "seen.tiff")]), "preview"
    )
    assert (seen.headers["content-type"], seen.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert seen.headers["content-security-policy"].endswith("; sandbox")
    assert Image.open(io.BytesIO(seen.content)).size == (512, 341)
    secret = await fetch(
        service, collection, await store(qdrant, collection, paths=[str(photos / "secret.jpg")]), "preview"
    )
    assert (secret.status_code, "root:" in secret.text) == (422, False)
