"""Tells another program of finished jobs, by POST; each at least once.

A consumer group of its own reads `job-status`: what is committed was told, so a restart goes on where it was, and of
several services one tells. A log that is not the one that was read (it lost its end, or was made anew) is read from
its first message, as for each job it is kept whether its end was told. Kafka keeps the last status of every job, so
nothing is lost while nobody listens; it is told in order, and one that cannot be delivered holds up the others, as all
go to the same place.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import orjson
import structlog
from aiokafka import TopicPartition

from api.kept import Kept
from core.errors import InvalidMessageError
from core.settings import Settings, reveal
from gateways.kafka.connection import client_options
from gateways.kafka.member import Member
from gateways.kafka.reader import KafkaRecord
from rules.webhooks import message_id, signature
from topics.job_status import FINISHED, JOB_STATUS, JobStatus

log = structlog.get_logger()

ANSWER_SECONDS = 10.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
MOST_REFUSALS = 5
"""An answer that says the message itself is wrong is believed after so many."""
PASSING_STATUSES = frozenset({408, 409, 425, 429})
# With the wait for each answer, well within the time after which Kafka gives a silent member up.
RECORDS_AT_ONCE = 10


class Webhooks:
    """Reads and tells until cancelled."""

    def __init__(self, settings: Settings, kept: Kept, http: httpx.AsyncClient) -> None:
        self._kafka = client_options(settings)
        self._group = f"{settings.kafka_group_prefix}-webhooks"
        self._url = settings.webhook_url
        self._secret = reveal(settings.webhook_secret) or ""
        self._kept = kept
        self._http = http
        self._refusals: Counter[str] = Counter()
        self._wait = FIRST_WAIT_SECONDS

    async def run(self) -> None:
        """Go on for ever. Whatever goes wrong is logged, and tried again."""
        while True:
            try:
                await self._read()
            except Exception:  # one that stops in silence would tell nothing for ever
                log.exception("webhook-reading-failed")
            await asyncio.sleep(FIRST_WAIT_SECONDS)

    async def _read(self) -> None:
        async with Member(self._kafka, self._group, JOB_STATUS.name) as member:
            while (fetched := await member.take(RECORDS_AT_ONCE)) is not None:
                if not all([await self._tell_all(member, part, records) for part, records in fetched.items()]):
                    await asyncio.sleep(self._wait * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
                    self._wait = min(2 * self._wait, LONGEST_WAIT_SECONDS)

    async def _tell_all(self, member: Member, part: TopicPartition, records: list[KafkaRecord]) -> bool:
        """Tell what these say, and commit it; from the first on that cannot be told they are read again."""
        for record in records:
            if not await self._tell(record.value):
                await member.go_back(part, record.offset)
                return False
        await member.commit(part, records[-1].offset + 1)
        return True

    async def _tell(self, value: bytes | None) -> bool:
        """Tell of a job if it is finished and that is news. Say whether reading can go on."""
        try:
            status = JOB_STATUS.decode(value or b"")
        except InvalidMessageError:
            return True  # a deleted job, or what another program wrote
        if status.status not in FINISHED or await self._kept.told_of(status.job_id) == status.status:
            return True
        try:
            answer = await self._post(status)
        except httpx.HTTPError as error:
            log.warning("webhook-away", job_id=status.job_id, reason=f"{type(error).__name__}: {error}")
            return False
        if not answer.is_success and not self._is_given_up(status, answer):
            return False
        await self._kept.keep_told_of(status.job_id, status.status)
        self._wait = FIRST_WAIT_SECONDS
        return True

    async def _post(self, status: JobStatus) -> httpx.Response:
        body = orjson.dumps(
            {"type": "job.finished", "timestamp": status.end_time, "data": status.model_dump(mode="json")}
        )
        message, at = message_id(status.job_id, status.status), int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._secret, message, at, body),
        }
        answer = await self._http.post(self._url, content=body, headers=headers)
        log.info("webhook-told", job_id=status.job_id, job_status=status.status, answer=answer.status_code)
        return answer

    def _is_given_up(self, status: JobStatus, answer: httpx.Response) -> bool:
        if answer.status_code >= 500 or answer.status_code in PASSING_STATUSES:
            return False
        self._refusals[status.job_id] += 1
        if self._refusals[status.job_id] < MOST_REFUSALS:
            return False
        del self._refusals[status.job_id]
        log.error("webhook-given-up", job_id=status.job_id, answer=answer.status_code)
        return True


@asynccontextmanager
async def open_webhooks(settings: Settings, kept: Kept) -> AsyncIterator[None]:
    """Tell of finished jobs until the block ends, where WEBHOOK_URL says to whom."""
    if not settings.webhook_url:
        yield
        return
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as http:
        telling = asyncio.create_task(Webhooks(settings, kept, http).run())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
