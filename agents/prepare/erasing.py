"""Takes what is about pictures that leave for good: prepare's part. See docs/decisions/0074-forgetting.md.

Prepare voids what it knows of the paths, has store take the point, and hears from it who holds the content still. What
is known of a content goes when nobody does, and no file of it has come since.
"""

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import NamedTuple

from agents.stage import StageApp, now
from core import failpoints
from rules.erasing import Word, is_known_no_more
from rules.paths import to_wire
from streams.item import Item
from streams.messages import Event
from streams.rejecting import or_reject
from streams.tasks import delivered
from streams.window import Window, writing_rows
from tables.departures import Departures
from tables.erasures import Erasures, collection_of
from tables.known_images import ContentKey, KnownImages, content_of
from topics.db_write import DB_WRITE
from topics.departure import Left
from topics.erasure import (
    Erase,
    Erased,
    ForgetCollection,
    ForgetPicture,
    LeftPath,
    Purge,
    RetirePath,
    UnforgetPicture,
    Why,
    headers_of,
)
from topics.files import HashedFileOfJob
from topics.image_outcome import IMAGE_OUTCOME, OfErasures
from topics.raw_path import RAW_PATH
from topics.record import Headers

ROWS_AT_ONCE = 500

Deliveries = list[Awaitable[object]]


class _Forgetting(NamedTuple):
    """What is being forgotten: done when all of it is, also for the one who asked `before`."""

    done: asyncio.Future[None]
    before: "_Forgetting | None"


