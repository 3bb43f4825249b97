"""Pictures that were gone for long are purged: their point, and what is known of a content that nobody else holds."""

from typing import Any

import pytest

from rules.gone import DAY_SECONDS
from tests.api.service import eventually
from tests.e2e.test_syncs import Library, library, write
from tests.pipeline import Pipeline

__all__ = ["library"]


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"purge_after_days": 0.5 / DAY_SECONDS}


async def purged(library: Library, pipeline: Pipeline, name: str) -> str:
    """Take a file away, and wait until its picture is purged; return the id."""
    [point] = [point for point, paths in (await library.paths()).items() if paths == [name]]
    (library.folder / name).rename(library.folder.parent / name)
    await library.sync()

    async def is_purged() -> bool:
        return await pipeline.qdrant.point(library.collection, point) is None

    await eventually(is_purged)
    return point


async def test_what_is_purged_and_comes_back_is_new(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    await library.add()
    point = await purged(library, pipeline, "a.jpg")
    assert await library.names() == ["b.jpg"]
    pipeline.forget_ml()
    (library.folder.parent / "a.jpg").rename(library.folder / "a.jpg")
    # Until prepare has heard that the point is gone, the content is known still.
    status = await library.sync()
    assert status["outcomes"]["stored"] + status["outcomes"]["cached"] == 1
    assert await library.paths() == {**await library.paths(), point: ["a.jpg"]}


async def test_what_another_collection_holds_stays_known(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    other = f"{library.collection}-other"
    await pipeline.run(library.folder, collection=other)
    await library.add()
    await purged(library, pipeline, "a.jpg")
    pipeline.forget_ml()
    (library.folder.parent / "a.jpg").rename(library.folder / "a.jpg")
    assert (await library.sync())["outcomes"]["cached"] == 1
    assert pipeline.ml_batches() == []
    assert len(await pipeline.points(other)) == 2
