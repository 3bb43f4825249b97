"""Begins the looks at sources: those that are due, and those for which a watcher has news. A task of scan.

Of the workers, the one that has the partition of a source's name on `scan-request` does it, and watches. Where that
changes at this very moment, two may: the job's id follows from source and time, so both ask for the same job.
"""

from collections.abc import Sequence

import structlog

from agents.scan.sources.owning import owned
from agents.scan.sources.watched_source import POLL_SECONDS
from agents.scan.sources.watchers import Watchers
from agents.stage import StageApp, now
from core import failpoints
from rules.sources import due, scheduled_job
from topics.record import Headers
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.source_status import SOURCE_STATUS, WATCH, SourceStatus, Watching
from topics.sources import KnownSource, Sources

LOOK_SECONDS = 1.0
TELL_SECONDS = 2.0
"""Between two words about how many folders of a source are watched."""

log = structlog.get_logger()


class Schedule:
    """Looks each second which sources are due, and more often at those that are watched. `run` is a task."""

    def __init__(self, stage: StageApp, sources: Sources, watchers: Watchers) -> None:
        self._stage = stage
        self._sources = sources
        self._watchers = watchers
        # The newest job that was asked for here, by source: it may not show yet.
        self._asked: dict[str, str] = {}
        self._told: dict[str, tuple[float, Watching]] = {}

    async def run(self) -> None:
        """Begin what is due, until cancelled."""
        try:
            await self._sources.read()
            while True:
                mine = self._mine() if self._sources.is_read else []
                self._watchers.keep(known.source for known in mine)
                for known in mine:
                    await self._tell(known)
                    await self._begin_where_due(known)
                is_watching = any(self._watchers.get(known.source.name) for known in mine)
                await self._sources.changed(POLL_SECONDS if is_watching else LOOK_SECONDS)
        except Exception as error:
            self._stage.services.stop(error)
        finally:
            self._watchers.keep(())

    def _mine(self) -> list[KnownSource]:
        known = self._sources.all()
        mine = owned(self._stage, [one.source.name for one in known])
        return [one for one in known if one.source.name in mine]

    async def _begin_where_due(self, known: KnownSource) -> None:
        source, watched = known.source, self._watchers.get(known.source.name)
        if source.paused or self._is_open(source.name) or (watched is not None and watched.state is None):
            return
        every = source.every_seconds
        if watched is not None and watched.state is not None:
            every = watched.state.every_seconds or every
        moment = due(known.wanted_at, every, None if known.status is None else known.status.due, now())
        if moment is not None:
            job_id = scheduled_job(source.name, moment)
            # A kill may have come before this was noted.
            if not self._stage.services.jobs.has_ended(job_id):
                await self._begin(known, moment, ())
            status = SourceStatus(name=source.name, due=moment, job_id=job_id)
            await (await self._stage.send(SOURCE_STATUS, source.name, status, Headers(job_id=job_id)))
        elif watched is not None:
            touched = () if watched.wants_whole else await watched.news()
            if touched or watched.wants_whole:
                failpoints.reach("watch-news")
                # A watcher tells of a change once.
                is_whole = self._stage.services.jobs.has_looked_in_vain(source.name)
                await self._begin(known, now(), () if is_whole else touched)

    async def _begin(self, known: KnownSource, moment: float, touched: Sequence[str]) -> None:
        """Ask for a look, at the whole source or only at what was touched."""
        source, watched = known.source, self._watchers.get(known.source.name)
        job_id = scheduled_job(source.name, moment)
        request = ScanRequest(
            job_id=job_id,
            collection=source.collection,
            sources=[source.folder],
            caption=source.caption,
            exclude=source.exclude,
            roots=source.roots,
            source=source.name,
            touched=list(touched),
        )
        with structlog.contextvars.bound_contextvars(job_id=job_id, stage="scan"):
            # Under the name of the source: who has its partition looks at it, and writes its status.
            if watched is not None and not touched:
                watched.wants_whole = False  # before it begins: what is not known from then on is looked at anew
            await (await self._stage.send(SCAN_REQUEST, source.name, request, Headers(job_id=job_id)))
            self._asked[source.name] = job_id
            failpoints.reach("sync-asked")
            await self._stage.emit(request.queued(now()))
            log.info("sync-begun", source=source.name, due=moment, touched=len(touched))

    def _is_open(self, name: str) -> bool:
        jobs, asked = self._stage.services.jobs, self._asked.get(name)
        if asked is not None and (jobs.has_ended(asked) or jobs.status(asked) is not None):
            del self._asked[name]
        return name in self._asked or jobs.is_looked_at(name)

    async def _tell(self, known: KnownSource) -> None:
        """Have the status of a source say whether it is watched."""
        name, watched = known.source.name, self._watchers.get(known.source.name)
        if watched is None:
            self._told.pop(name, None)
            if known.watching is not None:
                await self._send_watching(name, None)
            return
        told_at, told = self._told.get(name, (0.0, known.watching))
        state = watched.state
        if state is None or state == told or (told and state.state == told.state and now() < told_at + TELL_SECONDS):
            return
        self._told[name] = now(), state
        log.info("watch-state", source=name, state=state.state, folders=state.folders, reason=state.reason)
        await self._send_watching(name, state)

    async def _send_watching(self, name: str, state: Watching | None) -> None:
        if state is None:
            key = f"{name}{WATCH}".encode()
            await (await self._stage.send_raw(SOURCE_STATUS.name, key, None, Headers().encode()))
        else:
            status = SourceStatus(name=name, watching=state)
            await (await self._stage.send(SOURCE_STATUS, status.key, status, Headers()))
