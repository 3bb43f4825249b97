"""A kill while a watcher has news loses none of it: who watches next begins with a look at the whole."""

import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import pictures
from tests.api.service import eventually
from tests.chaos.test_failpoints import QUICK
from tests.chaos.test_syncs import settled
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.worker import Worker

PHOTOS = 20


@pytest.fixture
async def source(idle_pipeline: Pipeline) -> AsyncIterator[str]:
    """Name a source, which is none any more when the test has ended.

    Where its folder is kept, as that of a test that has failed is, the next test's worker would watch it, too, and be
    killed at what it does for it.
    """
    name = f"s-{uuid.uuid4().hex[:12]}"
    yield name
    await idle_pipeline.bus.publish("source", name, None)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", ["watch-news:1", "sync-asked:2", "scan-walked:2", "hash-sealed:6", "sweep-sent:1"])
async def test_a_kill_of_a_watcher_loses_nothing(
    point: str,
    source: str,
    idle_pipeline: Pipeline,
    kafka: Part,
    qdrant: Part,
    ml: Part,
    collection: str,
    tmp_path: Path,
) -> None:
    photos, bus = tmp_path / "photos", idle_pipeline.bus
    (photos / "2023").mkdir(parents=True)
    files = pictures.write_new(photos, PHOTOS)
    pictures.write_new(photos / "2023", 5)
    data = tmp_path / "data"
    watched = {"name": source, "folder": str(photos), "collection": collection, "watch": True}
    await bus.publish("source", source, watched)
    worker = Worker(kafka, qdrant, ml, data, darkroom_failpoint=point, **QUICK)
    worker.launch()
    try:
        await settled(idle_pipeline, source, 1)
        before = await idle_pipeline.points(collection)
        assert len(before) == PHOTOS + 5
        (photos / "2023").rename(photos / "2024")
        files[0].rename(photos / "moved.jpg")
        files[1].unlink()
        pictures.write_new(photos / "new", 3)
        await bus.until(worker.has_ended, f"a kill at {point}")
        assert worker.exit_code == -signal.SIGKILL, worker.log[-4000:]
    finally:
        worker.kill()
    files[2].unlink()
    with Worker(kafka, qdrant, ml, data, **QUICK):
        there = {str(path) for path in photos.rglob("*") if path.is_file()}

        async def is_in_step() -> bool:
            return set(await idle_pipeline.points(collection)) == there

        await eventually(is_in_step)
    after = await idle_pipeline.points(collection)
    assert after[str(photos / "moved.jpg")]["file_hash"] == before[str(files[0])]["file_hash"]
