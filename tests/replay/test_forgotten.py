"""What is replayed from a job that was forgotten runs as a new job, and the answer says so."""

from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.api.service import Service, eventually
from tests.pipeline import Pipeline, account
from tests.replay.conftest import run_to_its_end


async def forgotten(pipeline: Pipeline, service: Service, folder: Path, collection: str) -> dict[str, Any]:
    """Run a job over a folder, and forget it; return its last status."""
    job_id = (await pipeline.run(folder, collection=collection))["job_id"]

    async def known() -> bool:
        return (await service.http.get(f"ingest/status/{job_id}")).json().get("end_time") is not None

    await eventually(known)
    answer = await service.http.post(f"ingest/{job_id}/forget")
    assert answer.status_code == 202, answer.text
    return await service.get(f"ingest/status/{job_id}")


async def test_its_failed_files_run_again_as_a_new_job(
    pipeline: Pipeline, service: Service, collection: str, tmp_path: Path
) -> None:
    pictures.write_new(tmp_path, 2)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures.jpeg(7610)[:2000])
    old = await forgotten(pipeline, service, tmp_path, collection)
    assert (old["status"], old["forgotten"]) == ("completed_with_errors", True)
    broken.write_bytes(pictures.jpeg(7611))

    response = await service.http.post(f"ingest/{old['job_id']}/retry-failed")
    decided = response.json()
    assert (decided["done"], list(decided["jobs"])) == (1, [old["job_id"]])
    new = account(await pipeline.bus.finished(decided["jobs"][old["job_id"]]))
    assert (new["status"], new["outcomes"]["stored"], new["total_files"]) == ("completed", 1, 1)
    assert new["collection"] == collection
    assert any(old["job_id"] in line for line in new["logs"])
    assert str(broken) in await pipeline.points(collection)
    assert await service.get(f"ingest/status/{old['job_id']}") == old


@pytest.mark.parametrize("topic", ["raw-path", "scan-request", "db-write", "job-event"])
async def test_its_topics_run_again_as_a_new_job(
    pipeline: Pipeline, service: Service, collection: str, tmp_path: Path, topic: str
) -> None:
    pictures.write_new(tmp_path, 3)
    old = await forgotten(pipeline, service, tmp_path, collection)
    run = await run_to_its_end(service, "replay", topic=topic, job_id=old["job_id"])
    if topic == "job-event":
        assert (run["published"], run["jobs"]) == (0, {})
        assert "events of jobs that were forgotten" in run["left_out"]
    else:
        new = account(await pipeline.bus.finished(run["jobs"][old["job_id"]]))
        assert (new["status"], new["total_files"]) == ("completed", 3)
    assert await service.get(f"ingest/status/{old['job_id']}") == old
