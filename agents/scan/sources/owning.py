"""Which names are this worker's: those whose partition on `scan-request` it has. So one worker acts for each name.

While a rebalance moves a partition, two may act for a name: to do it twice must be to do it once.
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
