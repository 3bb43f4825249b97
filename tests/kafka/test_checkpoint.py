"""What stands in a job's own row, such as its seals, is written at checkpoints: no event is acked without its own."""

import asyncio
import uuid
from pathlib import Path
from typing import Any, cast

from agents import track
from agents.producer import new_producer
from agents.stage import Parts
from settings import Settings
from tests.bus import PARTITIONS, Bus
from tests.parts import Part
from topics.admin import create_topics

JOBS = 20


async def test_a_revoke_between_an_event_and_its_checkpoint_loses_nothing(kafka: Part, tmp_path: Path) -> None:
    settings = Settings(kafka_brokers=kafka.address, kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    await create_topics(settings, kafka.address)
    errors: list[BaseException] = []
    nothing = cast(Any, None)  # track talks to Kafka only
    producer = new_producer(settings)
    stage = track.build(Parts(settings, nothing, nothing, nothing, nothing, producer, errors.append), tmp_path)
    jobs = [f"job-{uuid.uuid4().hex[:12]}" for _ in range(JOBS)]

    async def revoke() -> None:
        while True:
            await stage.app.on_partitions_revoked.send(set())
            await asyncio.sleep(0.03)

    async with Bus(kafka.address, "job-status") as bus, producer:
        await stage.app.start()
        revoking = asyncio.create_task(revoke())
        for partition in range(PARTITIONS):
            for job in jobs:
                seal = {"job_id": job, "type": "sealed", "at": 1.0, "walk_id": "walk", "partition": partition}
                await bus.publish("job-event", job, seal | {"partitions": PARTITIONS})
        try:
            await bus.until(
                lambda: set(jobs) <= {status["job_id"] for status in bus.values("job-status", status="completed")},
                "the end of all jobs",
                15,
            )
        finally:
            revoking.cancel()
            stage.close()
            await stage.app.stop()
    assert errors == []
