"""A kill at each step of forgetting and purging: what is to go goes for good, and nothing else does."""

import time
import uuid
from pathlib import Path

import httpx
import pytest

from rules.identity import point_id
from tests import pictures
from tests.chaos.test_failpoints import OF_FORGETTING, QUICK, killed_at, until_all_is_read
from tests.chaos.test_syncs import settled
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


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", sorted({*OF_FORGETTING - {"forget-told"}, "known_images-row-written"}))
async def test_a_kill_while_pictures_are_purged_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos, away, bus, data = tmp_path / "photos", tmp_path / "away", idle_pipeline.bus, tmp_path / "data"
    files, other, name = pictures.write_new(photos, 8), f"{collection}-other", f"s-{uuid.uuid4().hex[:12]}"
    away.mkdir()
    left = files[:4]
    source = {"name": name, "folder": str(photos), "collection": collection}
    # Another collection holds two of them: one by its path, and one that is gone there as well, and not purged.
    copies = tmp_path / "copies"
    copies.mkdir()
    stays, goes = (copies / path.name for path in left[:2])
    for copy in (stays, goes):
        copy.write_bytes((photos / copy.name).read_bytes())
    second = {"name": f"{name}-other", "folder": str(copies), "collection": other}
    await bus.publish("source", name, source)
    with Worker(kafka, qdrant, ml, data, **QUICK):
        await settled(idle_pipeline, name, 1)
        contents = {path: payload["file_hash"] for path, payload in (await idle_pipeline.points(collection)).items()}
        await bus.publish("source", second["name"], second)
        await settled(idle_pipeline, second["name"], 1)
        for path in left:
            path.rename(away / path.name)
        goes.unlink()
        for looked_at, gone in ((source, 4), (second, 1)):
            await bus.publish("source", looked_at["name"], looked_at | {"exclude": ["*.tmp"]})
            status = await settled(idle_pipeline, looked_at["name"], 2)
            assert (status["removals"]["state"], status["removals"]["gone"]) == ("removed", gone)
    ids = {point_id(contents[str(path)]): contents[str(path)] for path in left}
    found = await idle_pipeline.qdrant.payloads(collection, list(ids), ["gone_at"])
    for one, sha256 in ids.items():
        purge = {"kind": "purge", "sha256": sha256, "collection": collection, "gone_at": found[one]["gone_at"]}
        await bus.publish("image-outcome", sha256, purge | {"at": time.time()})

    armed = f"{point}:2"
    await killed_at(armed, bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=armed, **QUICK))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        await bus.until(
            lambda: set(ids.values()) <= {one["sha256"] for one in bus.values("image-outcome", kind="erased")},
            "what store says of what is purged",
        )
        await until_all_is_read(bus)
        assert await idle_pipeline.qdrant.payloads(collection, list(ids), ["gone_at"]) == {}
        assert set(await idle_pipeline.points(other)) == {str(stays)}
        held_elsewhere = {point_id(contents[str(path)]) for path in left[:2]}
        assert (await idle_pipeline.qdrant.payloads(other, list(ids), ["paths"])).keys() == held_elsewhere
        # What comes back is new, but for what another collection holds.
        httpx.delete(f"{ml.url}/log").raise_for_status()
        for path in left:
            (away / path.name).rename(path)
        await bus.publish("source", name, source)
        outcomes = (await settled(idle_pipeline, name, 3))["outcomes"]
    assert (outcomes["stored"], outcomes["cached"], outcomes["unchanged"]) == (2, 2, 4)
    assert set(await idle_pipeline.points(collection)) == {str(path) for path in files}
    assert sum(map(len, idle_pipeline.ml_batches())) == 2
