"""Creates the topics, and refuses to start where those that exist do not fit.

Faust ignores a topic that does not exist when a worker starts (faust-streaming #558): so this runs first.
"""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from connection import client_options
from errors import FatalError
from settings import Settings, Stage
from topics.db_write import DB_WRITE
from topics.dead_letter import DEAD_LETTER
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import IMAGE_OUTCOME
from topics.job_event import JOB_EVENT
from topics.job_status import JOB_STATUS
from topics.limits import MAX_LETTER_BYTES, MAX_MESSAGE_BYTES
from topics.ml_request import ML_REQUEST
from topics.raw_path import RAW_PATH
from topics.scan_request import SCAN_REQUEST

TOPICS = (SCAN_REQUEST, RAW_PATH, HASHED_FILE, ML_REQUEST, DB_WRITE, IMAGE_OUTCOME, JOB_EVENT, JOB_STATUS)
READS: dict[Stage, tuple[str, ...]] = {
    "scan": (SCAN_REQUEST.name,),
    "hash": (RAW_PATH.name,),
    "prepare": (HASHED_FILE.name, IMAGE_OUTCOME.name),
    "embed": (ML_REQUEST.name,),
    "store": (DB_WRITE.name,),
    "track": (JOB_EVENT.name,),
}
"""The topics that each stage reads."""
TABLES = {"hash": "fingerprints", "prepare": "known_images", "track": "jobs"}


def changelog(settings: Settings, stage: str, table: str) -> str:
    """Return the name that Faust gives to a table's changelog."""
    return f"{settings.kafka_group_prefix}-{stage}-{table}-changelog"


def wanted(settings: Settings) -> list[NewTopic]:
    """Return every topic that the stages need, with its partition count and configuration."""
    retention = {"retention.ms": str(settings.kafka_retention_hours * 3_600_000)}
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
        topic(DEAD_LETTER, retention | {"max.message.bytes": str(MAX_LETTER_BYTES)}),
        *(topic(changelog(settings, stage, table), compact) for stage, table in TABLES.items()),
    ]


async def create_topics(settings: Settings, brokers: str) -> None:
    """Create what is missing.

    Raises FatalError when the brokers cannot be reached or a topic exists with another partition count.
    """
    admin = AIOKafkaAdminClient(**client_options(settings) | {"bootstrap_servers": brokers})
    try:
        await admin.start()
    except KafkaError as error:
        raise FatalError(
            f"No Kafka broker answers at {brokers}: {error}. Start one, or set KAFKA_BROKERS to where it is."
        ) from error
    try:
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
        missing = [topic for topic in wanted(settings) if topic.name not in existing]
        if missing:
            response = await admin.create_topics(missing)
            for name, code, *_ in response.topic_errors:
                error_type = for_code(code)
                if code != 0 and error_type is not TopicAlreadyExistsError:
                    raise FatalError(f"Topic {name} could not be created: {error_type.__name__}.")
    finally:
        await admin.close()
