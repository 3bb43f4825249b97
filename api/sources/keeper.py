"""Adds, changes and removes sources, on their topic; and has one looked at now."""

import asyncio
from dataclasses import dataclass
from typing import TypedDict

from aiokafka import TopicPartition

from api.access.sources import allowed_source, roots_around
from api.jobs.publisher import CONFIRM_SECONDS, Publisher
from api.jobs.submitting import Submitter
from api.kept import Kept
from api.view.view import JobView
from core.errors import KafkaUnavailableError, RequestError
from rules.collections import check_name
from rules.sources import is_look_at, name_for
from rules.watchdog import NO_END_MARKER
from topics.job_status import FINISHED, JobStatus
from topics.source import Source
from topics.sources import KnownSource, Sources


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that somebody asks for. What is None is chosen here."""

    folder: str
    name: str | None
    collection: str | None
    every_seconds: int | None
    watch: bool
    exclude: list[str]
    caption: bool


class Change(TypedDict, total=False):
    """What is to be another of a source; what is not named stays."""

    every_seconds: int | None
    watch: bool
    exclude: list[str]
    caption: bool


def is_under_way(look: JobStatus) -> bool:
    """Tell whether a look at a source goes on. One that has begun and lost all else does not: it stays unfinished."""
    return look.status not in FINISHED and look.stalled != NO_END_MARKER


class SourceKeeper:
    """The API's hand on sources."""

    def __init__(
        self, *, sources: Sources, view: JobView, kept: Kept, publisher: Publisher, submitter: Submitter
    ) -> None:
        self._sources = sources
        self._view = view
        self._kept = kept
        self._publisher = publisher
        self._submitter = submitter
        # Two that are added at once must not both find a name free; nor a change undo another.
        self._writing = asyncio.Lock()

    async def all(self) -> list[KnownSource]:
        """Return all sources. Raises KafkaUnavailableError where they cannot be read."""
        await self._read()
        return self._sources.all()

    async def get(self, name: str) -> KnownSource:
        """Return a source. Raises RequestError(404), KafkaUnavailableError."""
        await self._read()
        known = self._sources.get(name)
        if known is None:
            raise RequestError(f"There is no source {name!r}. `darkroom sources list` shows those that there are.", 404)
        return known

    async def add(self, wanted: Wanted) -> KnownSource:
        """Add a source, which is looked at at once, by its schedule.

        Raises RequestError: 400 for a folder that cannot be used, 409 where another source has that name or keeps this
        folder in this collection; KafkaUnavailableError.
        """
        await self._read()
        collection = wanted.collection or await self._kept.active_collection()
        check_name(collection)
        roots = await self._kept.roots()
        folder = await asyncio.to_thread(lambda: allowed_source(wanted.folder, roots, must_be_folder=True))
        # It is made, or refused, before anything is kept in step with it.
        await self._submitter.make_target(collection)
        async with self._writing:
            known = {one.source.name: one.source for one in self._sources.all()}
            name = wanted.name or name_for(folder, set(known))
            self._check_free(known, name, folder, collection)
            source = Source(
                name=name,
                folder=folder,
                collection=collection,
                every_seconds=wanted.every_seconds,
                watch=wanted.watch,
                exclude=wanted.exclude,
                caption=wanted.caption,
                roots=await asyncio.to_thread(roots_around, [folder], roots),
            )
            return await self._put(source)

    async def change(self, name: str, change: Change) -> KnownSource:
        """Have a source kept in another way from its next look on, which comes at once unless it is paused."""
        async with self._writing:
            known = await self.get(name)
            wanted = known.source.model_copy(update={**change})
            return known if wanted == known.source else await self._put(wanted)

    async def pause(self, name: str, *, paused: bool) -> KnownSource:
        """Have a source not looked at by itself, or again; what was due meanwhile is done then, once."""
        async with self._writing:
            known = await self.get(name)
            if known.source.paused == paused:
                return known
            return await self._put(known.source.model_copy(update={"paused": paused}))

    async def accept(self, name: str) -> KnownSource:
        """Take what a source's folder is on now for right, from its next look on, which comes at once."""
        async with self._writing:
            known = (await self.get(name)).source
            return await self._put(known.model_copy(update={"accepted": known.accepted + 1}))

    async def remove(self, name: str) -> None:
        """Forget a source. What was taken in from it stays."""
        await self.get(name)
        await self._known_up_to(await self._publisher.source(name, None))

    async def look(self, name: str) -> JobStatus:
        """Have a source looked at now; return the job, or the one that is walking its folder already."""
        known = await self.get(name)
        last = (await self.last_jobs([name])).get(name)
        # One of a watcher looks at a part.
        is_whole = last is not None and last.sources == [known.source.folder]
        if last is not None and is_whole and not last.total_known and is_under_way(last):
            return last
        return await self._submitter.submit_source(known.source)

    async def last_jobs(self, names: list[str]) -> dict[str, JobStatus]:
        """Return the newest job of each source that has one, as far as they are known still."""
        return await self._view.newest_of_sources(names)

    async def questions(self, known: list[KnownSource]) -> dict[str, list[JobStatus]]:
        """Return the looks at each source whose removals wait for a yes or no, the latest first."""
        held = await self._view.held_of_sources([one.source.name for one in known])
        return {one.source.name: [job for job in held[one.source.name] if _is_look_at(one, job)] for one in known}

    async def is_kept(self, job: JobStatus) -> bool:
        """Tell whether what a look was at is kept in step still, by the source that it names."""
        return any(one.source.name == job.source and _is_look_at(one, job) for one in await self.all())

    async def _put(self, source: Source) -> KnownSource:
        await self._known_up_to(await self._publisher.source(source.name, source))
        return await self.get(source.name)

    async def _known_up_to(self, published: tuple[TopicPartition, int]) -> None:
        try:
            await self._sources.know(*published, CONFIRM_SECONDS)
        except TimeoutError as error:
            raise KafkaUnavailableError("It is written, but sources cannot be read yet: Kafka is slow.") from error

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await self._sources.read()
        except TimeoutError as error:
            raise KafkaUnavailableError(
                "Sources cannot be read: Kafka does not answer. Try again in a moment."
            ) from error

    @staticmethod
    def _check_free(known: dict[str, Source], name: str, folder: str, collection: str) -> None:
        if name in known:
            raise RequestError(
                f"There is a source {name!r} already, of {known[name].folder}: choose another name.", 409
            )
        for one in known.values():
            if (one.folder, one.collection) == (folder, collection):
                raise RequestError(f"{folder} is kept in {collection!r} already, by the source {one.name!r}.", 409)


def _is_look_at(known: KnownSource, job: JobStatus) -> bool:
    source = known.source
    return is_look_at(source.folder, source.collection, looked_at=job.sources, into=job.collection)
