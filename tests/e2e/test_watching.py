"""Sources that are watched, end to end: what changes on the disk is searchable soon, with few jobs."""

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.api.service import Service, eventually
from tests.e2e.test_syncs import Library, left, write
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.worker import Worker
from topics.job_status import FINISHED, REMOVALS_SETTLED

SOON_SECONDS = 3.0


class WatchedLibrary(Library):
    """A source that is watched, and the jobs that looked at it."""

    async def watched(self, state: str = "watching") -> dict[str, Any]:
        """Wait until it is watched, or is not; return what its status says."""

        async def look() -> dict[str, Any] | None:
            told = (await self._service.get(f"sources/{self.name}"))["watching"]
            return told if told is not None and told["state"] == state else None

        return await eventually(look)

    async def jobs(self, count: int = 0) -> list[dict[str, Any]]:
        """Return the jobs of the collection in their order, at least so many, when all is settled."""

        async def look() -> list[dict[str, Any]] | None:
            found = (await self._service.get("ingest/recent_jobs", collection=self.collection, limit=100))["jobs"]
            settled = [job for job in found if job["removals"] and job["removals"]["state"] in REMOVALS_SETTLED]
            is_over = len(settled) == len(found) >= count and all(job["status"] in FINISHED for job in found)
            return found[::-1] if is_over else None

        return await eventually(look)

    async def until(self, *names: str) -> None:
        """Wait until these are the paths of the collection."""

        async def look() -> bool:
            return await self.names() == sorted(names)

        await eventually(look)


@pytest.fixture
async def library(service: Service, pipeline: Pipeline, photos: Path, collection: str) -> AsyncIterator[WatchedLibrary]:
    library = WatchedLibrary(service, pipeline, photos, f"s-{uuid.uuid4().hex[:12]}", collection)
    yield library
    await service.http.delete(f"sources/{library.name}")


async def test_a_picture_is_found_soon_after_its_last_byte(library: WatchedLibrary, photos: Path) -> None:
    write(photos, "a.jpg")
    await library.add(watch=True)
    assert await library.watched() == {"state": "watching", "folders": 1, "every_seconds": None, "reason": None}
    taken = []
    for number in range(3):
        write(photos, f"new-{number}.jpg")
        begun = time.monotonic()
        await library.until("a.jpg", *(f"new-{one}.jpg" for one in range(number + 1)))
        taken.append(time.monotonic() - begun)
    assert min(taken) < SOON_SECONDS
    assert [job["total_files"] for job in await library.jobs()] == [1, 1, 1, 1]


async def test_moves_edits_and_folders_are_followed(library: WatchedLibrary, pipeline: Pipeline, photos: Path) -> None:
    write(photos, "a.jpg", "b.jpg", "2023/c.jpg", "2023/d.jpg")
    await library.add(watch=True, exclude=["private/"])
    await library.watched()
    of = {path: point for point, paths in (await library.paths()).items() for path in paths}
    pipeline.forget_ml()

    (photos / "2023").rename(photos / "2024")
    (photos / "a.jpg").rename(photos / "moved.jpg")
    await library.until("b.jpg", "moved.jpg", "2024/c.jpg", "2024/d.jpg")
    assert left((await library.jobs())[-1]) == {"moved": 3}
    after = {path: point for point, paths in (await library.paths()).items() for path in paths}
    assert after == {"b.jpg": of["b.jpg"], "moved.jpg": of["a.jpg"], "2024/c.jpg": of["2023/c.jpg"],
                     "2024/d.jpg": of["2023/d.jpg"]}  # fmt: skip
    assert pipeline.ml_batches() == []

    # A whole folder goes, and comes back as another.
    (photos / "2024").rename(photos.parent / "away")
    await library.until("b.jpg", "moved.jpg")
    assert left((await library.jobs())[-1]) == {"gone": 2}
    (photos.parent / "away").rename(photos / "back")
    await library.until("b.jpg", "moved.jpg", "back/c.jpg", "back/d.jpg")
    assert pipeline.ml_batches() == []

    # A program writes beside, and renames; nothing of what is left out is looked at.
    (photos / "private").mkdir()
    write(photos, "private/x.jpg")
    write(photos.parent, "edited.jpg")
    (photos.parent / "edited.jpg").rename(photos / "b.jpg")
    *before, edited = await library.jobs(5)
    assert (edited["total_files"], edited["sources"], left(edited)) == (1, [str(photos / "b.jpg")], {"replaced": 1})
    assert len(before) == 4


async def test_a_burst_is_one_walk_and_what_is_nothing_new_no_job(library: WatchedLibrary, photos: Path) -> None:
    write(photos, "a.jpg")
    await library.add(watch=True)
    await library.watched()
    kept = photos.parent / "kept"
    kept.mkdir()
    pictures.write_new(kept, 500)
    await asyncio.to_thread(shutil.copytree, kept, photos / "burst")
    _, burst = await library.jobs(2)
    assert (burst["total_files"], burst["status"]) == (500, "completed"), burst["outcomes"]

    (photos / "notes.txt").write_text("no picture")
    (photos / "a.jpg").chmod(0o600)
    write(photos, "temporary.jpg")
    (photos / "temporary.jpg").unlink()
    write(photos, "last.jpg")
    *_, last = await library.jobs(3)
    assert (last["total_files"], last["sources"]) == (1, [str(photos / "last.jpg")])


async def test_a_file_that_is_written_slowly_is_one_version(library: WatchedLibrary, photos: Path) -> None:
    write(photos, "a.jpg")
    await library.add(watch=True)
    await library.watched()
    write(photos.parent, "whole.jpg")
    whole = (photos.parent / "whole.jpg").read_bytes()
    # In place, as `rsync --inplace` does, over what was there; and a copy that pauses.
    with (photos / "a.jpg").open("r+b") as inplace, (photos / "copy.jpg").open("wb") as copy:
        copy.write(whole[: len(whole) // 2])
        for part in range(0, len(whole), len(whole) // 4):
            inplace.seek(part)
            inplace.write(whole[part : part + len(whole) // 4])
            inplace.flush()
            copy.flush()
            await asyncio.sleep(1.5)  # the pause itself
        inplace.truncate(len(whole))
        copy.write(whole[len(whole) // 2 :])
    os.utime(photos / "a.jpg", ns=(10**18, 10**18))
    await library.until("a.jpg", "copy.jpg")
    first, *later = await library.jobs(2)
    assert first["total_files"] == 1
    # Both hold the same in the end, and neither was taken in before.
    assert sum(job["total_files"] for job in later) == 2
    assert sum(job["outcomes"]["stored"] for job in later) == 1


async def test_what_changes_while_nobody_watches_is_found_by_a_look_at_the_start(
    service: Service, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, photos: Path, collection: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    library = WatchedLibrary(service, idle_pipeline, photos, f"s-{uuid.uuid4().hex[:12]}", collection)
    write(photos, "a.jpg", "b.jpg")
    with Worker(kafka, qdrant, ml, tmp_path / "first") as worker:
        await library.add(watch=True)
        await library.watched()
        worker.kill()
    write(photos, "c.jpg")
    (photos / "a.jpg").rename(photos / "moved.jpg")
    (photos / "b.jpg").unlink()
    with Worker(kafka, qdrant, ml, tmp_path / "second"):
        await library.until("c.jpg", "moved.jpg")
        assert left((await library.jobs())[-1]) == {"moved": 1, "gone": 1}
        write(photos, "d.jpg")
        await library.until("c.jpg", "moved.jpg", "d.jpg")
        response = await service.http.post(f"sources/{library.name}/pause")
        assert response.json()["watching"] is None
