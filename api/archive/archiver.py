"""Archives files and brings them back, one at a time, so that a kill at any moment can be made good.

For each: journal, move, points, journal. What a kill or an absent Qdrant has left half done is finished at the next
start, or before the next archive or undo.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import structlog

from api.archive.choosing import Choice, Content, choose
from api.archive.journal import Archive, Journal, Kind, Move
from api.archive.moving import finish, move, remove_empty_folders
from api.archive.points import give_back_path, holders, take_path
from core.errors import FileError, RequestError, RetryableError
from gateways.qdrant import Qdrant
from rules.identity import new_id

log = structlog.get_logger()


class Archiver:
    """The only one that moves files."""

    def __init__(self, journal: Journal, qdrant: Qdrant, roots: Callable[[], Awaitable[list[Path]]]) -> None:
        self._journal = journal
        self._qdrant = qdrant
        self._roots = roots
        self._one_at_a_time = asyncio.Lock()

    async def recover(self) -> None:
        """Finish what the process before left half done; where Qdrant is away, later."""
        try:
            async with self._one_at_a_time:
                await self._finish_all()
        except RetryableError as error:
            log.warning("archive-unfinished", reason=str(error))

    async def archive(self, kind: Kind, collection: str, contents: AsyncIterable[Content]) -> str:
        """Move the unwanted files of these contents into the archive; return its id.

        What became of each file is in the journal. Raises QdrantUnavailableError in the middle: what was moved until
        then is in the journal too.
        """
        async with self._one_at_a_time:
            await self._finish_all()
            archive = Archive(new_id(), time.time(), kind, collection)
            number = 0
            async for content in contents:
                await self._journal.begin(archive)
                for choice in await asyncio.to_thread(choose, content, await self._roots()):
                    await self._archive(archive, number, choice)
                    number += 1
            await self._journal.begin(archive)  # also where there was nothing to move
            log.info("archive-done", archive_id=archive.archive_id, kind=kind, files=number)
            return archive.archive_id

    async def undo(self, archive_id: str) -> None:
        """Move the files of an archive back to where they were. One whose place is taken stays, with the reason.

        Raises RequestError(404) for an unknown archive; QdrantUnavailableError as `archive` does.
        """
        async with self._one_at_a_time:
            await self._finish_all()
            if await self._journal.archive(archive_id) is None:
                raise RequestError(f"There is no archive {archive_id!r}.", 404)
            # The last first: each finds the points as its own move has left them.
            for moved in reversed(await self._journal.moves(archive_id)):
                if moved.state == "archived":
                    await self._restore(moved)
            log.info("archive-undone", archive_id=archive_id)

    async def _archive(self, archive: Archive, number: int, choice: Choice) -> None:
        planned = Move(archive.archive_id, number, choice.path, choice.sha256, choice.root, choice.relative)
        if choice.reason is not None:
            await self._journal.put(replace(planned, state="refused", reason=choice.reason))
            return
        where = await holders(self._qdrant, choice.sha256, choice.path)
        planned = await self._journal.put(replace(planned, holders=where))
        try:
            await asyncio.to_thread(move, planned.root, planned.relative, planned.target)
        except FileError as error:
            await self._journal.put(replace(planned, state="refused", reason=str(error)))
        else:
            await self._is_archived(planned)

    async def _restore(self, moved: Move) -> None:
        moved = await self._journal.put(replace(moved, state="restoring", reason=None))
        try:
            await asyncio.to_thread(move, moved.root, moved.target, moved.relative)
        except FileError as error:
            await self._journal.put(replace(moved, state="archived", reason=str(error)))
        else:
            await self._is_restored(moved)

    async def _finish_all(self) -> None:
        for begun in await self._journal.unfinished():
            ends = (begun.relative, begun.target)
            back = begun.state == "restoring"
            was_moved = await asyncio.to_thread(finish, begun.root, *(reversed(ends) if back else ends))
            if was_moved:
                await (self._is_restored(begun) if back else self._is_archived(begun))
            else:
                reason = "The service was stopped before it was moved: ask again."
                await self._journal.put(replace(begun, state="archived" if back else "refused", reason=reason))

    async def _is_archived(self, moved: Move) -> None:
        await take_path(self._qdrant, moved.sha256, moved.path, moved.holders)
        await self._journal.put(replace(moved, state="archived"))

    async def _is_restored(self, moved: Move) -> None:
        await give_back_path(self._qdrant, moved.sha256, moved.path, moved.holders)
        await asyncio.to_thread(remove_empty_folders, moved.root, moved.target)
        await self._journal.put(replace(moved, state="restored"))
