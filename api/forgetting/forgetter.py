"""Has pictures forgotten: says what that is about, then asks the stages for it. To ask twice is to ask once."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import structlog

from api.access.sources import allowed_source
from api.forgetting.asking import Asking
from api.forgetting.extent import PATHS_SHOWN, Extent, Extents, contents_of
from api.forgetting.messages import of_collection, of_content
from api.images.preview_store import PreviewStore
from api.jobs.publisher import Outgoing, Publisher
from api.kept import Kept
from api.replay.dead_letters import DeadLetters
from api.schemas.forgetting import ForgetBody, Forgetting, StillInKafka, UnforgetBody, Unforgetting
from api.sources.keeper import SourceKeeper
from api.view.view import JobView
from core.errors import RequestError
from core.settings import Settings
from gateways.qdrant import Qdrant
from imaging.hashing import hash_file
from rules.collections import check_name
from rules.wording import plural
from topics.dead_letter import DEAD_LETTER
from topics.erasure import (
    ForgetCollection,
    ForgetPicture,
    UnforgetPicture,
)
from topics.forgotten import FORGOTTEN, ForgottenCollection
from topics.record import Headers
from topics.topology import TOPICS

log = structlog.get_logger()


class Forgetter:
    """Says what a request is about, and carries it out."""

    def __init__(
        self,
        settings: Settings,
        qdrant: Qdrant,
        *,
        publisher: Publisher,
        view: JobView,
        kept: Kept,
        sources: SourceKeeper,
        letters: DeadLetters,
        previews: PreviewStore,
    ) -> None:
        self._settings = settings
        self._qdrant = qdrant
        self._extents = Extents(qdrant)
        self._asking = Asking(self._extents, view, sources, settings.kafka_partitions)
        self._publisher = publisher
        self._kept = kept
        self._sources = sources
        self._letters = letters
        self._previews = previews

    async def forget(self, body: ForgetBody) -> Forgetting:
        """Have it forgotten, or (`dry_run`) only say what that is about.

        Raises RequestError: 404 for a source that there is none of, 409 while jobs or sources fill what is to go;
        QdrantUnavailableError, KafkaUnavailableError.
        """
        at = time.time()
        told = Forgetting(
            what=f"no picture of {body.collection} that is gone",
            pictures=0,
            collections=[],
            paths=[],
            paths_total=0,
            dead_letters=0,
            kafka=self._still_in_kafka(at),
            dry_run=body.dry_run,
        )
        async for what, meant, messages in self._asking.of(body, at):
            told.dead_letters += await self._letters.forget(meant.has, dry_run=body.dry_run)
            if not body.dry_run:
                log.info("forget", what=what, pictures=meant.pictures)
                await self._carry_out(body, at, meant, messages)
            told.pictures += meant.pictures
            told.collections = sorted({*told.collections, *meant.collections})
            told.paths = [*told.paths, *meant.paths][:PATHS_SHOWN]
            told.paths_total += meant.paths_total
            told.what = f"{plural(told.pictures, 'picture')} of {body.collection}" if body.gone else what
        return told

    async def unforget(self, body: UnforgetBody) -> Unforgetting:
        """Have files taken in again that are skipped as forgotten, when they come the next time."""
        at, collection = time.time(), body.collection
        if collection is not None:
            check_name(collection)
        sha256 = body.content
        if body.path is not None:
            sha256 = await self._hash_of(body.path)
        if sha256 is not None:
            what = f"the picture {sha256[:12]}…"
            messages = [of_content(sha256, UnforgetPicture(sha256=sha256, collection=collection, at=at))]
        else:
            what = "all that was forgotten"
            asked = ForgetCollection(collection=str(collection), at=at, undo=True)
            messages = of_collection(str(collection), asked, self._settings.kafka_partitions)
        await self._publisher.publish_all(messages)
        return Unforgetting(what=f"{what} in {collection or 'all collections'} is taken in again when its files come")

    async def _carry_out(self, body: ForgetBody, at: float, meant: Extent, messages: list[Outgoing]) -> None:
        await self._forget_previews(meant)
        if body.path is not None:
            # Of a folder also what hash does not know of, as it was taken in by version 0.1.0.
            async for collection, payloads in self._extents.many(meant):
                contents = sorted(contents_of(payloads))
                asked = [ForgetPicture(sha256=sha256, collection=collection, at=at) for sha256 in contents]
                await self._publisher.publish_all([of_content(one.sha256, one) for one in asked])
        if body.source is not None:
            # Cut off before this, it can be asked for again. What a last look brings meanwhile is asked for behind it.
            await self._publisher.publish_all(messages)
            await self._sources.remove(body.source)
        elif body.is_collection:
            await self._delete_collection(str(body.collection))
        await self._publisher.publish_all(messages)

    async def _forget_previews(self, meant: Extent) -> None:
        """Remove the previews of what is meant: of them there are far fewer than of pictures."""
        contents = set(meant.contents)
        if meant.is_many:
            contents = await self._extents.among(meant, sorted(await asyncio.to_thread(self._previews.contents)))
        await asyncio.to_thread(self._previews.forget, contents)

    async def _delete_collection(self, name: str) -> None:
        marked = FORGOTTEN.encode(ForgottenCollection(collection=name))
        await self._publisher.publish_all([Outgoing(FORGOTTEN.name, name.encode(), marked, Headers().encode())])
        await self._qdrant.delete_collection(name)
        if name == await self._kept.selected_collection():
            await self._kept.select_collection(None)

    async def _hash_of(self, path: str) -> str:
        roots = await self._kept.readable_roots()

        def read() -> str:
            real = allowed_source(path, roots, must_be_folder=False)
            if Path(real).is_dir():
                raise RequestError(
                    f"{path} is a folder: name each of its files, as `darkroom unforget --path` does, or a collection."
                )
            return hash_file(os.fsencode(real))[0]

        return await asyncio.to_thread(read)

    def _still_in_kafka(self, at: float) -> list[StillInKafka]:
        until = datetime.fromtimestamp(at + self._settings.kafka_retention_hours * 3600, UTC)
        names = [*(topic.name for topic in TOPICS if not topic.compacted), DEAD_LETTER]
        return [StillInKafka(topic=name, until=until.isoformat(timespec="seconds")) for name in names]
