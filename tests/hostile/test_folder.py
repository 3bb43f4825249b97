"""One job over a folder that holds everything odd: each file ends as it should, and says why; the account is exact."""

import base64
import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from rules.paths import readable, to_wire
from tests import pictures
from tests.hostile import folder
from tests.pipeline import Pipeline, account
from tests.worker import Worker

SETTINGS: dict[str, Any] = {
    "file_timeout_seconds": 6,
    "file_memory_bytes": 256 << 20,
    "max_file_bytes": folder.MAX_FILE_BYTES,
    "max_image_pixels": folder.MAX_IMAGE_PIXELS,
    "cpu_processes": 2,
}


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return SETTINGS


async def test_everything_odd_ends_as_it_should(pipeline: Pipeline, worker: Worker, collection: str) -> None:
    # Short, so that names of 255 bytes fit; no tmp_path, which pytest could not clean up.
    place = Path(tempfile.gettempdir()) / f"dr-{os.getpid()}"
    try:
        folder.fill(place)
        folder.deep(place)
        status = await pipeline.run(place, collection=collection)
        told = {
            base64.b64decode(file["path_b64"]) if file.get("path_b64") else file["path"].encode(): file
            for file in pipeline.bus.outcomes(status["job_id"]).values()
        }
        for odd in folder.FOLDER:
            file = told.pop(os.fsencode(place) + b"/" + odd.name)
            assert (file["outcome"], odd.name) == (odd.outcome, odd.name), file
            assert re.search(odd.reason, file.get("reason") or ""), file
            assert (file["path"], file.get("path_b64")) == to_wire(os.fsencode(place) + b"/" + odd.name)
        (too_deep,) = told.values()
        assert (too_deep["outcome"], too_deep["reason"][-18:]) == ("failed", "File name too long")
        expected = Counter(odd.outcome for odd in folder.FOLDER)
        assert status["outcomes"]["stored"] == expected["stored"]
        assert status["outcomes"]["failed"] == expected["failed"] + 1
        assert status["outcomes"]["skipped"] == expected["skipped"]
        letters = {value["path"] for value in pipeline.bus.values("dead-letter", job_id=status["job_id"])}
        assert len(letters) == expected["failed"] + 1
        points = await pipeline.points(collection)
        assert {readable(os.fsencode(place) + b"/" + odd.name) for odd in folder.STORED} == points.keys()
        assert "gps" not in points[f"{place}/gps out of range.jpg"]
        assert "taken_at" not in points[f"{place}/date of nothing.jpg"]
        assert not worker.has_ended()
    finally:
        for odd in folder.FAILED:
            if odd.name.startswith(b"forbidden"):
                (place / os.fsdecode(odd.name)).chmod(0o700)
        shutil.rmtree(place)


async def test_a_file_that_is_still_being_written_is_taken_when_it_is_whole(
    pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    """In parts, with pauses, as over a network: between two of them it looks like a damaged picture."""
    whole = pictures.jpeg(int.from_bytes(os.urandom(6)), 900, 700)
    path = tmp_path / "growing.jpg"
    size = len(whole) // 10

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for begin in range(0, len(whole), size):
                file.write(whole[begin : begin + size])
                time.sleep(0.2)

    writer = threading.Thread(target=write)
    writer.start()
    await pipeline.bus.until(path.exists, "the file")
    job_id = await pipeline.scan(tmp_path, collection=collection)
    status = account(await pipeline.bus.finished(job_id))
    writer.join()
    assert status["outcomes"]["stored"] == 1, pipeline.bus.outcomes(job_id)
    (point,) = (await pipeline.points(collection)).values()
    assert point["file_hash"] == sha256(whole).hexdigest()
