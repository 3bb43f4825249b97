"""The files that wait for a claim: how they go on when it ends; used by prepare.

However many wait for one content, they go on a few at a time: a step ends with a message to prepare itself that asks
for the next one, so that what concerns other contents comes in between. Effects are delivered first, and only then
rows go. A kill in between repeats effects, which is harmless; the other order would forget files.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from agents.decoder import Decoder
from agents.stage import StageApp
from core import failpoints
from core.errors import ContentError
from rules.claims import Claim, known_outcome
from rules.identity import point_id
from streams.item import Item
from streams.messages import Event
from streams.stage import Outgoing
from streams.window import Deliveries
from tables.known_images import KnownImages, OfContent, Waiter
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.files import FileOfJob, HashedFileOfJob
from topics.image_outcome import IMAGE_OUTCOME, AnyImageOutcome, FailedContent, MoreWaiters
from topics.ml_request import ML_REQUEST
from topics.record import Headers
from topics.sentinel import sentinel_headers

# To one step: bounds its time, and its memory.
WAITERS_AT_ONCE = 100


def lot(file: FileOfJob) -> str:
    """Return the name under which a content's first file in a job is remembered."""
    return f"{file.job_id}/{file.collection}"


@dataclass(slots=True)
class Step:
    """What an event asks for: rows that are written already, work outside the iteration, rows that go after it."""

    rows: list[Awaitable[object]] = field(default_factory=list)
    work: Callable[[], Awaitable[None]] | None = None
    settle: Callable[[], Deliveries] | None = None


class Waiters:
    """Sends on, fails or promotes those that wait. Called in the iteration, so that no other event comes in between."""

    def __init__(self, stage: StageApp, images: KnownImages, decoder: Decoder) -> None:
        self._stage = stage
        self._images = images
        self._decoder = decoder

    def send_on(self, event: Event, known: HashedFileOfJob, content: Content, claim: Claim, after: int = -1) -> Step:
        """Send the next few to Qdrant, as their content is known. Notes in the claim who is the first of its job."""
        numbers, waiters = self._next(known, after, claim.promoted)
        outcomes = []
        for waiter in waiters:
            claim.remember_first(lot(waiter), waiter.file_id)
            outcomes.append(known_outcome(claim, waiter.file_id, lot(waiter)))

        async def send() -> None:
            writes: list[Outgoing] = []
            jobs: dict[str, Waiter] = {}
            for waiter, outcome in zip(waiters, outcomes, strict=True):
                if self._stage.parts.jobs.is_cancelled(waiter.job_id):
                    await self.skip(waiter)
                    continue
                jobs[waiter.job_id] = waiter
                write = DBWrite(
                    **waiter.file_fields(), point_id=point_id(waiter.sha256), outcome=outcome, content=content
                )
                headers = waiter.headers(waiter.received)
                writes.append((waiter.sha256.encode(), write, headers))
            await self._stage.send_files(DB_WRITE, writes)
            for _, file, headers in writes:
                self._stage.handed_on(file, headers)
            for file in jobs.values():
                await self._flush(event, DB_WRITE.name, file)
            failpoints.reach("waiters-emitted")

        def settle() -> Deliveries:
            rows = self._images.drop_waiters(known, numbers)
            if not self._is_left(known, numbers[-1], claim.promoted):
                return rows
            more = MoreWaiters(**known.file_fields(), after=numbers[-1])
            return [*rows, self.tell(event, known.sha256, more, more.headers())]

        return Step(work=send, settle=settle) if numbers else Step()

    def fail(self, event: Event, outcome: FailedContent, claim: Claim) -> Step:
        """Fail the next few with their content, each with its own dead letter; after the last the claim goes."""
        numbers, waiters = self._next(outcome, outcome.after, claim.promoted)

        async def fail(waiter: Waiter) -> None:
            if self._stage.parts.jobs.is_cancelled(waiter.job_id):
                await self.skip(waiter)
                return
            error = ContentError(f"Its content, the same as that of {outcome.path}, cannot be used: {outcome.reason}")
            await self._stage.fail(Item(event, waiter, waiter.received), error)

        async def fail_all() -> None:
            await asyncio.gather(*(fail(waiter) for waiter in waiters))

        def settle() -> Deliveries:
            rows = self._images.drop_waiters(outcome, numbers)
            last = numbers[-1] if numbers else -1
            if not self._is_left(outcome, last, claim.promoted):
                now = self._images.claim(outcome)
                ended = now is not None and now.owner == outcome.file_id
                return [*rows, self._images.drop_claim(outcome)] if ended else rows
            more = outcome.model_copy(update={"after": last})
            return [*rows, self.tell(event, outcome.sha256, more, outcome.headers())]

        return Step(work=fail_all, settle=settle)

    def promote(self, event: Event, of: OfContent, claim: Claim, number: int) -> Step:
        """Make one the owner of the claim, and decode it. Until it is on its way to ML, it is still a waiter too."""
        successor = self._images.waiter(of, number)
        if successor is None:
            return Step([self._images.drop_claim(of)])
        claim.own(successor.file_id, lot(successor), claim.begun, promoted=number)

        async def decode() -> None:
            await self._decoder.decode(Item(event, successor, successor.received))
            await self._flush(event, ML_REQUEST.name, successor)
            failpoints.reach("waiter-promoted")

        def settle() -> Deliveries:
            rows = self._images.drop_waiters(of, [number])
            now = self._images.claim(of)
            if now is None or now.promoted != number:
                return rows
            now.promoted = None
            return [*rows, self._images.put_claim(of, now)]

        return Step([self._images.put_claim(of, claim)], decode, settle)

    def successor(self, of: OfContent, after: int) -> int | None:
        """Return the number of the first that may become the owner."""
        for number in self._images.waiters(of, after):
            waiter = self._images.waiter(of, number)
            if waiter is not None and not self._stage.parts.jobs.is_cancelled(waiter.job_id):
                return number
        return None

    async def skip(self, waiter: Waiter) -> None:
        """End one whose job is cancelled."""
        await self._stage.finish(waiter, "skipped", waiter.received, reason="job cancelled", sha256=waiter.sha256)

    async def tell(self, event: Event, key: str, outcome: AnyImageOutcome, headers: Headers) -> None:
        """Send a message to prepare itself, on the partition of an event, and wait until it is delivered."""
        value, encoded = IMAGE_OUTCOME.encode(outcome), IMAGE_OUTCOME.headers(outcome, headers)
        partition = event.message.partition
        await (await self._stage.send_raw(IMAGE_OUTCOME.name, key.encode(), value, encoded, partition))

    def _next(self, of: OfContent, after: int, promoted: int | None) -> tuple[Sequence[int], list[Waiter]]:
        """Return the next few that wait; one that is being promoted does so no more."""
        waiting = (number for number in self._images.waiters(of, after) if number != promoted)
        numbers = list(islice(waiting, WAITERS_AT_ONCE))
        return numbers, [waiter for number in numbers if (waiter := self._images.waiter(of, number))]

    def _is_left(self, of: OfContent, after: int, promoted: int | None) -> bool:
        """Tell whether more wait: behind the last ones, or, where the topic was made anew, before them."""
        behind, all_left = self._images.waiters(of, after), self._images.waiters(of)
        return any(number != promoted for number in chain(behind, all_left))

    async def _flush(self, event: Event, topic: str, file: HashedFileOfJob) -> None:
        """Follow up with a tombstone: the one of the walk may have passed while the file waited."""
        headers = sentinel_headers(file.job_id, "waiters", None)
        await (await self._stage.send_raw(topic, file.job_id.encode(), None, headers, event.message.partition))
