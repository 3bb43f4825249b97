"""Has pictures forgotten: says what that is about, then asks the stages for it. To ask twice is to ask once."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import structlog

from api.access.sources import allowed_source
from api.forgetting.extent import PATHS_SHOWN, Extent, Extents, contents_of
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
from rules.paths import from_readable, to_wire
from rules.wording import plural
from topics.dead_letter import DEAD_LETTER
from topics.erasure import (
    AnyForHash,
    ForgetCollection,
    ForgetPath,
    ForgetPaths,
    ForgetPicture,
    ForgetSource,
    UnforgetPicture,
    headers_of,
)
from topics.forgotten import FORGOTTEN, ForgottenCollection
from topics.image_outcome import IMAGE_OUTCOME, OfErasures
from topics.job_status import FINISHED
from topics.raw_path import RAW_PATH
from topics.record import Headers
from topics.topology import TOPICS

PATH_MAX = 4096
"""Bytes of a path, at most."""

_Asked = tuple[str, Extent, list[Outgoing]]
"""What is forgotten in words, how much that is, and the messages that ask for it."""

log = structlog.get_logger()


class Forgetter:
    """The API's hand on it."""

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
        self._publisher = publisher
        self._view = view
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
        async for what, meant, messages in self._asked(body, at):
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
            messages = [_of_content(sha256, UnforgetPicture(sha256=sha256, collection=collection, at=at))]
        else:
            what = "all that was forgotten"
            asked = ForgetCollection(collection=str(collection), at=at, undo=True)
            messages = self._to_all(str(collection), asked)
        await self._publisher.publish_all(messages)
        return Unforgetting(what=f"{what} in {collection or 'all collections'} is taken in again when its files come")

    async def _asked(self, body: ForgetBody, at: float) -> AsyncIterator[_Asked]:
        """Yield what is asked for; of what may be very much, a part at a time."""
        if body.gone:
            async for meant in self._extents.of_gone(str(body.collection)):
                yield self._pictures(str(body.collection), meant, at)
        elif body.ids is not None:
            meant = await self._extents.of_ids(str(body.collection), list(map(str, body.ids)))
            yield self._pictures(str(body.collection), meant, at)
        elif body.source is not None:
            yield await self._source(body.source, at)
        elif body.content is not None:
            yield await self._content(body.content, body.collection, at)
        elif body.path is not None:
            yield await self._path(body.path, body.collection, at)
        else:
            yield await self._collection(str(body.collection), at)

    async def _carry_out(self, body: ForgetBody, at: float, meant: Extent, messages: list[Outgoing]) -> None:
        await self._forget_previews(meant)
        if body.path is not None:
            # Of a folder also what hash does not know of, as it was taken in by version 0.1.0.
            async for collection, payloads in self._extents.many(meant):
                contents = sorted(contents_of(payloads))
                asked = [ForgetPicture(sha256=sha256, collection=collection, at=at) for sha256 in contents]
                await self._publisher.publish_all([_of_content(one.sha256, one) for one in asked])
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

    async def _content(self, sha256: str, collection: str | None, at: float) -> _Asked:
        meant = await self._extents.of_content(sha256, collection)
        # Also where it is on its way, and no point of it is stored.
        asked = [ForgetPicture(sha256=sha256, collection=collection, at=at)]
        asked += [ForgetPicture(sha256=sha256, collection=name, at=at) for name in meant.collections]
        what = meant.shown(f"content {sha256[:12]}…")
        return what, meant, [_of_content(sha256, one) for one in asked]

    @staticmethod
    def _pictures(collection: str, meant: Extent, at: float) -> _Asked:
        """Ask for pictures of one collection that are stored there."""
        asked = [ForgetPicture(sha256=sha256, collection=collection, at=at) for sha256 in meant.contents]
        what = f"{plural(meant.pictures, 'picture')} of {collection}"
        return what, meant, [_of_content(one.sha256, one) for one in asked]

    async def _path(self, path: str, collection: str | None, at: float) -> _Asked:
        if not path.startswith("/") or "\0" in path:
            raise RequestError(f"{path[:200]!r} is no absolute path: name the whole path, from / on.", 422)
        asked = [
            (raw, ForgetPath(path=shown, path_b64=path_b64, collection=collection, at=at))
            for raw in from_readable(path)
            if len(raw) <= PATH_MAX
            for shown, path_b64 in [to_wire(raw)]
        ]
        meant = await self._extents.of_path(path, collection)
        if not meant.pictures:
            # A folder; or a file that is on its way.
            meant = await self._extents.of_folder(path, collection)
            everywhere = range(self._settings.kafka_partitions)
            messages = [_to_hash(raw, one, partition) for raw, one in asked for partition in everywhere]
            return meant.shown(f"all below {path}" if meant.pictures else path), meant, messages
        messages = [
            _of_content(sha256, ForgetPicture(sha256=sha256, collection=name, at=at))
            for sha256, names in meant.contents.items()
            for name in names
        ]
        return meant.shown(path), meant, [*messages, *(_to_hash(raw, one) for raw, one in asked)]

    async def _collection(self, name: str, at: float) -> _Asked:
        check_name(name)
        keeping = [one.source.name for one in await self._sources.all() if one.source.collection == name]
        if keeping:
            raise RequestError(
                f"Collection {name!r} is kept in step with {', '.join(keeping)}: remove that source first "
                f"(`darkroom sources remove {keeping[0]}`).",
                409,
            )
        async for job in self._view.unfinished():
            if job.collection == name:
                raise RequestError(
                    f"Job {job.job_id} is taking pictures into {name!r}: wait for its end, or cancel it.", 409
                )
        meant = await self._extents.of_collection(name)
        messages = self._to_all(name, ForgetCollection(collection=name, at=at))
        messages += self._to_all_of_hash(ForgetPaths(collection=name))
        return f"collection {name}, with {plural(meant.pictures, 'picture')}", meant, messages

    async def _source(self, name: str, at: float) -> _Asked:
        source = (await self._sources.get(name)).source
        job = (await self._sources.last_jobs([name])).get(name)
        if job is not None and job.status not in FINISHED:
            raise RequestError(f"Source {name} is looked at right now: wait for job {job.job_id}, or cancel it.", 409)
        meant = Extent(only=source.collection, below=source.folder, pictures=0 if job is None else job.total_files)
        what = (
            f"source {name}, and the pictures that it alone holds in {source.collection}: at most "
            f"{plural(meant.pictures, 'file')} of {source.folder}, as of its last look"
        )
        asked = ForgetSource(source=name, collection=source.collection, folder=source.folder, at=at)
        return what, meant, self._to_all_of_hash(asked)

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

    def _to_all(self, key: str, asked: ForgetCollection) -> list[Outgoing]:
        value, headers = IMAGE_OUTCOME.encode(asked), Headers().encode()
        return [
            Outgoing(IMAGE_OUTCOME.name, key.encode(), value, headers, partition)
            for partition in range(self._settings.kafka_partitions)
        ]

    def _to_all_of_hash(self, asked: AnyForHash) -> list[Outgoing]:
        return [_to_hash(b"forget", asked, partition) for partition in range(self._settings.kafka_partitions)]

    def _still_in_kafka(self, at: float) -> list[StillInKafka]:
        until = datetime.fromtimestamp(at + self._settings.kafka_retention_hours * 3600, UTC)
        names = [*(topic.name for topic in TOPICS if not topic.compacted), DEAD_LETTER]
        return [StillInKafka(topic=name, until=until.isoformat(timespec="seconds")) for name in names]


def _of_content(sha256: str, asked: OfErasures) -> Outgoing:
    return Outgoing(IMAGE_OUTCOME.name, sha256.encode(), IMAGE_OUTCOME.encode(asked), Headers().encode())


def _to_hash(key: bytes, asked: AnyForHash, partition: int | None = None) -> Outgoing:
    return Outgoing(RAW_PATH.name, key, None, headers_of(asked), partition)
