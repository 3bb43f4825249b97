"""Begins the looks at sources that are due: a task of scan.

Of the workers, the one that has the partition of a source's name on `scan-request` does it. Where that changes at this
very moment, two may: the job's id follows from source and time, so both ask for the same job.
"""

import structlog

from agents.stage import StageApp, now
from core import failpoints
from rules.partitions import partitions_of
from rules.sources import due, scheduled_job
from topics.record import Headers
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.source_status import SOURCE_STATUS, SourceStatus
from topics.sources import KnownSource, Sources

LOOK_SECONDS = 1.0

log = structlog.get_logger()


class Schedule:
    """Looks each second which sources are due. `run` and `follow` are tasks."""

    def __init__(self, stage: StageApp, sources: Sources) -> None:
        self._stage = stage
        self._sources = sources
        self._partitions = stage.services.settings.kafka_partitions

    async def run(self) -> None:
        """Begin what is due, until cancelled."""
        try:
            await self._sources.read()
            while True:
                if self._sources.is_read:
                    for known in self._mine():
                        await self._begin_where_due(known)
                await self._sources.changed(LOOK_SECONDS)
        except Exception as error:
            self._stage.services.stop(error)

    def _mine(self) -> list[KnownSource]:
        known = self._sources.all()
        partitions = partitions_of([one.source.name.encode() for one in known], self._partitions)
        assigned = {part.partition for part in self._stage.app.consumer.assignment() if part.topic == SCAN_REQUEST.name}
        return [one for one, partition in zip(known, partitions, strict=True) if partition in assigned]

    async def _begin_where_due(self, known: KnownSource) -> None:
        source = known.source
        moment = due(known.wanted_at, source.every_seconds, None if known.status is None else known.status.due, now())
        if moment is None or source.paused or self._is_open(source.name):
            return
        job_id = scheduled_job(source.name, moment)
        request = ScanRequest(
            job_id=job_id,
            collection=source.collection,
            sources=[source.folder],
            caption=source.caption,
            exclude=source.exclude,
            roots=source.roots,
            source=source.name,
        )
        headers = Headers(job_id=job_id)
        with structlog.contextvars.bound_contextvars(job_id=job_id, stage="scan"):
            # Under the name of the source: who has its partition looks at it, and writes its status.
            await (await self._stage.send(SCAN_REQUEST, source.name, request, headers))
            failpoints.reach("sync-asked")
            await self._stage.emit(request.queued(now()))
            status = SourceStatus(name=source.name, due=moment, job_id=job_id)
            await (await self._stage.send(SOURCE_STATUS, source.name, status, headers))
            log.info("sync-begun", source=source.name, due=moment)

    def _is_open(self, name: str) -> bool:
        return any(status.source == name for status in self._stage.services.jobs.unfinished())
