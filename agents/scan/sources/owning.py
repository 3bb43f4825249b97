"""Of names, those whose partition on `scan-request` this worker has: what is to be done once for each is done here.

Where that changes at this very moment two workers may: it must be such that to do it twice is to do it once.
"""

from collections.abc import Sequence

from agents.stage import StageApp
from rules.partitions import partitions_of
from topics.scan_request import SCAN_REQUEST


def owned(stage: StageApp, names: Sequence[str]) -> set[str]:
    """Return those of the names that are this worker's."""
    partitions = partitions_of([name.encode() for name in names], stage.services.settings.kafka_partitions)
    assigned = {part.partition for part in stage.app.consumer.assignment() if part.topic == SCAN_REQUEST.name}
    return {name for name, partition in zip(names, partitions, strict=True) if partition in assigned}