class ErasureKeeper:
    """Takes them one by one; what it writes, it writes in the iteration, and sends what follows behind that."""

    def __init__(self, stage: StageApp, images: KnownImages, erasures: Erasures, departures: Departures) -> None:
        self._stage = stage
        self._images = images
        self._erasures = erasures
        self._departures = departures
        # Of what is being forgotten: content and collection.
        self._forgetting: dict[tuple[str, str], _Forgetting] = {}

    async def take(self, item: Item[OfErasures], window: Window) -> None:
        """Take one message. A replay says nothing of what is wanted now."""
        event, record = item.event, item.record
        if item.headers.replay:
            await window.add(event, delivered(()), permits=item.permits())
            return
        match record:
            case Purge():
                work = delivered(self._erase(record.sha256, record.collection, "purge", record.at, record.gone_at))
            case ForgetPicture():
                work = delivered(self._forget_where_known(event, record))
            case UnforgetPicture():
                work = delivered(self._unforget(event, record))
            case ForgetCollection():
                work = delivered(self._step(event, record))
            case Erased():
                work = self._concluded(self._conclude(record))
        taken = or_reject(work, lambda error: self._stage.reject_file(IMAGE_OUTCOME, item, error))
        await window.add(event, taken, permits=item.permits())

    def is_forgotten(self, file: HashedFileOfJob) -> bool:
        """Tell whether a file is to be skipped."""
        return self._erasures.is_forgotten(file.sha256, file.collection)

    def erased_again(self, outcome: HashedFileOfJob) -> Deliveries:
        """Have a content erased once more that was on its way when it was forgotten."""
        word = self._erasures.word(outcome.sha256, outcome.collection)
        assert word is not None  # noqa: S101 - it is forgotten
        retired = self._retire(outcome.sha256, outcome.collection, [outcome.path_bytes], 0)
        return [*self._erase(outcome.sha256, outcome.collection, "forget", word.at), retired]

    def _forget_where_known(self, event: Event, asked: ForgetPicture) -> Deliveries:
        if asked.collection is not None:
            return self._forget(event, asked, asked.collection)
        names = self._known_in(asked.sha256)
        return [delivery for name in sorted(names) for delivery in self._forget(event, asked, name)]

    def _known_in(self, sha256: str) -> set[str]:
        names = self._erasures.collections(sha256)
        for content in self._erasures.models(sha256):
            claim = self._images.claim(content)
            names.update(() if claim is None else (scope.partition("/")[2] for scope in claim.firsts))
        return names

    def _forget(self, event: Event, asked: ForgetPicture, collection: str) -> Deliveries:
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
        # The sequence of a path that was raised for this very word tells of nothing else that has left.
        untold = left.sequence + 1 if left is not None and left.sequence == 0 else 0
        # First: after a kill these rows tell alone which paths hash is to forget.
        await delivered([written, self._retire(sha256, collection, sorted(gone), untold)])
        with writing_rows(event):
            known = self._rows_of_paths(sha256, collection)
            rows = [one for content in self._erasures.models(sha256) for one in self._erasures.alone(content)]
            rows = [*(rows if known else ()), *self._erasures.delete([key for key, _ in known])]
            rows += self._erase(sha256, collection, "forget", asked.at)
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

    def _unforget(self, event: Event, asked: UnforgetPicture) -> Deliveries:
        names = self._known_in(asked.sha256) if asked.collection is None else {asked.collection}
        return [
            self._unforget_in(event, asked, name, self._erasures.word(asked.sha256, name)) for name in sorted(names)
        ]

    async def _unforget_in(self, event: Event, asked: UnforgetPicture, collection: str, before: Word | None) -> None:
        await self._forgotten_whole(asked.sha256, collection)
        with writing_rows(event):
            # What was said since then counts.
            is_last = self._erasures.word(asked.sha256, collection) == before
            rows = self._unsay(asked.sha256, collection, asked.at) if is_last else []
        await delivered(rows)

    async def _forgotten_whole(self, sha256: str, collection: str) -> None:
        """Wait until what is being forgotten is: what comes back meanwhile would be forgotten, too."""
        while (forgetting := self._forgetting.get((sha256, collection))) is not None:
            await asyncio.shield(forgetting.done)

    def _unsay(self, sha256: str, collection: str, at: float) -> Deliveries:
        word = self._erasures.word(sha256, collection) or Word(at, is_forgotten=True)
        if not word.is_forgotten:
            return []
        # It stays: so the word before it is known for an old one, should that come again, or come by way of hash.
        return [self._erasures.put_word(sha256, collection, Word(max(at, word.at), is_forgotten=False))]

    def _erase(self, sha256: str, collection: str, why: Why, at: float, gone_at: str | None = None) -> Deliveries:
        """Note that a content is leaving, and have store take its point."""
        rows = []
        for content in self._erasures.models(sha256):
            claim = self._images.claim(content)
            if claim is not None and claim.owner is None and claim.leaving != collection:
                rows.append(self._images.put_claim(content, claim.model_copy(update={"leaving": collection})))
        erase = Erase(sha256=sha256, collection=collection, why=why, gone_at=gone_at, at=at)
        return [self._behind(rows, erase)]

    async def _behind(self, rows: Deliveries, erase: Erase) -> None:
        await delivered(rows)
        failpoints.reach("erase-noted")
        # Behind the files that store is sent, so that one that came before is seen to be there.
        await self._stage.outbox.drained()
        await (await self._stage.send(DB_WRITE, erase.sha256, erase, Headers()))

    async def _retire(self, sha256: str, collection: str, paths: list[bytes], untold: int) -> None:
        """Have hash forget paths, too."""
        deliveries = []
        for path in paths:
            shown, path_b64 = to_wire(path)
            asked = RetirePath(path=shown, path_b64=path_b64, sha256=sha256, collection=collection, untold=untold)
            deliveries.append(await self._stage.send_raw(RAW_PATH.name, path, None, headers_of(asked)))
        await delivered(deliveries)

    def _conclude(self, erased: Erased) -> Deliveries:
        """Forget what is known of a content that nobody holds any more."""
        rows: Deliveries = []
        for content in self._erasures.models(erased.sha256):
            claim = self._images.claim(content)
            if is_known_no_more(
                claim,
                erased.collection,
                content.model_id,
                erased.held,
                has_paths=self._erasures.has_paths(content),
                has_waiters=next(self._images.waiters(content), None) is not None,
            ):
                rows += [self._images.drop_claim(content), self._images.drop_content(content)]
            elif claim is not None and claim.leaving == erased.collection:
                # It is held elsewhere, and leaves no more.
                rows.append(self._images.put_claim(content, claim.model_copy(update={"leaving": None})))
        retention = self._stage.services.settings.kafka_retention_hours * 3600
        if erased.is_gone and erased.gone_at is not None and _age(erased) > retention:
            # What they guard against is in Kafka no more.
            voids = self._erasures.voids(erased.sha256, erased.collection)
            rows += self._erasures.delete([key for key, _ in voids])
        return rows

    async def _concluded(self, rows: Deliveries) -> None:
        await delivered(rows)
        failpoints.reach("erase-concluded")

    def _step(self, event: Event, asked: ForgetCollection) -> Deliveries:
        """Carry out a step of what is about all contents of a collection."""
        step = self._erasures.step(asked.after_key, ROWS_AT_ONCE)
        deliveries: Deliveries = []
        for key in step.keys:
            if asked.undo:
                if key.startswith(b"f|") and collection_of(key) == asked.collection:
                    deliveries += self._unsay(key.split(b"|", 2)[1].decode(), asked.collection, asked.at)
            elif key.startswith(b"i|"):
                deliveries += self._leave_collection(content_of(key), asked)
            elif collection_of(key) == asked.collection:
                deliveries += self._erasures.delete([key])
        if step.after is not None:
            deliveries.append(self._go_on(event, asked.step_behind(step.after)))
        return deliveries

    def _leave_collection(self, content: ContentKey, asked: ForgetCollection) -> Deliveries:
        paths = [key for key, _ in self._erasures.paths(content.sha256, asked.collection)]
        rows = self._erasures.delete(paths)
        if self._erasures.has_paths(content):
            return [*rows, *(self._erasures.alone(content) if paths else ())]
        return [*rows, *self._erase(content.sha256, asked.collection, "collection", asked.at)]

    async def _go_on(self, event: Event, following: ForgetCollection) -> None:
        partition = event.message.partition
        await (await self._stage.send(IMAGE_OUTCOME, following.collection, following, Headers(), partition))


def _age(erased: Erased) -> float:
    """Return for how long a picture was gone, in seconds."""
    return erased.at - datetime.fromisoformat(str(erased.gone_at)).timestamp()
