"""A kill at each step of forgetting: what is forgotten goes for good, and nothing else does."""

import uuid
from pathlib import Path

import httpx
import pytest

from rules.identity import point_id
from tests import pictures
from tests.chaos.test_failpoints import OF_FORGETTING, QUICK, killed_at
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.worker import Worker
from topics.erasure import ForgetPath, headers_of

PHOTOS = 10
BY_PATH = 3
BY_CONTENT = 3


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", sorted({*OF_FORGETTING, "fingerprints-row-written", "known_images-row-written"}))
async def test_a_kill_while_pictures_are_forgotten_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos, bus, other, data = tmp_path / "photos", idle_pipeline.bus, f"{collection}-other", tmp_path / "data"
    photos.mkdir()
    seed = uuid.uuid4().int % 10**8
    pictures.write(photos, range(seed, seed + PHOTOS))
    files = sorted(photos.iterdir())
    with Worker(kafka, qdrant, ml, data, **QUICK):
        await idle_pipeline.run(photos, collection=collection)
        await idle_pipeline.run(*files[BY_PATH:], collection=other)
    contents = {path: payload["file_hash"] for path, payload in (await idle_pipeline.points(collection)).items()}

    worker = Worker(kafka, qdrant, ml, data, darkroom_failpoint=f"{point}:2", **QUICK)
    for path in files[:BY_PATH]:
        await bus.publish(
            "raw-path", str(path), None, headers_of(ForgetPath(path=str(path), collection=collection, at=1e9))
        )
    for path in files[BY_PATH : BY_PATH + BY_CONTENT]:
        sha256 = contents[str(path)]
        asked = {"kind": "forget-picture", "sha256": sha256, "collection": collection, "at": 1e9}
        await bus.publish("image-outcome", sha256, asked)
    await killed_at(f"{point}:2", bus, worker)
    with Worker(kafka, qdrant, ml, data, **QUICK):
        forgotten = {contents[str(path)] for path in files[: BY_PATH + BY_CONTENT]}
        await bus.until(
            lambda: forgotten <= {one["sha256"] for one in bus.values("image-outcome", kind="erased")},
            "what store says of what is forgotten",
        )
        httpx.delete(f"{ml.url}/log").raise_for_status()
        again = await idle_pipeline.run(photos, collection=collection)
        elsewhere = await idle_pipeline.run(*files[BY_PATH:], collection=other)
    assert again["outcomes"]["skipped"] == BY_PATH + BY_CONTENT
    assert again["outcomes"]["unchanged"] == PHOTOS - BY_PATH - BY_CONTENT
    assert elsewhere["outcomes"]["unchanged"] == PHOTOS - BY_PATH
    assert set(await idle_pipeline.points(collection)) == {str(path) for path in files[BY_PATH + BY_CONTENT :]}
    left = await idle_pipeline.qdrant.payloads(collection, [point_id(one) for one in forgotten], ["paths"])
    assert left == {}
    assert idle_pipeline.ml_batches() == []
