"""Files that prepare finds unchanged: their content and their place in the collection are known. They cost a look.

They write no row. A job's first file of a content is no duplicate of another: for a file that is written, the claim
remembers the first; an unchanged one matters only where a new path of its content comes behind it in the same job.
"""

from collections import OrderedDict
from collections.abc import Iterable

from agents.collections import KnownCollections
from agents.reporter import PlainFile
from agents.stage import StageApp
from core import failpoints, metrics
from rules.identity import file_ids
from streams.messages import Event
from streams.window import Permits, Window
from tables.known_images import KnownImages
from topics.bundle import Bundle
from topics.files import HashedFileOfJob
from topics.hashed_file import HashedFile
from topics.record import Headers

REMEMBERED = 50_000

# As hash sends the files that it has not read.
_PLAIN = {"path", "size", "mtime_ns", "ctime_ns", "sha256"}


class Unchanged:
    """Takes them, and knows the first ones by job, collection and content; of many, those of the newest jobs."""

    def __init__(self, stage: StageApp, images: KnownImages, collections: KnownCollections) -> None:
        self._stage = stage
        self._images = images
        self._collections = collections
        # Job, collection and model → content → file id.
        self._first: dict[tuple[str, str, str], OrderedDict[str, str]] = {}
        self._remembered = 0

    async def take(self, event: Event, files: Bundle[HashedFile], window: Window) -> Iterable[int]:
        """Finish the files of a bundle that have not changed; return the indexes of all others."""
        first = files.first
        if (
            first is None
            or first.reread
            or files.headers.replay
            or self._stage.services.jobs.is_cancelled(first.job_id)
        ):
            return files.indexes_without(())
        target = self._collections.known_target(first.job_id, first.collection, first.model_id)
        if target is None or target.incarnation is None:
            return files.indexes_without(())
        plain = files.plain(_PLAIN)
        confirmed = self._images.are_confirmed(
            first, [file["sha256"] for _, file in plain], [file["path"] for _, file in plain], target.incarnation
        )
        unchanged = {index: file for (index, file), known in zip(plain, confirmed, strict=True) if known}
        if unchanged:
            ids = file_ids(first.job_id, first.collection, [file["path"].encode() for file in unchanged.values()])
            done = [
                (file_id, file["path"], file["sha256"]) for file_id, file in zip(ids, unchanged.values(), strict=True)
            ]
            self._note(first, ((sha256, file_id) for file_id, _, sha256 in done))
            metrics.CACHE.labels("known_images", "hit").inc(len(done))
            work = self._finish_all(first, done)
            # They take the room of one: nothing slow is done with them.
            await window.add(event, work, permits=Permits(1, len(files.files)))
        return files.indexes_without(unchanged)

    async def _finish_all(self, of: HashedFile, files: list[PlainFile]) -> None:
        await self._stage.finish_alike(of, "unchanged", files)
        failpoints.reach("unchanged-told")

    async def finish(self, file: HashedFile, headers: Headers) -> None:
        """Finish one that came alone."""
        self._note(file, [(file.sha256, file.file_id)])
        await self._stage.finish(file, "unchanged", headers, sha256=file.sha256)
        failpoints.reach("unchanged-told")

    def first(self, file: HashedFileOfJob) -> str | None:
        """Return the id of the first unchanged file of a job with the same content, or None."""
        first = self._first.get(_kind(file))
        return None if first is None else first.get(file.sha256)

    def _note(self, of: HashedFileOfJob, files: Iterable[tuple[str, str]]) -> None:
        """Note contents and ids of files: of each content the first."""
        first = self._first.setdefault(_kind(of), OrderedDict())
        self._remembered -= len(first)
        for sha256, file_id in files:
            first.setdefault(sha256, file_id)
        self._remembered += len(first)
        while self._remembered > REMEMBERED:
            kind, oldest = next(iter(self._first.items()))
            oldest.popitem(last=False)
            self._remembered -= 1
            if not oldest:
                del self._first[kind]


def _kind(file: HashedFileOfJob) -> tuple[str, str, str]:
    return file.job_id, file.collection, file.model_id
