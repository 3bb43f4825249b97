"""Tells hash what prepare knows to be in a collection, before a folder is looked at for the first time: once a folder.

Version 0.1.0 did not note in hash's rows what is in collections. So what had left, or was replaced, before the first
look would be found by nobody.
"""

import base64

from agents.stage import StageApp
from core import failpoints
from core.errors import InvalidMessageError
from rules.partitions import partitions_of
from streams.messages import Event
from streams.window import writing_rows
from tables.departures import Departures
from topics.departure import Compare
from topics.image_outcome import IMAGE_OUTCOME
from topics.raw_path import RAW_PATH
from topics.record import Headers
from topics.sweep import KnownPaths, Sweep

ROWS_AT_ONCE = 5000
# Of a message, whose paths may have 16 KB each.
PATHS_AT_ONCE = 200
BYTES_AT_ONCE = 128 << 10


class Comparer:
    """Takes the steps of it."""

    def __init__(self, stage: StageApp, departures: Departures) -> None:
        self._stage = stage
        self._departures = departures
        self._partitions = stage.services.settings.kafka_partitions

    async def take(self, event: Event, asked: Compare) -> None:
        """Tell what some rows say, and ask for the next step; behind the last one, for the sweep."""
        sweep = asked.sweep
        if asked.partition >= self._partitions:
            raise InvalidMessageError(f"There is no partition {asked.partition}: raw-path has {self._partitions}.")
        with writing_rows(event):
            known, last = self._departures.in_folder(
                sweep.collection, sweep.root, sweep.job_id, asked.after_key, ROWS_AT_ONCE
            )
        there = partitions_of([path for path, _ in known], self._partitions) if known else []
        mine = [one for one, partition in zip(known, there, strict=True) if partition == asked.partition]
        for told in _messages(sweep, mine):
            await self._send_raw(told, asked.partition)
        failpoints.reach("known-told")
        here = event.message.partition
        if last is not None:
            await self._ask(asked.step_behind(last), here)
        elif here + 1 < self._partitions:
            await self._ask(asked.step_behind(b""), here + 1)
        else:
            await self._send_raw(sweep.model_copy(update={"compared": True}), asked.partition)

    async def _ask(self, following: Compare, partition: int) -> None:
        headers = Headers(job_id=following.job_id)
        await (await self._stage.send(IMAGE_OUTCOME, following.job_id, following, headers, partition))

    async def _send_raw(self, message: KnownPaths | Sweep, partition: int) -> None:
        key = message.job_id.encode()
        await (await self._stage.send_raw(RAW_PATH.name, key, None, message.headers(), partition))


def _messages(sweep: Sweep, known: list[tuple[bytes, str]]) -> list[KnownPaths]:
    parts: list[list[tuple[str, str]]] = []
    room = 0
    for path, sha256 in known:
        if room < len(path) or len(parts[-1]) == PATHS_AT_ONCE:
            parts.append([])
            room = BYTES_AT_ONCE
        parts[-1].append((base64.b64encode(path).decode(), sha256))
        room -= len(path)
    return [
        KnownPaths(job_id=sweep.job_id, walk_id=sweep.walk_id, collection=sweep.collection, paths=part)
        for part in parts
    ]
