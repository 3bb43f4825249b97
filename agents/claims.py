"""What an image-outcome does to the claim on its content; used by prepare, event by event.

What is decided and written at once is so in the iteration; what takes a while, such as a decode, is left to a task.
"""

import asyncio
from collections.abc import Awaitable

import structlog

from agents.sweeps import Sweeper
from agents.waiters import Step, Waiters, lot
from core import failpoints
from rules.claims import Claim
from streams.item import Item
from streams.messages import Event
from streams.window import Deliveries, Window
from tables.known_images import KnownImages, OfContent
from topics.content import Content
from topics.files import HashedFileOfJob
from topics.image_outcome import (
    AnyImageOutcome,
    ClaimsCleared,
    Embedded,
    FailedContent,
    FailedFile,
    Forgotten,
    JobCancelled,
    MoreWaiters,
    Released,
    Stored,
)
from topics.record import Headers


class ClaimKeeper:
    """Ends claims."""

    def __init__(self, images: KnownImages, waiters: Waiters, sweeper: Sweeper) -> None:
        self._images = images
        self._waiters = waiters
        self._sweeper = sweeper

    async def take(self, item: Item[AnyImageOutcome], window: Window) -> None:
        """Take an image-outcome."""
        event, outcome = item.event, item.record
        with structlog.contextvars.bound_contextvars(job_id=getattr(outcome, "job_id", ""), stage="prepare"):
            step = self._step(event, outcome, item.headers)
            await window.add(event, _done(step), lambda _: _settled(step), item.share())

    def _step(self, event: Event, outcome: AnyImageOutcome, headers: Headers) -> Step:
        match outcome:
            case Stored():
                step = Step() if outcome.content is None else self._answered(event, outcome, outcome.content)
                step.rows.append(self._images.confirm(outcome, outcome.incarnation))
                return step
            case Embedded():
                return self._answered(event, outcome, outcome.content)
            case MoreWaiters():
                return self._more(event, outcome)
            case FailedContent():
                claim = self._images.claim(outcome)
                if claim is None or claim.owner != outcome.file_id:
                    return Step()
                return self._waiters.fail(event, outcome, claim)
            case FailedFile():
                return self._released(event, outcome, outcome.file_id, lot(outcome), headers.begun)
            case Released():
                return self._released(event, outcome, outcome.owner, None, headers.begun)
            case Forgotten():
                return Step(self._forgotten(outcome))
            case JobCancelled():
                return self._sweeper.end_waiters(event, outcome)
            case ClaimsCleared():
                return self._sweeper.release_claims(event, outcome)

    def _answered(self, event: Event, outcome: Embedded | Stored, content: Content) -> Step:
        """ML has answered: remember the content and send the waiters to Qdrant. Accepted in any state.

        Nobody waits for this content any more once that is written. A kill before all waiters are sent on leaves this
        event, or the one that asks for the next few, unacked.
        """
        known = self._images.content(outcome)
        if known is not None and content.is_older_than(known):
            content = known  # a replay, from before it was read again
        claim = self._images.claim(outcome) or Claim(owner=None)
        claim.answer()
        claim.remember_first(lot(outcome), outcome.file_id)
        step = self._waiters.send_on(event, outcome, content, claim)
        step.rows += [self._images.put_content(outcome, content), self._images.put_claim(outcome, claim)]
        return step

    def _more(self, event: Event, outcome: MoreWaiters) -> Step:
        claim, content = self._images.claim(outcome), self._images.content(outcome)
        if claim is not None and claim.owner is not None:
            return Step()  # the content was forgotten meanwhile: they wait for its new owner
        claim = claim or Claim(owner=None)
        if content is None:
            return self._next_owner(event, outcome, claim, -1)
        step = self._waiters.send_on(event, outcome, content, claim, outcome.after)
        step.rows.append(self._images.put_claim(outcome, claim))
        return step

    def _released(self, event: Event, of: OfContent, owner: str, lot_of_owner: str | None, begun: int) -> Step:
        """One path cannot be used: the next file that waits becomes the owner of the claim."""
        claim = self._images.claim(of)
        if claim is None:
            return Step()
        if claim.owner == owner:
            claim.begin_again(begun)
            claim.forget_first(lot_of_owner or claim.lot_of_owner or "", owner)
            return self._next_owner(event, of, claim, -1 if claim.promoted is None else claim.promoted)
        if claim.promoted is None:
            return Step()
        # A kill has cut off what this event began: the next owner may not be on its way to ML.
        content, promoted = self._images.content(of), self._images.waiter(of, claim.promoted)
        if claim.owner is not None or content is None or promoted is None:
            return self._waiters.promote(event, of, claim, claim.promoted)
        # ML has answered meanwhile.
        claim.promoted = None
        step = self._waiters.send_on(event, promoted, content, claim)
        step.rows.append(self._images.put_claim(of, claim))
        return step

    def _next_owner(self, event: Event, of: OfContent, claim: Claim, after: int) -> Step:
        # One that was promoted and failed before it was on its way to ML has its outcome.
        rows = [] if claim.promoted is None else self._images.drop_waiters(of, [claim.promoted])
        number = self._waiters.successor(of, after)
        step = (
            Step([self._images.drop_claim(of)]) if number is None else self._waiters.promote(event, of, claim, number)
        )
        step.rows += rows
        return step

    def _forgotten(self, outcome: HashedFileOfJob) -> list[Awaitable[object]]:
        """Let the next file be embedded; a content that is being embedded now is new enough."""
        claim = self._images.claim(outcome)
        if claim is None or claim.owner is not None:
            return []
        return [self._images.drop_claim(outcome), self._images.drop_content(outcome)]


async def _done(step: Step) -> None:
    if step.work is not None:
        await step.work()
    await asyncio.gather(*step.rows)
    failpoints.reach("claim-ended")


def _settled(step: Step) -> Deliveries:
    return [] if step.settle is None else step.settle()
