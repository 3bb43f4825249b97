"""What a sync asks of the stages behind its own end is asked again where its messages were deleted unread."""

import json
import uuid
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from core.settings import Settings
from tests import pictures
from tests.api.service import serving
from tests.bus import PARTITIONS
from tests.chaos.test_syncs import settled
from tests.parts import Part
from tests.pipeline import Pipeline
from tests.worker import Worker


async def test_a_count_and_a_removal_that_were_lost_are_asked_again(
    idle_pipeline: Pipeline,
    kafka: Part,
    qdrant: Part,
    ml: Part,
    collection: str,
    settings: Settings,
    photos: Path,
    short: dict[str, Any],
    tmp_path: Path,
) -> None:
    bus, name, data = idle_pipeline.bus, f"s-{uuid.uuid4().hex[:12]}", tmp_path / "worker"
    paths = pictures.write_new(photos, 6)
    source = {"name": name, "folder": str(photos), "collection": collection}
    await bus.publish("source", name, source)
    with Worker(kafka, qdrant, ml, data, **short):
        await settled(idle_pipeline, name, 1)
    for path in paths[:2]:
        path.unlink()
    await bus.publish("source", name, source | {"exclude": ["*.tmp"]})

    def tallies() -> list[ConsumerRecord]:
        found = [
            record
            for record in bus.records
            if record.topic == "db-write" and record.value and b'"tally"' in record.value
        ]
        return found if len(found) >= PARTITIONS else []

    def removals() -> list[ConsumerRecord]:
        found = [record for record in bus.records if record.topic == "raw-path" and phase_of(record) == "remove"]
        return found if len(found) >= PARTITIONS else []

    with Worker(kafka, qdrant, ml, data, "scan,hash,prepare,embed,track", **short):
        lost = await bus.until(tallies, "that what has left is to be counted")
    await delete(kafka, lost)
    async with serving(settings):
        with Worker(kafka, qdrant, ml, data, "prepare,store,track", **short):
            lost = await bus.until(removals, "that it is to be removed")
        await delete(kafka, lost)
        with Worker(kafka, qdrant, ml, data, **short):
            status = await settled(idle_pipeline, name, 2)
    assert (status["removals"]["state"], status["removals"]["gone"]) == ("removed", 2)
    assert {event["attempt"] for event in bus.events(status["job_id"], "asked-again")} >= {1, 2}
    assert set(await idle_pipeline.points(collection)) == set(map(str, paths[2:]))


def phase_of(record: ConsumerRecord) -> str | None:
    """Return what a step of a sweep is to do."""
    asked = dict(record.headers).get("sweep")
    return None if asked is None else str(json.loads(asked).get("phase", "look"))


async def delete(kafka: Part, records: list[ConsumerRecord]) -> None:
    """Delete messages of a topic with all before them, as its retention does."""
    before = {
        TopicPartition(one.topic, one.partition): RecordsToDelete(before_offset=one.offset + 1) for one in records
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_records(before)
    finally:
        await admin.close()
