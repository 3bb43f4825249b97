"""Who reads and writes what, declared once.

Topics are created, described, replayed and watched by what stands here, and README.md shows it. What a stage takes or
sends without being declared here is refused (`streams.stage`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from aiokafka import TopicPartition

from core.settings import Settings, Stage
from topics.db_write import DB_WRITE
from topics.dead_letter import DEAD_LETTER
from topics.forgotten import FORGOTTEN
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import IMAGE_OUTCOME
from topics.job_event import JOB_EVENT
from topics.job_status import JOB_STATUS
from topics.ml_request import ML_REQUEST
from topics.raw_path import RAW_PATH
from topics.record import Topic
from topics.scan_request import SCAN_REQUEST
from topics.source import SOURCE
from topics.source_status import SOURCE_STATUS


@dataclass(frozen=True, slots=True)
class Node:
    """One that reads and writes topics. A stage reads as one consumer group, and alone writes its `table`.

    `follows`: what each process reads as a whole, without a group, to know what holds now.
    """

    reads: tuple[Topic[Any], ...]
    writes: tuple[Topic[Any], ...]
    table: str | None = None
    follows: tuple[Topic[Any], ...] = ()


TOPOLOGY: dict[Stage, Node] = {
    "scan": Node(
        reads=(SCAN_REQUEST,),
        writes=(RAW_PATH, SCAN_REQUEST, SOURCE_STATUS, IMAGE_OUTCOME),
        follows=(SOURCE, SOURCE_STATUS),
    ),
    "hash": Node(reads=(RAW_PATH,), writes=(HASHED_FILE, IMAGE_OUTCOME, RAW_PATH), table="fingerprints"),
    "prepare": Node(
        reads=(HASHED_FILE, IMAGE_OUTCOME),
        writes=(HASHED_FILE, ML_REQUEST, DB_WRITE, IMAGE_OUTCOME, RAW_PATH),
        table="known_images",
    ),
    "embed": Node(reads=(ML_REQUEST,), writes=(DB_WRITE, IMAGE_OUTCOME)),
    "store": Node(reads=(DB_WRITE,), writes=(IMAGE_OUTCOME,)),
    "track": Node(reads=(JOB_EVENT,), writes=(JOB_STATUS, RAW_PATH, DB_WRITE), table="jobs"),
}
"""The stages, in the order in which a file passes through them. Each also reports on `job-event`, and puts what it
cannot do on `dead-letter`."""
API = Node(
    reads=(JOB_EVENT, JOB_STATUS),
    writes=(SCAN_REQUEST, RAW_PATH, IMAGE_OUTCOME, JOB_EVENT, SOURCE, FORGOTTEN),
    follows=(SOURCE, SOURCE_STATUS, FORGOTTEN),
)
"""Also reads `dead-letter`, and marks there what was decided. A replay writes any topic that a stage reads."""
PROGRAMS = Node(reads=(JOB_STATUS, SOURCE_STATUS), writes=(SCAN_REQUEST, RAW_PATH, SOURCE))
"""Programs of others, which may read `dead-letter` too."""

EVERY_STAGE_WRITES = frozenset({JOB_EVENT.name, DEAD_LETTER})


_NODES = TOPOLOGY.values()
TOPICS: tuple[Topic[Any], ...] = tuple(
    dict.fromkeys(
        chain.from_iterable(
            [
                *(node.reads for node in _NODES),
                *(node.writes for node in _NODES),
                *(node.follows for node in _NODES),
                API.writes,
            ]
        )
    )
)
"""All topics that have a record, in the order of the stages that read them; `dead-letter` comes beside them."""
NAMES: tuple[str, ...] = (*(topic.name for topic in TOPICS), DEAD_LETTER)
INPUTS: dict[str, Topic[Any]] = {topic.name: topic for topic in TOPICS if any(topic in node.reads for node in _NODES)}
"""Those that a stage takes work from: what is published there once more is done once more."""
FILE_TOPICS: dict[Stage, Topic[Any]] = {
    stage: topic for stage, node in TOPOLOGY.items() for topic in node.reads if topic.brings_files
}
"""The stages that a file passes through, each with the topic that brings it there."""


def topics_read(stage: Stage) -> list[str]:
    """Return the names of the topics that a stage reads."""
    return [topic.name for topic in TOPOLOGY[stage].reads]


def partitions_read(settings: Settings, stages: Iterable[Stage]) -> dict[str, list[TopicPartition]]:
    """Return the partitions that stages read, by consumer group."""
    partitions = range(settings.kafka_partitions)
    return {
        settings.group(stage): [TopicPartition(topic, number) for topic in topics_read(stage) for number in partitions]
        for stage in stages
    }


def topics_written(stage: Stage) -> frozenset[str]:
    """Return the names of the topics that a stage writes."""
    return EVERY_STAGE_WRITES.union(topic.name for topic in TOPOLOGY[stage].writes)
