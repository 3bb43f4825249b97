"""What concerns all rows of known_images on a partition: files that wait in a cancelled job, claims to be cleared.

A sweep goes on in steps, as the waiters of one content do: each ends with a message that asks for the next.
"""

import asyncio

import structlog

from agents.stage import StageApp
from agents.waiters import Step, Waiters
from rules.claims import Claim
from streams.messages import Event
from streams.window import Deliveries
from tables.known_images import KnownImages, Waiter, content_of
from topics.image_outcome import IMAGE_OUTCOME, ClaimsCleared, JobCancelled, Released
from topics.record import Headers

ROWS_AT_ONCE = 500

log = structlog.get_logger()


class Sweeper:
    """Looks through the rows of a partition."""

    def __init__(self, stage: StageApp, images: KnownImages, waiters: Waiters) -> None:
        self._stage = stage
        self._images = images
        self._waiters = waiters

    async def watch(self) -> None:
        """Have the files that wait in a job end as soon as it is cancelled; to be run as a task.

        Every worker asks all partitions, when it knows that it takes no further file of the job: whoever has one of
        them then finds each file that waits.
        """
        told: set[str] = set()
        jobs = self._stage.parts.jobs
        while True:
            cancelling = jobs.cancelling()
            for job_id in sorted(cancelling - told):
                log.info("waiters-end", job_id=job_id, stage="prepare")
                record = JobCancelled(job_id=job_id)
                value = IMAGE_OUTCOME.encode(record)
                headers = IMAGE_OUTCOME.headers(record, Headers(job_id=job_id))
                deliveries = [
                    await self._stage.send_raw(IMAGE_OUTCOME.name, job_id.encode(), value, headers, partition)
                    for partition in range(self._stage.parts.settings.kafka_partitions)
                ]
                await asyncio.gather(*deliveries)
            told = cancelling
            await jobs.changed(seconds=60.0)

    def end_waiters(self, event: Event, sweep: JobCancelled) -> Step:
        """End the files of a cancelled job that wait for a claim."""
        if not self._stage.parts.jobs.is_cancelled(sweep.job_id):
            return Step()  # not known here yet: this worker asks again when it is
        rows = self._images.waiters_of_all(sweep.after.encode(), ROWS_AT_ONCE)
        name = f'"job_id":"{sweep.job_id}"'.encode()  # most rows are not even decoded
        decoded = {key: Waiter.model_validate_json(row) for key, row in rows if name in row}
        found = {key: waiter for key, waiter in decoded.items() if waiter.job_id == sweep.job_id}

        async def skip() -> None:
            await asyncio.gather(*(self._waiters.skip(waiter) for waiter in found.values()))

        def settle() -> Deliveries:
            deliveries = self._images.drop_rows(found)
            if len(rows) < ROWS_AT_ONCE:
                return deliveries
            more = sweep.model_copy(update={"after": rows[-1][0].decode()})
            return [*deliveries, self._waiters.tell(event, sweep.job_id, more, Headers(job_id=sweep.job_id))]

        return Step(work=skip, settle=settle)

    def release_claims(self, event: Event, sweep: ClaimsCleared) -> Step:
        """Void the claims in flight of a collection, each by a message of its own."""
        rows = self._images.claims_of_all(sweep.after.encode(), ROWS_AT_ONCE)
        found = []
        for key, row in rows:
            if b'"owner":null' in row:
                continue
            claim = Claim.model_validate_json(row)
            if claim.owner is not None and (claim.lot_of_owner or "").partition("/")[2] == sweep.collection:
                found.append(Released(**content_of(key)._asdict(), owner=claim.owner))

        async def release() -> None:
            for released in found:
                await self._waiters.tell(event, released.sha256, released, Headers(model_id=released.model_id))
            if len(rows) == ROWS_AT_ONCE:
                more = sweep.model_copy(update={"after": rows[-1][0].decode()})
                await self._waiters.tell(event, sweep.collection, more, Headers())

        return Step(work=release)
