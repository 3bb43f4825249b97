"""Takes what became of contents: image-outcome → the end of claims. Used by prepare, for all files of a message.

What is decided and written at once is so in the iteration; what takes a while, such as a decode, is left to a task.
"""

import asyncio
from functools import partial
from typing import cast

import structlog

from agents.prepare.cases import Case
from agents.prepare.departing import DepartureKeeper
from agents.prepare.effects import Executor
from agents.prepare.erasing import ErasureKeeper
from agents.prepare.sweeps import Step, Sweeper
from agents.stage import StageApp
from core import failpoints
from core.errors import DrainingError, FatalError, PartitionRevokedError
from rules.claims.claim import scope
from rules.claims.events import Answered, Confirmed, ContentFailed, Event, FileFailed, Forgotten, More
from streams.item import Item
from streams.window import Deliveries, Permits, Window
from tables.known_images import KnownImages
from topics import image_outcome as told
from topics.image_outcome import IMAGE_OUTCOME, AnyImageOutcome


class ClaimKeeper:
    """Ends claims."""

    def __init__(
        self,
        stage: StageApp,
        images: KnownImages,
        executor: Executor,
        sweeper: Sweeper,
        *,
        departures: DepartureKeeper,
        erasures: ErasureKeeper,
    ) -> None:
        self._departures = departures
        self._erasures = erasures
        self._stage = stage
        self._images = images
        self._executor = executor
        self._sweeper = sweeper

    async def take(self, items: list[Item[AnyImageOutcome]], window: Window) -> None:
        """Take files of image-outcome. Those that ask for rows alone are one piece of work."""
        event, of, done = items[0].event, items[0].of, list[Step]()
        with structlog.contextvars.bound_contextvars(job_id=getattr(items[0].record, "job_id", ""), stage="prepare"):
            for item in items:
                try:
                    if isinstance(item.record, told.OfDepartures):
                        await self._departures.take(cast("Item[told.OfDepartures]", item), window)
                        continue
                    if isinstance(item.record, told.OfErasures):
                        await self._erasures.take(cast("Item[told.OfErasures]", item), window)
                        continue
                    step = self._step(item)
                except (PartitionRevokedError, DrainingError, FatalError):
                    raise
                except Exception as error:
                    refusal = self._stage.reject_file(IMAGE_OUTCOME, item, error)
                    await window.add(event, refusal, permits=item.permits())
                    continue
                if step.is_done:
                    done.append(step)
                else:
                    await window.add(event, self._finish(step), partial(self._follow_up, item, step), item.permits())
            if done:
                await window.add(event, self._written(done), permits=Permits(len(done), of))

    def _step(self, item: Item[AnyImageOutcome]) -> Step:
        outcome = item.record
        assert not isinstance(outcome, told.OfDepartures | told.OfErasures)  # noqa: S101 - these are taken elsewhere
        if isinstance(outcome, told.JobCancelled):
            return self._sweeper.end_waiters(item.event, outcome)
        if isinstance(outcome, told.ClaimsCleared):
            return self._sweeper.release_claims(outcome)
        case = Case(item.event, outcome, outcome=outcome)
        return Step([self._executor.decide(case, self._event(case, outcome, item.headers.begun))])

    def _event(self, case: Case, outcome: told.AboutContent, begun: int) -> Event:
        match outcome:
            case told.Stored(content=None):
                return Confirmed()
            case told.Stored() | told.Embedded():
                known = self._images.content(outcome)
                # A replay may be from before the content was read again.
                is_outdated = known is not None and outcome.content is not None and outcome.content.is_older_than(known)
                case.content = known if is_outdated else outcome.content
                return Answered(outcome.file_id, scope(outcome), is_outdated, isinstance(outcome, told.Stored))
            case told.MoreWaiters():
                return More(outcome.after)
            case told.FailedContent():
                return ContentFailed(outcome.file_id, outcome.after)
            case told.FailedFile():
                return FileFailed(outcome.file_id, begun)
            case told.Released():
                return FileFailed(outcome.owner, begun, is_released=True)
            case told.Forgotten():
                return Forgotten()

    async def _written(self, steps: list[Step]) -> None:
        for step in steps:
            for decided in step.decided:
                for delivery in decided.deliveries:
                    await delivery
            failpoints.reach("claim-ended")

    async def _finish(self, step: Step) -> None:
        await asyncio.gather(*(self._executor.finish(decided) for decided in step.decided))
        failpoints.reach("claim-ended")

    def _follow_up(self, item: Item[AnyImageOutcome], step: Step, _: None) -> Deliveries:
        deliveries = [delivery for decided in step.decided for delivery in self._executor.follow_up(decided)]
        return [*deliveries, *(self._executor.tell(item.event, *telling) for telling in step.telling)]
