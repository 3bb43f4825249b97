"""A small job does not wait for a large one."""

import os
import time
from pathlib import Path

from tests import pictures
from tests.pipeline import Pipeline, account

FILES = 30_000  # half of them take several times as long as the small job


async def test_a_small_job_ends_while_a_large_one_runs(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    originals = pictures.write_new(tmp_path / "originals", 100)
    large = tmp_path / "large"
    large.mkdir()
    for number in range(FILES):
        os.link(originals[number % len(originals)], large / f"{number:06d}.jpg")
    pictures.write_new(tmp_path / "small", 10)

    big = await pipeline.scan(large, collection=collection)
    await pipeline.bus.until(lambda: done(pipeline, big) >= 500, "the large job to be under way")
    status = await pipeline.run(tmp_path / "small", collection=collection)
    assert status["outcomes"]["stored"] == 10
    assert done(pipeline, big) < FILES / 2, "it was not large enough to be in the way"

    await pipeline.bus.publish("job-event", big, {"type": "cancel", "job_id": big, "at": time.time()})
    ended = account(await pipeline.bus.finished(big))
    assert (ended["status"], ended["outcomes"]["failed"]) == ("cancelled", 0)
    assert ended["total_files"] < FILES


def done(pipeline: Pipeline, job_id: str) -> int:
    """Return how many files of a job have their outcome, as its newest status tells."""
    told: list[int] = [status["processed_files"] for status in pipeline.bus.values("job-status", job_id=job_id)]
    return max(told, default=0)
