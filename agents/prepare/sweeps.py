"""What concerns all rows of known_images on a partition: files that wait in a cancelled job, claims to be cleared.

A sweep goes on in steps, as the waiters of one content do: each ends with a message that asks for the next.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from agents.prepare.cases import Case
from agents.prepare.effects import Decided, Executor
from agents.stage import StageApp
from rules.claims.claim import Claim
from rules.claims.events import Cancelled
from streams.messages import Event
from tables.known_images import ContentKey, KnownImages, Waiter, content_of, waiter_of
from topics.image_outcome import IMAGE_OUTCOME, AnyImageOutcome, ClaimsCleared, JobCancelled, Released
from topics.record import Headers

ROWS_AT_ONCE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Step:
    """What a message asks for: decisions about contents, and then messages to prepare itself, by key."""

    decided: list[Decided] = field(default_factory=list)
    telling: list[tuple[str, AnyImageOutcome, Headers]] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do but to wait for the rows."""
        return not (self.telling or any(one.effects.work or one.effects.then for one in self.decided))


class Sweeper:
    """Looks through the rows of a partition."""

    def __init__(self, stage: StageApp, images: KnownImages, executor: Executor) -> None:
        self._stage = stage
        self._images = images
        self._executor = executor

    async def watch(self) -> None:
        """Have the files that wait in a job end as soon as it is cancelled; to be run as a task.

        Every worker asks all partitions, when it knows that it takes no further file of the job: whoever has one of
        them then finds each file that waits.
        """
        told: set[str] = set()
        jobs = self._stage.services.jobs
        while True:
            cancelling = jobs.cancelling()
            for job_id in sorted(cancelling - told):
                log.info("waiters-end", job_id=job_id, stage="prepare")
                record, headers = JobCancelled(job_id=job_id), Headers(job_id=job_id)
                deliveries = [
                    await self._stage.send(IMAGE_OUTCOME, job_id, record, headers, partition)
                    for partition in range(self._stage.services.settings.kafka_partitions)
                ]
                await asyncio.gather(*deliveries)
            told = cancelling
            await jobs.changed(seconds=60.0)

    def end_waiters(self, event: Event, sweep: JobCancelled) -> Step:
        """End the files of a cancelled job that wait for a claim."""
        if not self._stage.services.jobs.is_cancelled(sweep.job_id):
            return Step()  # not known here yet: this worker asks again when it is
        rows = self._images.waiters_of_all(sweep.after.encode(), ROWS_AT_ONCE)
        name = f'"job_id":"{sweep.job_id}"'.encode()  # most rows are not even decoded
        cases: dict[ContentKey, Case] = {}
        for key, row in rows:
            if name in row and (waiter := Waiter.model_validate_json(row)).job_id == sweep.job_id:
                of, number = waiter_of(key)
                cases.setdefault(of, Case(event, of)).take_in(number, waiter)
        decided = [self._executor.decide(case, Cancelled(tuple(case.files))) for case in cases.values()]
        if len(rows) < ROWS_AT_ONCE:
            return Step(decided)
        more = sweep.model_copy(update={"after": rows[-1][0].decode()})
        return Step(decided, [(sweep.job_id, more, Headers(job_id=sweep.job_id))])

    def release_claims(self, sweep: ClaimsCleared) -> Step:
        """Void the claims in flight of a collection, each by a message of its own."""
        rows = self._images.claims_of_all(sweep.after.encode(), ROWS_AT_ONCE)
        step = Step()
        for key, row in rows:
            if b'"owner":null' in row:
                continue
            claim = Claim.model_validate_json(row)
            if claim.owner is not None and claim.collection_of_owner == sweep.collection:
                released = Released(**content_of(key)._asdict(), owner=claim.owner)
                step.telling.append((released.sha256, released, Headers(model_id=released.model_id)))
        if len(rows) == ROWS_AT_ONCE:
            more = sweep.model_copy(update={"after": rows[-1][0].decode()})
            step.telling.append((sweep.collection, more, Headers()))
        return step
