"""Who holds a file in a collection stays its holder when the file begins again."""

import uuid
from pathlib import Path

import pytest

from tests import pictures
from tests.api.service import Service, eventually
from tests.e2e.test_syncs import Library, left, write
from tests.pipeline import Pipeline


@pytest.fixture
def library(service: Service, pipeline: Pipeline, photos: Path, collection: str) -> Library:
    return Library(service, pipeline, photos, f"s-{uuid.uuid4().hex[:12]}", collection)


async def test_a_file_whose_dead_letter_was_replayed_can_be_left_out_by_its_source(
    service: Service, library: Library
) -> None:
    write(library.folder, "a.jpg")
    whole = pictures.jpeg(uuid.uuid4().int % 10**9)
    (library.folder / "b.jpg").write_bytes(whole[:2000])
    first = await library.add()
    assert (first["outcomes"]["stored"], first["outcomes"]["failed"]) == (1, 1)
    (library.folder / "b.jpg").write_bytes(whole)
    retried = await service.http.post(f"ingest/{first['job_id']}/retry-failed")
    assert retried.status_code == 200, retried.text

    async def both_are_there() -> bool:
        return await library.names() == ["a.jpg", "b.jpg"]

    await eventually(both_are_there)
    (library.folder / ".darkroomignore").write_text("b.jpg\n")
    status = await library.sync()
    assert (left(status), status["removals"]["state"]) == ({"excluded": 1}, "removed")
    assert await library.names() == ["a.jpg"]
