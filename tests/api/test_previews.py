"""Previews: large enough to look at, made once, never of another content than the picture's."""

import asyncio
import hashlib
import io
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from cli.samples.dng import encode_dng
from core import metrics
from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from tests.api.service import Service, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


def scene(width: int, height: int) -> Image.Image:
    """Return a picture that is red at its left and blue at its right."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    return image


async def store(vectors: Qdrant, collection: str, *paths: Path, **payload: Any) -> str:
    """Store a point of the first file, as the pipeline names it."""
    sha256 = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    known = {"paths": [str(path) for path in paths], "file_hash": sha256} | payload
    point = Point(point_id(sha256), [1.0] * 512, known)
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    await vectors.upsert(collection, [point])
    return point.id


async def ask(service: Service, point: str, collection: str, **query: Any) -> httpx.Response:
    headers = {"If-None-Match": query.pop("known")} if "known" in query else {}
    wanted: dict[str, Any] = {"collection": collection, "side": 2048} | query
    return await service.http.get(f"images/{point}/preview", params=wanted, headers=headers)


def shown(answer: httpx.Response) -> Image.Image:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), answer.text
    return Image.open(io.BytesIO(answer.content))


def decodes() -> float:
    """Return how many pictures this service's decoders have been through."""
    samples = [one for metric in metrics.STEP.collect() for one in metric.samples]
    return sum(one.value for one in samples if one.name.endswith("_count") and one.labels == {"step": "decode"})


@pytest.mark.parametrize("kind", ["tiff", "heic", "dng", "jpg", "small.png"])
async def test_it_is_2048_pixels_of_the_upright_picture(
    service: Service, photos: Path, vectors: Qdrant, collection: str, kind: str
) -> None:
    path = photos / f"{collection}.{kind}"
    size = {"small.png": (640, 480), "dng": (2400, 500)}.get(kind, (3000, 2000))
    if kind == "heic":
        pillow_heif.from_pillow(scene(*size)).save(path)
    elif kind == "dng":
        path.write_bytes(encode_dng(np.asarray(scene(*size)), preview=False))
    elif kind == "jpg":
        turned = Image.Exif()
        turned[0x0112] = 6
        scene(*size).transpose(Image.Transpose.ROTATE_90).save(path, exif=turned)
    else:
        scene(*size).save(path, compression="tiff_deflate")
    point = await store(vectors, collection, path)
    image = shown(await ask(service, point, collection))
    assert abs(image.width - min(2048, size[0])) <= 1
    assert abs(image.height - image.width * size[1] / size[0]) <= 1.5
    left, right = (image.getpixel((x, image.height // 2)) for x in (image.width // 8, image.width * 7 // 8))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert (left[0] > left[2], right[2] > right[0]) == (True, True)
    assert max(shown(await ask(service, point, collection, side=512)).size) == 512
    assert (await ask(service, point, collection, side=100_000)).status_code == 422


async def test_a_browser_may_keep_it_while_it_is_rendered_like_that(
    service: Service, photos: Path, vectors: Qdrant, collection: str
) -> None:
    path = photos / f"{collection}.tif"
    scene(600, 400).save(path)
    point = await store(vectors, collection, path)
    version = (await service.get("capabilities"))["previews"]["version"]
    for_good = await ask(service, point, collection, v=version)
    assert for_good.headers["cache-control"] == "private, max-age=31536000, immutable"
    for_now = await ask(service, point, collection, v="other")
    assert for_now.headers["cache-control"] == "private, max-age=3600"
    again = await ask(service, point, collection, known=for_now.headers["etag"])
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", for_good.headers["etag"])
    assert (await ask(service, point, collection, side=512)).headers["etag"] != for_good.headers["etag"]
    path.unlink()
    assert (await ask(service, point, collection, known=for_now.headers["etag"])).status_code == 404


async def test_all_who_ask_at_once_get_one_that_was_made_once_and_is_kept(
    own: Settings, photos: Path, vectors: Qdrant, collection: str
) -> None:
    path = photos / f"{collection}.tif"
    scene(4000, 3000).save(path, compression="tiff_deflate")
    point = await store(vectors, collection, path)
    before = decodes()
    async with serving(own) as service:
        answers = await asyncio.gather(*(ask(service, point, collection) for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        assert decodes() == before + 1
    async with serving(own) as service:
        assert (await ask(service, point, collection)).content == answers[0].content
        assert decodes() == before + 1
    async with serving(own.model_copy(update={"preview_cache_bytes": 0})) as service:
        assert (await ask(service, point, collection)).content == answers[0].content
        assert decodes() == before + 2


async def test_another_content_is_not_shown_as_the_picture(
    service: Service, photos: Path, vectors: Qdrant, collection: str
) -> None:
    path = photos / f"{collection}.tif"
    scene(500, 300).save(path)
    point = await store(vectors, collection, path)
    scene(300, 500).save(path)
    changed = await ask(service, point, collection)
    assert (changed.status_code, "changed" in changed.json()["detail"]) == (410, True)


@pytest.mark.parametrize("file_hash", ["../../../../etc/passwd", "A" * 64, "", 7, None, ["a" * 64]])
async def test_what_is_no_hash_names_no_file(
    own: Settings, photos: Path, vectors: Qdrant, collection: str, file_hash: object
) -> None:
    path = photos / f"{collection}.tif"
    scene(600, 400).save(path)
    point = await store(vectors, collection, path, file_hash=file_hash)
    async with serving(own) as service:
        answer = await ask(service, point, collection, v=(await service.get("capabilities"))["previews"]["version"])
        assert max(shown(answer).size) == 600
        assert "immutable" not in answer.headers["cache-control"]
    assert list((own.darkroom_data / "api").glob("previews/*")) == []


async def test_a_picture_that_nobody_can_decode_is_said(
    service: Service, photos: Path, vectors: Qdrant, collection: str
) -> None:
    path = photos / f"{collection}.tif"
    path.write_text("no picture")
    point = await store(vectors, collection, path)
    refused = await ask(service, point, collection)
    assert (refused.status_code, "holds text" in refused.json()["detail"]) == (422, True)
    assert (await ask(service, str(uuid.uuid4()), collection)).status_code == 404
