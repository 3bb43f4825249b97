"""The service while its broker is killed and comes back."""

from pathlib import Path

import pytest

from core.settings import Settings
from embedded.ports import free_port
from tests import parts
from tests.api.events import queued, seen
from tests.api.service import eventually, serving


async def test_jobs_are_told_meanwhile_and_submits_work_again_afterwards(
    own: Settings, photos: Path, collection: str, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.publisher.CONFIRM_SECONDS", 2.0)
    port = free_port()
    folder = own.darkroom_data.parent
    arguments = parts.kafka_arguments(folder / "kafka", port)
    broker = parts.start("Kafka", arguments, port, folder / "kafka.log")
    try:
        async with serving(own.model_copy(update={"kafka_brokers": broker.address})) as service:
            await service.status(job_id, offset=await service.publish(queued(job_id)))
            broker.kill()
            body = {"directory_path": str(photos), "collection": collection, "job_id": f"{job_id}-2"}
            refused = await service.http.post("ingest/scan", json=body)
            assert refused.status_code == 503
            assert "Kafka" in refused.json()["detail"]
            assert (await service.status(job_id))["status"] == "queued"
            ready = (await service.http.get("http://127.0.0.1/ready")).json()
            assert (ready["ready"], ready["parts"]["kafka"]["ready"]) == (False, False)

            broker = parts.start("Kafka", arguments, port, folder / "kafka.log")

            async def accepted() -> bool:
                return (await service.http.post("ingest/scan", json=body)).status_code == 202

            await eventually(accepted)
            offset = await service.publish(seen(job_id, ["a.jpg"]))
            assert (await service.status(job_id, offset=offset))["total_files"] == 1
    finally:
        broker.kill()
