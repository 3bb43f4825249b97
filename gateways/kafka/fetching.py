"""How long a fetch waits at the broker: each costs the same for few messages as for many."""

import time
from collections.abc import Callable
from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import TopicPartition

from core.pace import Pace

# Kafka's default. With Faust's 1500, each question that a start or a rebalance asks on this connection waits as long.
FETCH_MAX_WAIT_MS = 500
# Of a fetch that leaves out a partition.
PARTIAL_FETCH_MAX_WAIT_MS = 50
# Of a fetch that gathers: where fetches bring something often, or the last one brought messages about so many files.
MANY_FILES = 32
# Where each brings so many that its cost does not matter, it waits for less: a walk is held by what is on its way.
VERY_MANY_FILES = 256
SHORT_GATHERING_MAX_WAIT_MS = 30
GATHERED_BYTES = 256 << 10
GATHERING_MAX_WAIT_MS = 100
# Where nothing has come for a while, and so no question is asked; what comes is given at once nevertheless.
IDLE_SECONDS = 10.0
IDLE_FETCH_MAX_WAIT_MS = 2000


class Fetching:
    """Sets the wait of each fetch of a consumer that has started. `is_source`: of a partition that is waited for."""

    def __init__(self, fetcher: Fetcher, is_source: Callable[[Any], bool] = lambda _: True) -> None:
        self._fetcher = fetcher
        self._is_source = is_source
        self._send = fetcher._proc_fetch_request
        self._pace = Pace()
        self._files = 0
        self._came_at = time.monotonic()
        fetcher._proc_fetch_request = self._send_and_look_again

    def came(self, files: int = 0) -> None:
        """Note that something came now, about so many files."""
        self._pace.note()
        self._files += files
        self._came_at = time.monotonic()

    async def _send_and_look_again(self, assignment: Any, node_id: int, request: FetchRequest) -> bool:
        """Send a fetch.

        It leaves out the partitions whose messages have not all been taken over, and aiokafka sends no other to that
        broker meanwhile: what comes there has to wait until the fetch ends. So such a fetch waits for a moment only.
        """
        asked = {TopicPartition(topic, part[0]) for topic, parts in request.topics for part in parts}
        files, self._files = self._files, 0
        if (files >= MANY_FILES or self._pace.is_high) and all(map(self._is_source, asked)):
            request._min_bytes = GATHERED_BYTES
            request._max_wait_ms = SHORT_GATHERING_MAX_WAIT_MS if files >= VERY_MANY_FILES else GATHERING_MAX_WAIT_MS
        elif time.monotonic() - self._came_at > IDLE_SECONDS:
            request._max_wait_ms = max(request._max_wait_ms, IDLE_FETCH_MAX_WAIT_MS)
        for part in assignment.tps:
            if part not in asked and self._is_source(part) and self._fetcher._select_read_replica(part) == node_id:
                request._max_wait_ms = PARTIAL_FETCH_MAX_WAIT_MS
        is_new: bool = await self._send(assignment, node_id, request)
        return is_new
