"""Forgets pictures, one content at a time, and has those that were forgotten taken in again: prepare's part.

What comes back while it is being forgotten would be forgotten too. So a content is taken in again behind that.
"""

import asyncio
from collections.abc import Awaitable
from typing import NamedTuple

from agents.prepare.eraser import Deliveries, Eraser
from agents.stage import StageApp, now
from rules.erasing import Word
from streams.messages import Event
from streams.tasks import delivered
from streams.window import writing_rows
from tables.departures import Departures
from tables.erasures import Erasures
from tables.known_images import KnownImages
from topics.db_write import DB_WRITE
from topics.departure import Left
from topics.erasure import ForgetPicture, LeftPath, UnforgetPicture


class _Forgetting(NamedTuple):
    """A content that is being forgotten in a collection. `before`: an earlier request for it that is not done yet."""

    done: asyncio.Future[None]
    before: "_Forgetting | None"


class Forgetter:
    """Writes the rows of a request at once; what it returns is to be awaited, and does the rest."""

    def __init__(
        self, stage: StageApp, images: KnownImages, erasures: Erasures, departures: Departures, eraser: Eraser
    ) -> None:
        self._stage = stage
        self._images = images
        self._erasures = erasures
        self._departures = departures
        self._eraser = eraser
        # Of what is being forgotten: content and collection.
        self._forgetting: dict[tuple[str, str], _Forgetting] = {}

    def forget(self, event: Event, asked: ForgetPicture) -> Deliveries:
        """Forget a picture in its collection, or in all that know it."""
        if asked.collection is not None:
            return self._forget_in(event, asked, asked.collection)
        names = self._known_in(asked.sha256)
        return [delivery for name in sorted(names) for delivery in self._forget_in(event, asked, name)]

    def _known_in(self, sha256: str) -> set[str]:
        names = self._erasures.collections(sha256)
        for content in self._erasures.models(sha256):
            claim = self._images.claim(content)
            names.update(() if claim is None else (scope.partition("/")[2] for scope in claim.firsts))
        return names

    def _forget_in(self, event: Event, asked: ForgetPicture, collection: str) -> Deliveries:
        sha256, left = asked.sha256, asked.left
        if left is not None and any(path != left.path_bytes for _, path in self._erasures.paths(sha256, collection)):
            return self._leave(asked, left, collection)
        before = self._erasures.word(sha256, collection)
        if before is not None and not before.forgotten(asked.at):
            return []
        written = self._erasures.put_word(sha256, collection, Word(asked.at, is_forgotten=True))
        return [self._carry_out(event, asked, collection, written, self._begun(sha256, collection))]

    def _begun(self, sha256: str, collection: str) -> _Forgetting:
        """Note that a content is being forgotten."""
        begun = _Forgetting(asyncio.get_running_loop().create_future(), self._forgetting.get((sha256, collection)))
        self._forgetting[sha256, collection] = begun
        return begun

    async def _carry_out(
        self,
        event: Event,
        asked: ForgetPicture,
        collection: str,
        written: Awaitable[object],
        begun: _Forgetting,
    ) -> None:
        """Forget a content, behind the word that has its files skipped."""
        try:
            await self._forget_all(event, asked, collection, written)
        finally:
            if begun.before is not None:
                await asyncio.shield(begun.before.done)
            begun.done.set_result(None)
            if self._forgetting.get((asked.sha256, collection)) is begun:
                del self._forgetting[asked.sha256, collection]

    async def _forget_all(
        self, event: Event, asked: ForgetPicture, collection: str, written: Awaitable[object]
    ) -> None:
        sha256, left = asked.sha256, asked.left
        with writing_rows(event):
            known = self._rows_of_paths(sha256, collection)
        gone = {path for _, path in known} | ({left.path_bytes} if left is not None else set())
        # A sequence that this very request raised, from 0, says of nothing else that it has left.
        untold = left.sequence + 1 if left is not None and left.sequence == 0 else 0
        # Before the rows go: after a kill, they alone tell which paths hash is to forget.
        await delivered([written, self._eraser.retire(sha256, collection, sorted(gone), untold)])
        with writing_rows(event):
            known = self._rows_of_paths(sha256, collection)
            rows = [one for content in self._erasures.models(sha256) for one in self._erasures.alone(content)]
            rows = [*(rows if known else ()), *self._erasures.delete([key for key, _ in known])]
            rows += self._eraser.erase(sha256, collection, "forget", asked.at)
        await delivered(rows)

    def _rows_of_paths(self, sha256: str, collection: str) -> list[tuple[bytes, bytes]]:
        return [*self._erasures.paths(sha256, collection), *self._erasures.voids(sha256, collection)]

    def _leave(self, asked: ForgetPicture, left: LeftPath, collection: str) -> Deliveries:
        """Have a path leave whose content has others in the collection."""
        told = Left(
            job_id=f"forget-{int(asked.at * 1000)}",
            collection=collection,
            path=left.path,
            path_b64=left.path_b64,
            sha256=asked.sha256,
            sequence=left.sequence,
            reason="excluded",
        )
        rows = self._departures.void(told, now())
        return [] if rows is None else [*rows, self._send_left(told)]

    async def _send_left(self, left: Left) -> None:
        await (await self._stage.send(DB_WRITE, left.sha256, left, left.headers()))

    def unforget(self, event: Event, asked: UnforgetPicture) -> Deliveries:
        """Have the files of a content taken in again, when no request to forget it is under way any more."""
        names = self._known_in(asked.sha256) if asked.collection is None else {asked.collection}
        return [
            self._unforget_in(event, asked, name, self._erasures.word(asked.sha256, name)) for name in sorted(names)
        ]

    async def _unforget_in(self, event: Event, asked: UnforgetPicture, collection: str, before: Word | None) -> None:
        await self._forgotten_whole(asked.sha256, collection)
        with writing_rows(event):
            # What was said since then counts.
            is_last = self._erasures.word(asked.sha256, collection) == before
            rows = self._eraser.unsay(asked.sha256, collection, asked.at) if is_last else []
        await delivered(rows)

    async def _forgotten_whole(self, sha256: str, collection: str) -> None:
        """Wait until all requests to forget a content are carried out."""
        while (forgetting := self._forgetting.get((sha256, collection))) is not None:
            await asyncio.shield(forgetting.done)
