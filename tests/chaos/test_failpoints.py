"""A kill at each point where the design closes a hole: the account is exact all the same."""

import signal
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

import failpoints
from tests import pictures
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

PHOTOS = 12
QUICK: dict[str, Any] = {"kafka_session_timeout_seconds": 2}
FIRST_SEEDS = {name: 7000 + 100 * number for number, name in enumerate(get_args(failpoints.Point))}


def fill(folder: Path, seed: int) -> None:
    """Write photographs, copies of some, and broken files."""
    pictures.write(folder, range(seed, seed + PHOTOS))
    for number in range(4):
        (folder / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seed + number))
        (folder / f"broken-{number}.jpg").write_bytes(b"no picture %d %d" % (seed, number))


@pytest.mark.chaos
@pytest.mark.parametrize("point", get_args(failpoints.Point))
async def test_a_kill_here_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    fill(photos, FIRST_SEEDS[point])
    # Slow enough that copies are waiting while their original is with ML.
    httpx.post(f"{ml.url}/control", json={"delay_per_image": 0.1}).raise_for_status()
    data = tmp_path / "data"
    with Worker(kafka, qdrant, ml, data, darkroom_failpoint=f"{point}:2", **QUICK) as worker:
        job_id = await idle_pipeline.scan(photos, collection=collection)
        await idle_pipeline.bus.until(worker.has_ended, f"a kill at {point}")
        assert worker.exit_code == -signal.SIGKILL
    with Worker(kafka, qdrant, ml, data, **QUICK):
        status = account(await idle_pipeline.bus.finished(job_id, 60))
    assert status["outcomes"] == {
        "stored": PHOTOS, "cached": 0, "duplicate": 4, "unchanged": 0, "skipped": 0, "failed": 4,
    }  # fmt: skip
    points = await idle_pipeline.points(collection)
    assert len(points) == PHOTOS + 4
    assert len({point["file_hash"] for point in points.values()}) == PHOTOS
    letters = {value["path"] for value in idle_pipeline.bus.values("dead-letter", job_id=job_id)}
    assert letters == {str(photos / f"broken-{number}.jpg") for number in range(4)}
