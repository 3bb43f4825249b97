"""How a local table is brought up to its changelog: Faust's way, which two things of a log can stop for good.

A table that is ahead of its changelog (a broker lost its end, a volume was restored) stops the worker at each start
(faust-streaming #158): here it is made anew. And the end of a changelog may hold no message, but markers of a
transaction or what could not be read: Faust waits for that one for ever.
"""

import shutil
from typing import Any

import structlog
from faust.tables.recovery import Recovery
from faust.types import TP

log = structlog.get_logger()


class TableRecovery(Recovery):
    """Faust's, for tables in RocksDB and the consumer of `streams.consumer`."""

    async def _build_offsets(self, consumer: Any, tps: Any, destination: Any, title: str) -> None:
        await super()._build_offsets(consumer, tps, destination, title)
        if title != "active" or not tps:
            return
        ends, firsts = await consumer.log_ends(set(tps)), await consumer.earliest_offsets(*tps)
        for tp in tps:
            if destination[tp] >= ends[tp]:
                self._make_anew(tp, destination[tp], ends[tp])
                destination[tp] = firsts[tp] - 1
            if destination[tp] < self.active_highwaters[tp]:
                # It lacks rows. Some may stand behind a transaction of somebody else that is open: it is waited for.
                self.active_highwaters[tp] = ends[tp] - 1
            # Else such a transaction hides nothing but rows of our own, which are in the table.
            destination[tp] = min(destination[tp], self.active_highwaters[tp])

    def _make_anew(self, tp: TP, holds: int, end: int) -> None:
        table: Any = self.tp_to_table[tp]
        log.error("table-made-anew", table=table.name, partition=tp.partition, offset=holds, end=end)
        make_anew(table.data, tp.partition)

    def need_recovery(self) -> bool:
        """Tell whether a table lacks anything that its changelog has."""
        consumer: Any = self.app.consumer
        for tp, highwater in self.active_highwaters.items():
            held = self.active_offsets.get(tp)
            if held is None or highwater is None or held >= highwater or not self.tables.changelog_queue.empty():
                continue
            if consumer.changelog_read_to.get(tp, 0) > highwater:
                self.flush_buffers()
                self.active_offsets[tp] = highwater
                table: Any = self.tp_to_table[tp]
                table.data.set_persisted_offset(tp, highwater)
        needed: bool = super().need_recovery()
        return needed


def make_anew(store: Any, partition: int) -> None:
    """Empty a partition of a table in RocksDB."""
    database = store._dbs.pop(partition, None)
    if database is not None:
        database.close()
    shutil.rmtree(store.partition_path(partition), ignore_errors=True)
    store._db_for_partition(partition)
