"""What the stages need on the broker is there before they start, and is refused where it does not fit."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ClusterAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from core.errors import FatalError
from core.settings import Settings
from gateways.kafka import configs
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import INSYNC, changelog, create_topics, wanted, without_spare


async def test_missing_topics_are_created_and_a_changelog_of_another_size_is_refused(kafka: Part) -> None:
    """Faust ignores a missing topic, and fails at the first row where a changelog has other partitions."""
    settings = Settings(kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    other = settings.model_copy(update={"kafka_group_prefix": f"{settings.kafka_group_prefix}-other"})
    odd = changelog(other, "hash")
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


async def test_topics_that_exist_are_configured_and_keep_what_an_operator_has_set(kafka: Part) -> None:
    """Of version 0.1.0: by a publisher's clock, and with tombstones that went after a day."""
    settings = Settings(kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}", kafka_retention_hours=50)
    rows = changelog(settings, "prepare")
    async with administrator(kafka) as admin:
        old = {"cleanup.policy": "compact", "max.message.bytes": "1234567", "message.timestamp.type": "CreateTime"}
        await admin.create_topics([NewTopic(rows, PARTITIONS, 1, topic_configs=old)])
        await partitions(admin, [rows])
        await create_topics(settings, kafka.address)
        wanted_of_rows = {
            "message.timestamp.type": "LogAppendTime",
            "delete.retention.ms": str(50 * 3_600_000),
            "segment.bytes": str(16 << 20),
            "max.compaction.lag.ms": str(24 * 3_600_000),
            "min.cleanable.dirty.ratio": "0.3",
            "max.message.bytes": "1234567",
        }
        await configured(admin, rows, wanted_of_rows)
        for topic in wanted(settings):
            await configured(admin, topic.name, {"message.timestamp.type": "LogAppendTime"})
        with structlog.testing.capture_logs() as logged:
            await create_topics(settings, kafka.address)
        assert logged == [], "what is as it must be is set again"


async def test_times_are_the_brokers(kafka: Part) -> None:
    """A worker an hour ahead was refused (InvalidTimestampError), what came from a week ago was deleted unread."""
    await create_topics(Settings(), kafka.address)
    now = time.time() * 1000
    async with AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
        for topic in ("raw-path", "dead-letter"):
            for hours in (-24 * 365, 2, 24 * 365):
                sent = await producer.send_and_wait(
                    topic, b"{}", timestamp_ms=int(now + hours * 3_600_000), partition=0
                )
                assert sent.timestamp_type == 1, "not by the time of the append"
                assert abs(sent.timestamp - now) < 60_000


@pytest.mark.parametrize("error", [TopicAuthorizationFailedError, ClusterAuthorizationFailedError])
async def test_who_may_not_configure_is_told_and_starts(
    kafka: Part, monkeypatch: pytest.MonkeyPatch, error: type[KafkaError]
) -> None:
    settings = Settings(kafka_group_prefix=f"test-{uuid.uuid4().hex[:8]}")
    await create_topics(settings, kafka.address)

    async def refuse(*_: object) -> None:
        raise error

    changed = settings.model_copy(update={"kafka_retention_hours": settings.kafka_retention_hours + 1})
    with structlog.testing.capture_logs() as logged, monkeypatch.context() as patched:
        patched.setattr("gateways.kafka.configs.alter", refuse)
        await create_topics(changed, kafka.address)
    assert [event["event"] for event in logged] == ["topics-not-configured"]
    assert error.__name__ in logged[0]["reason"]


async def test_a_value_that_a_broker_does_not_take_is_named(kafka: Part) -> None:
    await create_topics(Settings(), kafka.address)
    with structlog.testing.capture_logs() as logged:
        async with administrator(kafka) as admin:
            await configs.keep(admin, {"raw-path": {"segment.bytes": "-1", "retention.ms": "604800001"}})
            await configured(admin, "raw-path", {"retention.ms": "604800001"})
    (said,) = [event for event in logged if event["log_level"] == "warning"]
    assert (said["event"], said["config"]) == ("topic-not-configured", "segment.bytes=-1")


def test_replicas_of_which_one_may_confirm_alone_are_no_spare() -> None:
    def topic(name: str, replicas: int) -> dict[str, Any]:
        return {"topic": name, "partitions": [{"replicas": list(range(replicas))}]}

    topics = [topic("one", 1), topic("weak", 3), topic("strong", 3), topic("unknown", 3)]
    held = {name: {INSYNC: value} for name, value in {"one": "1", "weak": "1", "strong": "2"}.items()}
    assert without_spare(topics, held) == ["weak"]


@asynccontextmanager
async def administrator(kafka: Part) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def configured(admin: AIOKafkaAdminClient, topic: str, values: dict[str, str]) -> None:
    """Wait until the broker says so of a topic."""
    async with asyncio.timeout(HANG_SECONDS):
        while (await configs.describe(admin, [topic], values)).get(topic) != values:
            await asyncio.sleep(0.05)


async def partitions(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, int]:
    """Wait until the broker tells of all topics, and return how many partitions each has."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            found = await admin.describe_topics(list(names))
            if not any(topic["error_code"] for topic in found):
                return {topic["topic"]: len(topic["partitions"]) for topic in found}
            await asyncio.sleep(0.05)
