"""How far a local table holds what its changelog holds, noted so that a recovery begins there.

Faust notes the offset of each record that it sent. Where a worker that had lost the partition wrote in between, that
would skip the other's records; and it would reopen a partition that was revoked. So behind a gap nothing is noted
until it is known to hold no message, but a transaction's markers, or nothing any more. One that holds any is left to
the next recovery, which reads it and what is behind it in order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

HoldsMessage = Callable[[TP, int, int], Awaitable[bool]]
"""Tells whether a changelog holds a message between two offsets, both included."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Gaps:
    """What lies between our own records since the one that is noted; `delivered` is the last of ours.

    `database`: as it was opened; another one may hold less.
    """

    database: object
    noted: int
    delivered: int
    unknown: list[tuple[int, int]] = field(default_factory=list)
    is_foreign: bool = False
    task: "asyncio.Task[None] | None" = None


class Noting:
    """Notes the offsets of one table's records as they are delivered. `store`: Faust's, of RocksDB."""

    def __init__(self, store: Any, holds_message: HoldsMessage) -> None:
        self._store = store
        self._holds_message = holds_message
        self._gaps: dict[int, _Gaps] = {}

    def delivered(self, tp: TP, first: int, last: int) -> None:
        """Take note of records of ours that are in the changelog now, without a gap between them."""
        database = self._store._dbs.get(tp.partition)
        if database is None:
            return
        noted = self._noted(tp)
        if first == noted + 1:
            self._store.set_persisted_offset(tp, last)
        elif last > noted:
            gaps = self._gaps.get(tp.partition)
            if gaps is None or gaps.database is not database or gaps.noted != noted:
                gaps = self._gaps[tp.partition] = _Gaps(database, noted, delivered=noted)
            if first > gaps.delivered + 1 and not gaps.is_foreign:
                gaps.unknown.append((gaps.delivered + 1, first - 1))
            gaps.delivered = max(gaps.delivered, last)
            if gaps.unknown and gaps.task is None:
                gaps.task = asyncio.create_task(self._look_into(tp, gaps))

    def _noted(self, tp: TP) -> int:
        noted: int | None = self._store.persisted_offset(tp)
        return -1 if noted is None else noted

    async def _look_into(self, tp: TP, gaps: _Gaps) -> None:
        """Note the last of our records once none of the gaps before it is unknown."""
        try:
            while gaps.unknown:
                gaps.is_foreign = await self._holds_message(tp, *gaps.unknown[0])
                if gaps.is_foreign:
                    gaps.unknown.clear()
                    return
                del gaps.unknown[0]
        except KafkaError as error:
            log.warning("changelog-gap-unknown", topic=tp.topic, partition=tp.partition, reason=str(error))
            return
        finally:
            gaps.task = None  # where Kafka did not tell, the next delivery asks again
        is_open = self._store._dbs.get(tp.partition) is gaps.database
        if is_open and self._noted(tp) == gaps.noted:
            self._store.set_persisted_offset(tp, gaps.delivered)
