"""What scan adds to a source's walk: whether what has left may be looked for behind it, and what is known of it then.

A source remembers what its folder, and all below it, was mounted on. Another mount, or one that is away, is a disk that
is not there: its files are not gone.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from agents.mounted import links_elsewhere, mounted_at
from agents.patience import on_disk
from agents.stage import StageApp, now
from core.errors import RequestError
from rules.departures import Guard
from rules.mounts import Linked, Mount, behind_links
from rules.paths import normal
from rules.sources import overtakes
from topics.job_event import StatusAsked
from topics.record import Headers
from topics.removal_event import Guarded, Overtaken, Sweeping
from topics.scan_request import ScanRequest
from topics.source_status import SOURCE_STATUS, SourceStatus
from topics.sources import KnownSource, Sources
from topics.sweep import Sweep

HEAR_SECONDS = 10.0
"""Track may be away: then a look goes by what is known of others."""

log = structlog.get_logger()


class SourceLooks:
    """What a walk of a source asks before it begins, and says when it has ended."""

    def __init__(self, stage: StageApp, sources: Sources) -> None:
        self._stage = stage
        self._services = stage.services
        self._sources = sources
        # Source → the look at it that went on from here last.
        self._last: dict[str, str] = {}

    async def check(self, request: ScanRequest) -> None:
        """Raise RequestError for a request in the name of a source that is not there, or keeps something else.

        What it finds would be held by that name, and no look at the source would ever have it leave.
        """
        if request.source is None:
            return
        if not _is_about(request, self._sources.get(request.source)):
            # It may have been written a moment ago.
            await self._sources.catch_up()
        known = self._sources.get(request.source)
        if known is None:
            raise RequestError(f"There is no source {request.source!r} (any more): add it, or ask without naming one.")
        if not _is_about(request, known):
            raise RequestError(
                f"Source {request.source!r} keeps {known.source.folder} in step with {known.source.collection!r}: "
                "ask for that, or without naming a source."
            )

    async def mounts(self, request: ScanRequest) -> tuple[Mount, ...] | None:
        """Return what the folder is on as its walk begins; None for a request that is about no source."""
        if request.source is None or len(request.sources) != 1:
            return None
        await self._sources.read()
        return await on_disk(mounted_at, request.sources[0])

    async def sweep_behind(
        self, request: ScanRequest, walk_id: str, mounts: Sequence[Mount], links: Iterable[bytes], *, asked_at: float
    ) -> Sweep | None:
        """Tell that a whole walk of a source has ended; return what is looked for behind it, where that may be.

        `links`: to folders, that the walk has followed. `asked_at`: Kafka's time of the request. Of a look that has
        ended, and that a kill repeats, nothing is: a newer one has taken its place.
        """
        assert request.source is not None  # noqa: S101 - or nothing is on mounts
        if self._services.jobs.has_ended(request.job_id):
            return None
        await self._hear_of_others(request.source, request.job_id)
        before = self._mounted(request.source)
        known = () if before is None else before.links
        there = await on_disk(links_elsewhere, links, known, tuple(mounts))
        kept, away = behind_links(known, there)
        sweep = Sweep(
            job_id=request.job_id,
            walk_id=walk_id,
            source=request.source,
            collection=request.collection,
            folder=request.sources[0],
            exclude=request.exclude,
            roots=request.roots,
            mounts=tuple(mounts),
            links=tuple(there),
            away=list(away),
            touched=request.touched,
            asked_before=self._services.jobs.asked_before(request.source),
        )
        pictures = await self._stage.persist([request.job_id], lambda: self._services.qdrant.count(request.collection))
        lately = self._services.jobs.lost_lately(request.source, asked_at)
        await self._stage.emit(
            Sweeping(job_id=request.job_id, at=now(), sweep=sweep, pictures=pictures, lost_lately=lately)
        )
        why = await self._why_not(sweep, kept)
        if why is None:
            await self._overtake(sweep)
            return sweep
        log.warning("sync-guarded", source=request.source, reason=why.reason)
        await self._stage.emit(Guarded(job_id=request.job_id, at=now(), **why._asdict()))
        return None

    async def _hear_of_others(self, source: str, job_id: str) -> None:
        """Wait until it is known what the source's other looks have come to by now, as a person may have seen it.

        Their status comes behind what the API shows, which reads the events of jobs by itself.
        """
        jobs, last = self._services.jobs, self._last.get(source)
        self._last[source] = job_id
        others = jobs.undecided(source) | ({last} if last is not None and not jobs.knows(last) else set())
        others.discard(job_id)
        told = await asyncio.gather(*(self._ask_status(other) for other in others))
        until = time.monotonic() + HEAR_SECONDS
        while not all(jobs.knows(other, offset) for other, offset in zip(others, told, strict=True)):
            if time.monotonic() >= until:
                log.warning("looks-not-told", source=source, job_ids=sorted(others))
                return
            await jobs.changed(seconds=1.0)

    async def _ask_status(self, job_id: str) -> int:
        """Have the status of a look published as it is by now; return the offset of the event that asks for it."""
        sent: Any = await (await self._stage.publish(StatusAsked(job_id=job_id, at=now())))
        offset: int = sent.offset
        return offset

    async def _overtake(self, sweep: Sweep) -> None:
        """Take over what other syncs of the source hold for a person: this one marks it anew, and asks if need be."""
        places = sweep.touched or [sweep.folder]
        for other in self._services.jobs.unsettled(sweep.source):
            # Of many places the first few are known: these may lie anywhere in the folder.
            seen = other.sources if other.sources_total == len(other.sources) else [sweep.folder]
            if other.job_id != sweep.job_id and other.collection == sweep.collection and overtakes(places, seen):
                log.info("sync-overtaken", job_id=other.job_id, source=sweep.source, by=sweep.job_id)
                await self._stage.emit(Overtaken(job_id=other.job_id, at=now(), by=sweep.job_id))

    def _mounted(self, source: str) -> SourceStatus | None:
        """Return what a source was on, as far as that counts still."""
        known = self._sources.get(source)
        mounted = None if known is None else known.mounted
        return mounted if mounted is None or known is None or mounted.accepted == known.source.accepted else None

    async def _why_not(self, sweep: Sweep, links: tuple[Linked, ...]) -> Guard | None:
        """Say why nothing is looked for. What a source is on is remembered when it is looked at for the first time.

        `links`: what is to be remembered of these.
        """
        known = self._sources.get(sweep.source)
        if known is None:
            return Guard("no-source", f"there is no source {sweep.source!r} any more")
        if await on_disk(mounted_at, sweep.folder) != sweep.mounts:
            return Guard("changed", f"what is mounted at {sweep.folder} changed during the walk")
        before = self._mounted(sweep.source)
        if before is not None and before.mounts != sweep.mounts:
            return Guard(
                "other-mount",
                f"{sweep.folder} is on {_shown(sweep.mounts)} now and was on {_shown(before.mounts or ())}. "
                f"`darkroom sources accept {sweep.source}` takes that",
            )
        if before is None or before.links != links:
            status = SourceStatus(name=sweep.source, mounts=sweep.mounts, links=links, accepted=known.source.accepted)
            await (await self._stage.send(SOURCE_STATUS, status.key, status, Headers(job_id=sweep.job_id)))
        if sweep.away:
            log.warning("links-away", source=sweep.source, links=sweep.away)
        return None


def _is_about(request: ScanRequest, known: KnownSource | None) -> bool:
    """Tell whether a request asks for what its source keeps in step."""
    if known is None or request.collection != known.source.collection:
        return False
    return [normal(os.fsencode(one)) for one in request.sources] == [normal(os.fsencode(known.source.folder))]


def _shown(mounts: Sequence[Mount]) -> str:
    return ", ".join(f"{mount.source} ({mount.type}) at {mount.point}" for mount in mounts) or "nothing known"
