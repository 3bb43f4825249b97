"""A job that is over is forgotten by request. No worker runs."""

import pytest

from tests.api.events import START, outcomes, queued, seen
from tests.api.events import sealed as seals
from tests.api.service import Service
from tests.bus import PARTITIONS
from topics.job_event import AnyJobEvent

pytestmark = pytest.mark.asyncio(loop_scope="module")


def done(job_id: str, at: float = START) -> list[AnyJobEvent]:
    sealed = seals(job_id, PARTITIONS, at=at)
    return [queued(job_id, at=at), seen(job_id, ["a"], at=at), *sealed, outcomes(job_id, {"a": "failed"}, at=at)]


async def test_its_files_go_its_last_status_stays_and_what_comes_late_changes_nothing(
    service: Service, job_id: str
) -> None:
    before = await service.status(job_id, offset=await service.publish(*done(job_id)))
    answer = await service.http.post(f"ingest/{job_id}/forget")
    assert answer.status_code == 202
    assert "last status stays" in answer.json()["message"]
    status = await service.get(f"ingest/status/{job_id}")
    assert status["forgotten"] is True
    assert (status["status"], status["outcomes"], status["end_time"]) == (
        "completed_with_errors",
        before["outcomes"],
        before["end_time"],
    )
    files = await service.http.get(f"ingest/{job_id}/files")
    assert (files.status_code, "was forgotten" in files.json()["detail"]) == (410, True)

    await service.publish(seen(job_id, ["b"]), outcomes(job_id, {"a": "stored"}, replay=True))
    await service.status(f"{job_id}-next", offset=await service.publish(queued(f"{job_id}-next")))
    # The one that follows may stand on another partition.
    again = await service.http.post(f"ingest/{job_id}/forget")
    assert again.status_code == 202
    assert await service.get(f"ingest/status/{job_id}") == status
    assert job_id in {job["job_id"] for job in (await service.get("ingest/recent_jobs", find=job_id))["jobs"]}


async def test_one_that_is_not_over_is_not_forgotten(service: Service, job_id: str) -> None:
    await service.status(job_id, offset=await service.publish(queued(job_id), seen(job_id, ["a"])))
    refused = await service.http.post(f"ingest/{job_id}/forget")
    assert (refused.status_code, "when it is over" in refused.json()["detail"]) == (409, True)
    assert (await service.http.post("ingest/nobody/forget")).status_code == 404


async def test_all_sources_of_a_job_can_be_asked_for(service: Service, job_id: str) -> None:
    many = [f"/photos/{number}" for number in range(1000)]
    event = queued(job_id).model_copy(update={"sources": many})
    status = await service.status(job_id, offset=await service.publish(event))
    assert (status["sources"], status["sources_total"]) == (many[:20], 1000)
    assert await service.get(f"ingest/{job_id}/sources") == {"sources": many}
