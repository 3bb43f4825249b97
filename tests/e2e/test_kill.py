"""Kill -9 in the middle of a job: the account is exact all the same."""

from functools import partial
from pathlib import Path

import httpx
import pytest

from tests import pictures
from tests.pipeline import Pipeline, account
from tests.worker import Worker


@pytest.mark.chaos  # the short chaos, which is part of `make test`, kills workers, too
async def test_a_killed_worker_goes_on_where_it_was(
    pipeline: Pipeline, collection: str, tmp_path: Path, worker: Worker
) -> None:
    pictures.write(tmp_path, range(4000, 4120))
    for number in range(10):
        (tmp_path / f"copy-{number}.jpg").write_bytes(pictures.jpeg(4000 + number))
        (tmp_path / f"broken-{number}.jpg").write_bytes(b"no picture %d" % number)
    httpx.post(f"{pipeline.ml.url}/control", json={"delay_per_image": 0.2}).raise_for_status()
    job_id = await pipeline.scan(tmp_path, collection=collection)
    bus = pipeline.bus

    def reached(goal: int) -> bool:
        return processed() >= goal

    def processed() -> int:
        return max((status["processed_files"] for status in bus.values("job-status", job_id=job_id)), default=0)

    for goal in (28, 70):
        await bus.until(partial(reached, goal), f"{goal} of the files")
        assert processed() < 140, "the job was too quick to be killed in its middle"
        worker.kill()
        worker.start()
    status = account(await bus.finished(job_id))

    assert status["status"] == "completed_with_errors"
    assert status["outcomes"]["stored"] == 120
    assert status["outcomes"]["duplicate"] == 10
    assert status["outcomes"]["failed"] == 10
    points = await pipeline.points(collection)
    assert len(points) == 130
    assert len({point["file_hash"] for point in points.values()}) == 120
