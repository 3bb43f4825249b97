"""What `topics` and `tail` read from Kafka."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.progress import Progress

from cli import kafka
from cli.console import progress
from core.settings import STAGES, Settings
from gateways.kafka import groups, transactions
from gateways.kafka.connection import client_options
from gateways.kafka.offsets import log_begins, stable_ends
from gateways.kafka.reader import KafkaRecord, Reader
from topics.record import header_texts
from topics.topology import NAMES, topics_read

Message = dict[str, Any]


async def topics(settings: Settings) -> list[dict[str, Any]]:
    """Return each topic with its partitions, its messages, the lag of each group that reads it, and what holds it."""
    async with kafka.asking(settings) as client:
        parts = await kafka.partitions(client, NAMES)
        everywhere = [part for of_topic in parts.values() for part in of_topic]
        begins, ends = await log_begins(client, everywhere), await stable_ends(client, everywhere)
        reads = {
            settings.group(stage): [part for topic in topics_read(stage) for part in parts[topic]] for stage in STAGES
        }
        positions = await groups.positions(client, reads)
        held = await transactions.holding(client, everywhere)
    now = time.time()
    return [
        {
            "name": name,
            "partitions": len(of_topic),
            "messages": sum(ends[part] - begins[part] for part in of_topic),
            "lag": {
                group: sum(max(0, positions[group][part][1] - positions[group][part][0]) for part in of_topic)
                for group, read in reads.items()
                if of_topic[0] in read
            },
            "held": [
                {
                    "partition": one.partition,
                    "messages": one.messages,
                    "transactional_id": one.producer,
                    "seconds": None if one.since is None else round(one.age(now)),
                    "detail": one.describe(now),
                }
                for one in held
                if one.topic == name
            ],
        }
        for name, of_topic in parts.items()
    ]


async def newest(
    settings: Settings, topic: str, number: int, job: str | None, *, follow: bool
) -> AsyncIterator[Message]:
    """Give the newest messages of a topic, or of a job in it, in the order of time; then, if asked, what comes."""

    def wanted(records: Sequence[KafkaRecord]) -> list[Message]:
        messages = [_decoded(record) for record in records]
        return [message for message in messages if job is None or message["headers"].get("job_id") == job]

    async with kafka.asking(settings) as client, Reader(client_options(settings), []) as reader:
        parts = (await kafka.partitions(client, [topic]))[topic]
        first, ends = await log_begins(client, parts), await stable_ends(client, parts)
        # Those of a job may lie anywhere.
        begins = first if job else {part: max(first[part], ends[part] - number) for part in parts}
        kept: list[Message] = []
        with Progress(console=progress, transient=True, disable=not progress.is_terminal) as shown:
            task = shown.add_task("Reading", total=sum(ends[part] - begins[part] for part in parts))
            reader.go_to(begins)
            async for records in reader.up_to(ends):
                kept = sorted([*kept, *wanted(records)], key=lambda message: str(message["at"]))
                del kept[: max(0, len(kept) - number)]
                shown.advance(task, len(records))
        for message in kept:
            yield message
        if not follow:
            return
        while True:
            for message in wanted(await reader.take()):
                yield message


def _decoded(record: KafkaRecord) -> Message:
    """Return a message as JSON can show it; what is no JSON, as text."""
    value: object = None
    if record.value is not None:
        try:
            value = json.loads(record.value)
        except (ValueError, RecursionError):
            value = record.value.decode("utf-8", "replace")
    return {
        "at": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
        "partition": record.partition,
        "offset": record.offset,
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "headers": header_texts(record.headers),
        "value": value,
    }
