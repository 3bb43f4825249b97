"""Edits, end to end: a file whose metadata alone has changed keeps its picture's history, and costs no ML call."""

import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.api.service import Service
from tests.e2e.test_syncs import Library, left, write
from tests.pipeline import Pipeline


@pytest.fixture
def library(service: Service, pipeline: Pipeline, photos: Path, collection: str) -> Library:
    return Library(service, pipeline, photos, f"s-{uuid.uuid4().hex[:12]}", collection)


async def vectors(pipeline: Pipeline, collection: str) -> dict[str, list[float]]:
    """Return the vector of each picture that has a path, by the name of that."""
    found, _ = await pipeline.qdrant.page(collection, limit=1000)
    points = await pipeline.qdrant.points(collection, [point.id for point in found])
    return {Path(point.payload["paths"][0]).name: list(point.vector) for point in points}


def history(payload: dict[str, Any]) -> tuple[str, str]:
    return payload["job_id"], payload["ingested_at"]


async def test_an_edit_of_metadata_keeps_vector_and_history_and_one_of_pixels_goes_to_ml(
    library: Library, pipeline: Pipeline
) -> None:
    folder = library.folder
    write(folder, "exif.jpg", "xmp.jpg", "comment.jpg", "pixels.jpg", "still.jpg")
    first = await library.add()
    before, embedded = await pipeline.points(library.collection), await vectors(pipeline, library.collection)
    pipeline.forget_ml()

    (folder / "exif.jpg").write_bytes(pictures.described((folder / "exif.jpg").read_bytes(), "At the sea"))
    (folder / "xmp.jpg").write_bytes(pictures.with_xmp((folder / "xmp.jpg").read_bytes(), "The sea"))
    commented = (folder / "comment.jpg").read_bytes()
    mark = commented.index(b"\xff\xfe")
    (folder / "comment.jpg").write_bytes(commented[: mark + 4] + b"X" + commented[mark + 5 :])
    write(folder, "pixels.jpg")
    second = await library.sync()
    assert (second["outcomes"]["cached"], second["outcomes"]["stored"], second["outcomes"]["unchanged"]) == (3, 1, 1)
    assert left(second) == {"replaced": 4}
    assert pipeline.ml_batches() == [["pixels.jpg"]]

    after = await pipeline.points(library.collection)
    named = {Path(path).name: payload for path, payload in after.items()}
    assert set(after) == set(before)
    assert (named["exif.jpg"]["description"], named["xmp.jpg"]["title"]) == ("At the sea", "The sea")
    kept = {path: history(payload) for path, payload in before.items()}
    assert kept == {path: history(payload) for path, payload in after.items()} | {
        str(folder / "pixels.jpg"): kept[str(folder / "pixels.jpg")]
    }
    assert (named["pixels.jpg"]["job_id"], named["exif.jpg"]["job_id"]) == (second["job_id"], first["job_id"])
    moved_on = await vectors(pipeline, library.collection)
    same = [name for name in sorted(moved_on) if moved_on[name] == embedded[name]]
    assert same == ["comment.jpg", "exif.jpg", "still.jpg", "xmp.jpg"]

    # Their answer is known from now on, also where it was taken over.
    (folder / "exif.jpg").write_bytes(pictures.described((folder / "exif.jpg").read_bytes(), "By the sea"))
    shutil.copy(folder / "xmp.jpg", folder / "copy.jpg")
    pipeline.forget_ml()
    third = await library.sync()
    outcomes = third["outcomes"]
    assert (outcomes["cached"], outcomes["duplicate"], outcomes["unchanged"]) == (1, 1, 4)
    assert left(third) == {"replaced": 1}
    assert pipeline.ml_batches() == []


async def test_an_edit_that_an_ingest_saw_first_ends_right(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg")
    shutil.copy(library.folder / "a.jpg", library.folder / "copy.jpg")
    await library.add()
    before = history((await pipeline.points(library.collection))[str(library.folder / "a.jpg")])
    pipeline.forget_ml()
    edited = pictures.described((library.folder / "a.jpg").read_bytes(), "An edit")
    (library.folder / "a.jpg").write_bytes(edited)
    (library.folder / "copy.jpg").write_bytes(edited)
    ingested = await pipeline.run(library.folder, collection=library.collection)
    assert (ingested["outcomes"]["cached"], ingested["outcomes"]["duplicate"]) == (1, 1)
    status = await library.sync()
    assert (status["outcomes"]["unchanged"], left(status)) == (2, {"replaced": 2})
    assert sorted(await library.names()) == ["a.jpg", "copy.jpg"]
    payload = (await pipeline.points(library.collection))[str(library.folder / "a.jpg")]
    assert (history(payload), payload["description"]) == (before, "An edit")
    assert pipeline.ml_batches() == []


async def test_another_collection_takes_the_edit_over_too(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg")
    await library.add()
    before = history((await pipeline.points(library.collection))[str(library.folder / "a.jpg")])
    pipeline.forget_ml()
    path = library.folder / "a.jpg"
    path.write_bytes(pictures.described(path.read_bytes(), "An edit"))
    other = await pipeline.run(library.folder, collection=f"{library.collection}-other")
    status = await library.sync()
    assert [one["outcomes"]["cached"] for one in (other, status)] == [1, 1]
    assert left(status) == {"replaced": 1}
    assert history((await pipeline.points(library.collection))[str(path)]) == before
    assert pipeline.ml_batches() == []
