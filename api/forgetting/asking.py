"""What a request to forget asks for: its name, how much that is, and the messages to the stages."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from api.forgetting.extent import Extent, Extents
from api.forgetting.messages import of_collection, of_content, to_all_of_hash, to_hash
from api.jobs.publisher import Outgoing
from api.schemas.forgetting import ForgetBody
from api.sources.keeper import SourceKeeper
from api.view.view import JobView
from core.errors import RequestError
from rules.collections import check_name
from rules.paths import from_readable, to_wire
from rules.wording import plural
from topics.erasure import ForgetCollection, ForgetPath, ForgetPaths, ForgetPicture, ForgetSource
from topics.job_status import FINISHED

PATH_MAX = 4096
"""Bytes of a path, at most."""


class Asked(NamedTuple):
    """What is to be forgotten, in words; how much that is; and the messages that ask for it."""

    what: str
    meant: Extent
    messages: list[Outgoing]


class Asking:
    """Reads a request; nothing is sent here, and nothing changes."""

    def __init__(self, extents: Extents, view: JobView, sources: SourceKeeper, partitions: int) -> None:
        self._extents = extents
        self._view = view
        self._sources = sources
        self._partitions = partitions

    async def of(self, body: ForgetBody, at: float) -> AsyncIterator[Asked]:
        """Yield what a request asks for; what may be very much comes in parts.

        Raises as `Forgetter.forget` does.
        """
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

    async def _content(self, sha256: str, collection: str | None, at: float) -> Asked:
        meant = await self._extents.of_content(sha256, collection)
        # Also where it is on its way, and no point of it is stored.
        asked = [ForgetPicture(sha256=sha256, collection=collection, at=at)]
        asked += [ForgetPicture(sha256=sha256, collection=name, at=at) for name in meant.collections]
        what = meant.shown(f"content {sha256[:12]}…")
        return Asked(what, meant, [of_content(sha256, one) for one in asked])

    @staticmethod
    def _pictures(collection: str, meant: Extent, at: float) -> Asked:
        """Ask for pictures of one collection that are stored there."""
        asked = [ForgetPicture(sha256=sha256, collection=collection, at=at) for sha256 in meant.contents]
        what = f"{plural(meant.pictures, 'picture')} of {collection}"
        return Asked(what, meant, [of_content(one.sha256, one) for one in asked])

    async def _path(self, path: str, collection: str | None, at: float) -> Asked:
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
            messages = [message for raw, one in asked for message in to_all_of_hash(one, self._partitions, raw)]
            return Asked(meant.shown(f"all below {path}" if meant.pictures else path), meant, messages)
        messages = [
            of_content(sha256, ForgetPicture(sha256=sha256, collection=name, at=at))
            for sha256, names in meant.contents.items()
            for name in names
        ]
        return Asked(meant.shown(path), meant, [*messages, *(to_hash(raw, one) for raw, one in asked)])

    async def _collection(self, name: str, at: float) -> Asked:
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
        messages = of_collection(name, ForgetCollection(collection=name, at=at), self._partitions)
        messages += to_all_of_hash(ForgetPaths(collection=name), self._partitions)
        return Asked(f"collection {name}, with {plural(meant.pictures, 'picture')}", meant, messages)

    async def _source(self, name: str, at: float) -> Asked:
        source = (await self._sources.get(name)).source
        job = (await self._sources.last_jobs([name])).get(name)
        if job is not None and job.status not in FINISHED:
            raise RequestError(f"Source {name} is looked at right now: wait for job {job.job_id}, or cancel it.", 409)
        # A look may have been at a part alone, and files may have left since the last one at all of it.
        meant = await self._extents.of_source(source.folder, source.collection)
        what = (
            f"source {name}, and the pictures that it alone holds in {source.collection}: at most the "
            f"{plural(meant.pictures, 'picture')} of {source.folder}"
        )
        asked = ForgetSource(source=name, collection=source.collection, folder=source.folder, at=at)
        return Asked(what, meant, to_all_of_hash(asked, self._partitions))
