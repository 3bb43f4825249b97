"""How far a walk may be ahead of the stages behind it."""

import asyncio
import time
from itertools import chain

import structlog
from aiokafka.errors import KafkaError

from agents.scan.outcomes_watch import Outstanding
from agents.stage import StageApp
from core.errors import DrainingError, PartitionRevokedError
from core.settings import Settings
from gateways.kafka import groups, transactions
from gateways.kafka.client import asking
from gateways.kafka.connection import client_options
from streams.messages import Event
from streams.rows import is_current
from streams.tasks import start
from topics.topology import FILE_TOPICS, partitions_read

# The most that the limit may be, times the setting: bounds what is on its way as known files are followed by new ones.
MOST_TIMES = 20
# A walk waits for room for this part of the limit, or for so many seconds: full messages cost less.
ROOM_SHARE = 6
ROOM_SECONDS = 0.1

log = structlog.get_logger()


class Places:
    """How many walks are under way at once. One whose job is paused leaves its place to others."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken: set[object] = set()

    def take(self, walk: object) -> bool:
        """Tell whether a walk has a place."""
        if walk not in self._taken and len(self._taken) < self._count:
            self._taken.add(walk)
        return walk in self._taken

    def leave(self, walk: object) -> None:
        """Give up the place of a walk, if it has one."""
        self._taken.discard(walk)


class Throttle:
    """Holds a walk while its job is paused, or has as many files without an outcome as the limit allows.

    The limit is `SCAN_OUTSTANDING_FILES`; or, where more files than that get their outcome within two seconds, as
    unchanged files do, as many as do. So another job waits about two seconds behind them at most.
    """

    def __init__(self, stage: StageApp, event: Event, job_id: str, outstanding: Outstanding, places: Places) -> None:
        self._stage = stage
        self._settings = stage.services.settings
        self._event = event
        self._job_id = job_id
        self._outstanding = outstanding
        self._places = places

    async def room(self) -> int:
        """Wait while the job is paused or too many of its files are unfinished.

        Return how many more may be published; none: the walk does not go on.
        """
        jobs = self._stage.services.jobs
        setting = self._settings.scan_outstanding_files
        asked = time.monotonic()
        since, before = asked, len(self._outstanding)
        while not jobs.is_cancelled(self._job_id):
            check_goes_on(self._stage, self._event)
            status = jobs.status(self._job_id)
            paused = status is not None and status.paused
            # Of other walks too, such as the one that a kill has cut off.
            unfinished = 0 if status is None else status.total_files - status.processed_files
            limit = min(max(setting, 2 * self._outstanding.ended_lately()), MOST_TIMES * setting)
            room = limit - max(len(self._outstanding), unfinished)
            if paused:
                self._places.leave(self._event)
            elif self._places.take(self._event) and room > 0:
                left = asked + ROOM_SECONDS - time.monotonic()
                if room >= limit // ROOM_SHARE or left <= 0:
                    return room
                await self._news(left)
                continue
            if paused or len(self._outstanding) != before:
                since, before = time.monotonic(), len(self._outstanding)
            elif time.monotonic() - since >= self._settings.restart_after_seconds:
                since = time.monotonic()
                await self._give_up_lost()
            await self._news()
        return 0

    async def all_done(self) -> bool:
        """Wait until every file of the walk has its outcome; False: the job was cancelled meanwhile."""
        since, before = time.monotonic(), len(self._outstanding)
        while len(self._outstanding):
            if not await self.goes_on():
                return False
            await self._news()
            if len(self._outstanding) != before:
                since, before = time.monotonic(), len(self._outstanding)
            elif time.monotonic() - since >= self._settings.restart_after_seconds:
                since = time.monotonic()
                await self._give_up_lost()
        return await self.goes_on()

    async def goes_on(self) -> bool:
        """Tell whether the walk may go on, which waits while its job is paused."""
        jobs = self._stage.services.jobs
        while not jobs.is_cancelled(self._job_id):
            check_goes_on(self._stage, self._event)
            status = jobs.status(self._job_id)
            if status is not None and status.paused:
                self._places.leave(self._event)
            elif self._places.take(self._event):
                return True
            await jobs.changed(seconds=1.0)
        return False

    async def _give_up_lost(self) -> None:
        """Wait no longer for files that were lost: where their job has ended, the watchdog does not send them again."""
        files = len(self._outstanding)
        if files and await nothing_is_on_its_way(self._settings):
            log.warning("scan-goes-on", files=files, reason="no message about the files that it waits for is left")
            self._outstanding.forget()
        else:
            log.info("scan-waits", files=files, reason="its files have no outcome yet")

    async def _news(self, seconds: float = 1.0) -> None:
        """Wait until something may have changed, at most so long."""
        news = [start(self._stage.services.jobs.changed(seconds=seconds)), start(self._outstanding.changed())]
        _, pending = await asyncio.wait(news, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()


def check_goes_on(stage: StageApp, event: Event) -> None:
    """Raise DrainingError, or PartitionRevokedError, where a request is walked anew, later or elsewhere."""
    if stage.is_draining:
        raise DrainingError("The worker stops.")
    if not is_current(stage.app, event):
        raise PartitionRevokedError("The request is walked anew, here or elsewhere.")


async def nothing_is_on_its_way(settings: Settings) -> bool:
    """Tell whether no stage that a file passes through has a message to read. Where Kafka does not tell: no.

    What an open transaction hides will be read.
    """
    reads = partitions_read(settings, FILE_TOPICS)
    try:
        async with asking(client_options(settings)) as client:
            found = await groups.positions(client, reads)
            held = await transactions.holding(client, chain.from_iterable(reads.values()))
    except KafkaError:
        return False
    return not held and all(committed >= end for partitions in found.values() for committed, end in partitions.values())
