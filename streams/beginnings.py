"""Where a stage begins to read a partition: behind what is committed, if the log is still the one that was read.

It may be another one: a broker lost its end in a power cut, a volume was restored, a topic was made anew. Then a stage
begins at the first message, as what stands at those offsets now is news. Faust passes it in silence.
"""

import asyncio
from collections.abc import Mapping

import structlog
from faust.types import TP

from core import metrics
from gateways.kafka.connection import ClientOptions
from gateways.kafka.sameness import other_logs
from rules.positions import Begin, begin_at
from streams.consumer_thread import ConsumerThread

log = structlog.get_logger()


async def beginnings(
    thread: ConsumerThread, kafka: ClientOptions, committed: Mapping[TP, int | None]
) -> dict[TP, Begin]:
    """Return where to begin, given what is committed, and say where that is not what comes next.

    Commits name from here on what was read last of these partitions. Raises KafkaError.
    """
    if not committed:
        return {}
    firsts, ends, others = await asyncio.gather(
        thread.earliest_offsets(*committed), thread.log_ends(committed.keys()), _other_logs(thread, kafka, committed)
    )
    found = {}
    for tp, offset in committed.items():
        found[tp] = begin_at(offset or None, firsts[tp], ends[tp], is_another=tp in others)
        say(thread.app.conf.id, tp, offset, found[tp], ends[tp])
    return found


async def _other_logs(thread: ConsumerThread, kafka: ClientOptions, parts: Mapping[TP, object]) -> set[TP]:
    return {TP(*part) for part in await other_logs(kafka, await thread.last_reads(parts.keys()))}


def say(group: str, tp: TP, read_to: int | None, begin: Begin, end: int) -> None:
    """Say and count where a group does not begin behind what it has read."""
    known = {"topic": tp.topic, "partition": tp.partition, "read_to": read_to, "begin": begin.offset}
    if begin.anew:
        log.error("log-lost-its-end", **known, end=end, reason="it is read anew from its first message")
        metrics.READ_ANEW.labels(group, tp.topic).inc()
    elif begin.deleted:
        log.error("messages-deleted-unread", **known, messages=begin.deleted)
        metrics.DELETED_UNREAD.labels(group, tp.topic).inc(begin.deleted)
