"""Creates the topics, and refuses to start where those that exist do not fit. Configures them, new or not.

Faust ignores a topic that does not exist when a worker starts (faust-streaming #558): so this runs first.
"""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidConfigurationError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    for_code,
)

from core.errors import FatalError
from core.settings import Settings, Stage
from gateways.kafka import configs
from gateways.kafka.client import administering
from gateways.kafka.connection import client_options
from topics.dead_letter import DEAD_LETTER
from topics.job_status import JOB_STATUS
from topics.limits import MAX_DEAD_LETTER_BYTES, MAX_MESSAGE_BYTES
from topics.topology import TOPICS, TOPOLOGY

HOUR_MS = 3_600_000
INSYNC = "min.insync.replicas"
WITHOUT_SPARE = (
    f"They have replicas, but with {INSYNC}=1 one broker alone may confirm a message, which is lost with that broker. "
    "Set KAFKA_MIN_INSYNC_REPLICAS=2 for new topics, and it on those that exist."
)

log = structlog.get_logger()


def changelog(settings: Settings, stage: Stage) -> str:
    """Return the name that Faust gives to the changelog of a stage's table."""
    return f"{settings.group(stage)}-{TOPOLOGY[stage].table}-changelog"


def changelogs(settings: Settings) -> list[str]:
    """Return the changelogs of all tables."""
    return [changelog(settings, stage) for stage, node in TOPOLOGY.items() if node.table]


def wanted(settings: Settings) -> list[NewTopic]:
    """Return every topic that the stages need, with its partition count, and its configuration as it is created."""
    retention = {"retention.ms": str(settings.kafka_retention_hours * HOUR_MS)}
    compact = {"cleanup.policy": "compact"}
    all_topics = {
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        # Our producers wait for all replicas in sync; this is how many must be.
        "min.insync.replicas": str(settings.kafka_min_insync_replicas),
    }

    def topic(name: str, configs: dict[str, str]) -> NewTopic:
        return NewTopic(
            name,
            num_partitions=settings.kafka_partitions,
            replication_factor=settings.kafka_replication_factor,
            topic_configs=all_topics | configs,
        )

    return [
        *(topic(known.name, compact if known.compacted else retention) for known in TOPICS),
        topic(DEAD_LETTER, retention | {"max.message.bytes": str(MAX_DEAD_LETTER_BYTES)}),
        *(topic(name, compact) for name in changelogs(settings)),
    ]


def kept_configs(settings: Settings) -> dict[str, dict[str, str]]:
    """Return by topic the configuration that holds also where the topic exists already."""
    # By the broker's clock: it refuses what is an hour ahead of its own, and deletes unread what is a week behind.
    every = {"message.timestamp.type": "LogAppendTime"}
    compacted = every | {
        # A worker that was away for less has to see that a row went.
        "delete.retention.ms": str(settings.kafka_retention_hours * HOUR_MS),
        # The segment that is written to is not compacted.
        "segment.bytes": str(16 << 20),
        "max.compaction.lag.ms": str(24 * HOUR_MS),
        "min.cleanable.dirty.ratio": "0.3",
    }
    # Many documents of few jobs, and each worker reads all of it as it starts.
    statuses = compacted | {"segment.bytes": str(4 << 20), "max.compaction.lag.ms": str(HOUR_MS // 2)}
    found = {topic.name: every for topic in TOPICS} | {DEAD_LETTER: every, JOB_STATUS.name: statuses}
    return found | dict.fromkeys(changelogs(settings), compacted)


def without_spare(topics: list[dict[str, Any]], held: configs.Configs) -> list[str]:
    """Return the topics with replicas of which one alone may confirm a message: what it confirmed goes with it."""
    return [
        topic["topic"]
        for topic in topics
        if any(len(partition["replicas"]) > 1 for partition in topic["partitions"])
        and held.get(topic["topic"], {}).get(INSYNC) == "1"
    ]


async def create_topics(settings: Settings, brokers: str) -> None:
    """Create what is missing, and configure what is there.

    Raises FatalError when the brokers cannot be reached or a topic exists with another partition count.
    """
    async with AsyncExitStack() as stack:
        try:
            admin = await stack.enter_async_context(
                administering(client_options(settings) | {"bootstrap_servers": brokers})
            )
        except KafkaError as error:
            raise FatalError(
                f"No Kafka broker answers at {brokers}: {error}. Start one, or set KAFKA_BROKERS to where it is."
            ) from error
        existing = {
            known["topic"]: len(known["partitions"])
            for known in await admin.describe_topics([topic.name for topic in wanted(settings)])
            if known["error_code"] == 0
        }
        for name, partitions in existing.items():
            if partitions != settings.kafka_partitions:
                raise FatalError(
                    f"Topic {name} has {partitions} partitions, KAFKA_PARTITIONS says {settings.kafka_partitions}. "
                    "The count cannot change: set it back, or start with other topics."
                )
        await _create(admin, settings, [topic for topic in wanted(settings) if topic.name not in existing])
        await configs.keep(admin, kept_configs(settings))
        await _warn(admin, existing)


async def _create(admin: AIOKafkaAdminClient, settings: Settings, missing: list[NewTopic]) -> None:
    """Create topics with all of their configuration, or else with what they cannot do without: a cluster has rules."""
    kept = kept_configs(settings)
    for topic in missing:
        topic.topic_configs = topic.topic_configs | kept[topic.name]
    refused = await _create_all(admin, missing, {InvalidConfigurationError, PolicyViolationError})
    for topic in refused:
        topic.topic_configs = {
            name: value for name, value in topic.topic_configs.items() if name not in kept[topic.name]
        }
    await _create_all(admin, refused, set())


async def _create_all(
    admin: AIOKafkaAdminClient, topics: list[NewTopic], refusals: set[type[KafkaError]]
) -> list[NewTopic]:
    """Create topics, and return those that were refused so. Raises FatalError for any other reason."""
    if not topics:
        return []
    errors = {name: for_code(code) for name, code, *_ in (await admin.create_topics(topics)).topic_errors if code}
    for name, error in errors.items():
        if error is not TopicAlreadyExistsError and error not in refusals:
            raise FatalError(f"Topic {name} could not be created: {error.__name__}.")
    return [topic for topic in topics if errors.get(topic.name) in refusals]


async def _warn(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> None:
    try:
        held = await configs.describe(admin, topics, [INSYNC])
        weak = without_spare(await admin.describe_topics([*held]), held)
    except KafkaError:
        return  # `topics-not-configured` has said so
    if weak:
        log.warning("topics-without-spare", topics=weak, reason=WITHOUT_SPARE)
