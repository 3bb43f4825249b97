"""What an image-outcome does to the claim on its content; used by prepare, event by event.

Order matters more than speed here: the effects for those that wait are delivered first, and
only then their rows go. A kill in between repeats effects, which is harmless; the other order
would forget files.
"""

import asyncio
from collections.abc import Awaitable, Container
from itertools import islice

import faust
import structlog

import failpoints
from agents.decoder import Decoder
from agents.delivery import Window
from agents.stage import StageApp
from errors import ContentError
from rules.claims import Claim, known_outcome
from rules.identity import point_id
from tables.known_images import KnownImages
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.files import FileOfJob, HashedFileOfJob
from topics.hashed_file import HashedFile
from topics.image_outcome import IMAGE_OUTCOME, Embedded, FailedContent, FailedFile, Forgotten, ImageOutcome, Stored
from topics.ml_request import ML_REQUEST
from topics.sentinel import sentinel_headers

# Waiters that are emitted before their delivery is awaited: bounds the memory for many copies of one content.
WAITERS_AT_ONCE = 100


def lot(file: FileOfJob) -> str:
    """Return the name under which a content's first file in a job is remembered."""
    return f"{file.job_id}/{file.collection}"


class ClaimKeeper:
    """Ends claims. What the methods return are the deliveries of rows, awaited before the event is acked."""

    def __init__(self, stage: StageApp, images: KnownImages, decoder: Decoder) -> None:
        self._stage = stage
        self._images = images
        self._decoder = decoder

    async def take(self, event: faust.Event, window: Window) -> None:
        """Take an image-outcome."""
        outcome = IMAGE_OUTCOME.decode(event.value or b"")
        await window.add(event, _delivered(await self._end(event, outcome)))

    async def _end(self, event: faust.Event, outcome: ImageOutcome) -> list[Awaitable[object]]:
        with structlog.contextvars.bound_contextvars(job_id=outcome.job_id, stage="prepare"):
            match outcome:
                case Stored():
                    rows = [] if outcome.content is None else await self._embedded(event, outcome, outcome.content)
                    return [*rows, self._images.confirm(outcome, outcome.incarnation)]
                case Embedded():
                    return await self._embedded(event, outcome, outcome.content)
                case FailedContent():
                    return await self._failed_content(event, outcome)
                case FailedFile():
                    return await self._failed_file(event, outcome)
                case Forgotten():
                    return self._forgotten(outcome)

    async def _embedded(
        self, event: faust.Event, outcome: Embedded | Stored, content: Content
    ) -> list[Awaitable[object]]:
        """ML has answered: send the waiters to Qdrant and remember the content. Accepted in any state."""
        known = self._images.content(outcome)
        if known is not None and content.is_older_than(known):
            content = known  # a replay, from before it was read again
        firsts = {lot(outcome): outcome.file_id}
        emitted: set[int] = set()
        while batch := self._next_waiters(outcome, emitted):
            claim = self._claim(outcome)
            claim.remember_firsts(firsts)
            await self._write_waiters(event, outcome, content, claim, batch)
            firsts = claim.firsts
            emitted.update(batch)
            failpoints.reach("waiters-emitted")
        # Between the last look for waiters and the writes below nothing is awaited, so none can come in between.
        claim = self._claim(outcome)
        claim.remember_firsts(firsts)
        claim.owner = None
        return [
            *self._images.drop_waiters(outcome, emitted),
            self._images.put_content(outcome, content),
            self._images.put_claim(outcome, claim),
        ]

    async def _failed_content(self, event: faust.Event, outcome: FailedContent) -> list[Awaitable[object]]:
        """No copy of the content can be used: fail the waiters, each with its own dead letter."""
        claim = self._images.claim(outcome)
        if claim is None or claim.owner != outcome.file_id:
            return []
        failed: set[int] = set()
        while batch := self._next_waiters(outcome, failed):
            for number in batch:
                waiter = self._images.waiter(outcome, number)
                if waiter is not None:
                    error = ContentError(
                        f"Its content, the same as that of {outcome.path}, cannot be used: {outcome.reason}"
                    )
                    await self._stage.fail(event, waiter, error, waiter.received)
            failed.update(batch)
        return [*self._images.drop_waiters(outcome, failed), self._images.drop_claim(outcome)]

    async def _failed_file(self, event: faust.Event, outcome: FailedFile) -> list[Awaitable[object]]:
        """One path cannot be used: the next file that waits becomes the owner of the claim."""
        claim = self._images.claim(outcome)
        if claim is None or claim.owner != outcome.file_id:
            return []
        number = next(self._images.waiters(outcome), None)
        successor = None if number is None else self._images.waiter(outcome, number)
        if number is None or successor is None:
            return [self._images.drop_claim(outcome)]
        await self._decoder.decode(event, successor, successor.received)
        await self._flush(event, ML_REQUEST.name, successor)
        failpoints.reach("waiter-promoted")
        claim = self._claim(outcome)
        claim.forget_first(lot(outcome), outcome.file_id)
        claim.owner = successor.file_id
        claim.remember_first(lot(successor), successor.file_id)
        return [*self._images.drop_waiters(outcome, [number]), self._images.put_claim(outcome, claim)]

    def _forgotten(self, outcome: Forgotten) -> list[Awaitable[object]]:
        """Let the next file be embedded; a content that is being embedded now is new enough."""
        claim = self._images.claim(outcome)
        return [self._images.drop_claim(outcome)] if claim is not None and claim.owner is None else []

    def _next_waiters(self, outcome: HashedFileOfJob, done: Container[int]) -> list[int]:
        waiting = (number for number in self._images.waiters(outcome) if number not in done)
        return list(islice(waiting, WAITERS_AT_ONCE))

    async def _write_waiters(
        self, event: faust.Event, outcome: HashedFileOfJob, content: Content, claim: Claim, numbers: list[int]
    ) -> None:
        deliveries = []
        jobs: dict[str, HashedFile] = {}
        for number in numbers:
            waiter = self._images.waiter(outcome, number)
            if waiter is None:
                continue
            claim.remember_first(lot(waiter), waiter.file_id)
            jobs[waiter.job_id] = waiter
            write = DBWrite(
                **waiter.file_fields(),
                point_id=point_id(waiter.sha256),
                outcome=known_outcome(claim, waiter.file_id, lot(waiter)),
                content=content,
            )
            headers = waiter.headers(waiter.received)
            deliveries.append(await self._stage.send(DB_WRITE, waiter.sha256, write, headers))
            self._stage.handed_on(waiter, headers)
        await asyncio.gather(*deliveries)
        for file in jobs.values():
            await self._flush(event, DB_WRITE.name, file)

    async def _flush(self, event: faust.Event, topic: str, file: HashedFile) -> None:
        """Follow up with a tombstone: the one of the walk may have passed while the file waited."""
        headers = sentinel_headers(file.job_id, "waiters", None)
        await (await self._stage.send_raw(topic, file.job_id.encode(), None, headers, event.message.partition))

    def _claim(self, file: HashedFileOfJob) -> Claim:
        return self._images.claim(file) or Claim(owner=None)


async def _delivered(rows: list[Awaitable[object]]) -> None:
    await asyncio.gather(*rows)
    failpoints.reach("claim-ended")
