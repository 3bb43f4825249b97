"""What the stages need on the broker is there before they start, and is refused where it does not fit."""

import asyncio
import uuid
from collections.abc import Iterable

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from errors import FatalError
from settings import Settings
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import changelog, create_topics, wanted


async def test_missing_topics_are_created_and_a_changelog_of_another_size_is_refused(kafka: Part) -> None:
    """Faust ignores a missing topic, and fails at the first row where a changelog has other partitions."""
    settings = Settings(kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    other = settings.model_copy(update={"kafka_group_prefix": f"{settings.kafka_group_prefix}-other"})
    odd = changelog(other, "hash", "fingerprints")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(odd, PARTITIONS - 1, 1)])
        await create_topics(settings, kafka.address)
        names = [topic.name for topic in wanted(settings)]
        assert await partitions(admin, [*names, odd]) == dict.fromkeys(names, PARTITIONS) | {odd: PARTITIONS - 1}
        await create_topics(settings, kafka.address)
        with pytest.raises(FatalError, match=f"{odd} has {PARTITIONS - 1} partitions"):
            await create_topics(other, kafka.address)
    finally:
        await admin.close()


async def partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Wait until the broker tells of all topics, and return how many partitions each has."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            found = await admin.describe_topics(list(names))
            if not any(topic["error_code"] for topic in found):
                return {topic["topic"]: len(topic["partitions"]) for topic in found}
            await asyncio.sleep(0.05)
