"""prepare: decides what a file costs, and decodes the ones whose content is new.

hashed-file → ml-request for a new content, db-write for a known one, or `unchanged` at once.
image-outcome → the end of a claim. The only writer of known_images.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any

import faust
import structlog

from agents.claims import ClaimKeeper, lot
from agents.collections import Collections
from agents.decoder import Decoder
from agents.stage import Parts, StageApp, file_fields
from errors import FileError, InvalidMessageError, PartitionRevokedError
from rules.claims import Claim, decide
from rules.identity import point_id
from tables.known_images import KnownImages
from topics.db_write import DB_WRITE, DBWrite
from topics.hashed_file import HASHED_FILE, HashedFile
from topics.image_outcome import IMAGE_OUTCOME
from topics.ml_request import ML_REQUEST
from topics.record import Headers
from topics.sentinel import read_sentinel

FILES_WINDOW = 128
OUTCOMES_WINDOW = 256


def build(parts: Parts, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("prepare", parts, datadir)
    images = KnownImages(stage.rows())
    decoder = Decoder(stage)
    preparer = _Preparer(stage, images, decoder, Collections(parts.qdrant, parts.ml, parts.settings))
    keeper = ClaimKeeper(stage, images, decoder)

    @stage.app.agent(stage.source(HASHED_FILE.name), name="prepare")  # type: ignore[untyped-decorator]
    async def prepare_files(stream: Any) -> None:
        window = stage.window(FILES_WINDOW)
        async for event in stream.noack().events():
            try:
                if event.value is None:
                    read_sentinel(event.message.headers)
                    await window.add_in_order(event, lambda event=event: stage.pass_on(event, ML_REQUEST.name))
                    continue
                file = HASHED_FILE.decode(event.value)
                file.path_bytes  # noqa: B018 - a path that is not absolute is told here
                work = await preparer.decide(event, file)
            except InvalidMessageError as error:
                await window.add(event, stage.reject(event, error))
            except PartitionRevokedError:
                continue
            else:
                await window.add(event, work)

    @stage.app.agent(stage.source(IMAGE_OUTCOME.name), name="claims")  # type: ignore[untyped-decorator]
    async def end_claims(stream: Any) -> None:
        window = stage.window(OUTCOMES_WINDOW)
        async for event in stream.noack().events():
            try:
                outcome = IMAGE_OUTCOME.decode(event.value or b"")
            except InvalidMessageError as error:
                await window.add(event, stage.reject(event, error))
                continue
            try:
                rows = await keeper.end(event, outcome)
            except PartitionRevokedError:
                continue
            await window.add(event, _all(rows))

    return stage


class _Preparer:
    def __init__(self, stage: StageApp, images: KnownImages, decoder: Decoder, collections: Collections) -> None:
        self._stage = stage
        self._images = images
        self._decoder = decoder
        self._collections = collections

    async def decide(self, event: faust.Event, file: HashedFile) -> Any:
        """Write the rows that a file asks for, and return the work that is left as a coroutine.

        Runs in the iteration, so that no other event of this content comes in between.
        """
        headers = Headers.decode(event.message.headers)
        incarnation = await self._stage.persist(
            [file.job_id], lambda: self._collections.incarnation(file.job_id, file.collection)
        )
        claim = self._images.claim(file)
        owns = claim is not None and claim.owner == file.file_id
        if incarnation is None:
            error = FileError(
                f"Collection {file.collection} does not exist (any more). Create it, and run the job again."
            )
            fail = self._stage.fail_file if owns else self._stage.fail
            return self._bound(file, fail(event, file, error, headers), [])
        if self._stage.parts.jobs.is_cancelled(file.job_id) and not owns:
            skip = self._stage.finish(file, "skipped", headers, reason="job cancelled", sha256=file.sha256)
            return self._bound(file, skip, [])
        decision = decide(claim, file.file_id, lot(file), is_confirmed=self._images.is_confirmed(file, incarnation))
        match decision.action:
            case "embed":
                claim = claim or Claim(owner=file.file_id)
                claim.remember_first(lot(file), file.file_id)
                return self._bound(
                    file, self._decoder.decode(event, file, headers), [self._images.put_claim(file, claim)]
                )
            case "wait":
                assert claim is not None  # noqa: S101 - only a claim makes a file wait
                return self._bound(file, None, self._images.put_waiter(file, claim))
            case "unchanged":
                work = self._stage.finish(file, "unchanged", headers, sha256=file.sha256)
                return self._bound(file, work, self._note_first(file, claim))
            case "write":
                content = self._images.content(file)
                if claim is None or content is None:
                    # The claim says that ML has answered, but the answer is gone: ask again.
                    claim = Claim(owner=file.file_id)
                    rows = [self._images.put_claim(file, claim)]
                    return self._bound(file, self._decoder.decode(event, file, headers), rows)
                write = DBWrite(
                    **file_fields(file), point_id=point_id(file.sha256), outcome=decision.outcome, content=content
                )
                return self._bound(file, self._write(file, write, headers), self._note_first(file, claim))

    async def _write(self, file: HashedFile, write: DBWrite, headers: Headers) -> None:
        await (await self._stage.send(DB_WRITE, file.sha256, write, file.headers(headers)))
        self._stage.report.moved(file.job_id)

    def _note_first(self, file: HashedFile, claim: Claim | None) -> list[Awaitable[object]]:
        if claim is None or not claim.remember_first(lot(file), file.file_id):
            return []
        return [self._images.put_claim(file, claim)]

    async def _bound(self, file: HashedFile, work: Any, rows: Iterable[Awaitable[object]]) -> None:
        with structlog.contextvars.bound_contextvars(job_id=file.job_id, stage="prepare"):
            if work is not None:
                await work
            await _all(rows)


async def _all(deliveries: Iterable[Awaitable[object]]) -> None:
    await asyncio.gather(*deliveries)
