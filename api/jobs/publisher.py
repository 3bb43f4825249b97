"""What the API publishes about jobs. Every call returns after Kafka has confirmed, or raises KafkaUnavailableError."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from api.view.reading import UnfinishedFile
from core import tracing
from core.errors import KafkaUnavailableError
from gateways.kafka.connection import ClientOptions
from gateways.kafka.producer import new_producer
from tables.job import Job
from topics.files import FileOfJob
from topics.job_event import (
    JOB_EVENT,
    AnyJobEvent,
    AskedAgain,
    Command,
    FileOutcome,
    Forget,
    Outcomes,
    Queued,
    Restarted,
    Seen,
    SeenFile,
    Stalled,
    WalkedAgain,
)
from topics.limits import MAX_REQUEST_BYTES
from topics.raw_path import RAW_PATH, RawPath
from topics.record import HeaderList, Headers
from topics.removal_event import Guarded
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.sentinel import sentinel_headers
from topics.source import SOURCE, Source

log = structlog.get_logger()

CONFIRM_SECONDS = 10.0
# For hundreds of messages of up to a megabyte each.
CONFIRM_MANY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be published as it is. `partition`: None for the one that follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: HeaderList
    partition: int | None = None


JobCommand = Literal["cancel", "pause", "resume", "confirm", "keep"]


class Publisher:
    """The API's one producer."""

    def __init__(self, producer: AIOKafkaProducer, partitions: int) -> None:
        self._producer = producer
        self._partitions = partitions

    async def submit(self, request: ScanRequest) -> int:
        """Publish a job's scan request, then that it is queued; return the offset of the latter.

        In this order, a job that shows as queued is sure to be scanned. Whoever gets an error may submit the
        same job again: a second scan request walks the same files, which changes nothing.
        """
        with tracing.published(SCAN_REQUEST.name, {"job_id": request.job_id}) as traceparent:
            headers = SCAN_REQUEST.headers(request, Headers(job_id=request.job_id, traceparent=traceparent))
            await self._send(SCAN_REQUEST.name, request.source or request.job_id, SCAN_REQUEST.encode(request), headers)
        return await self._send_event(request.queued(time.time()))

    async def source(self, name: str, source: Source | None) -> tuple[TopicPartition, int]:
        """Publish what is wanted of a source (None: it is no more); return where that stands."""
        log.info("source-written", source=name, removed=source is None)
        headers = Headers().encode() if source is None else SOURCE.headers(source, Headers())
        value = None if source is None else SOURCE.encode(source)
        confirmed = await self._send(SOURCE.name, name, value, headers)
        return TopicPartition(confirmed.topic, confirmed.partition), int(confirmed.offset)

    async def queued(self, job_id: str, *, collection: str, caption: bool, model_id: str | None, message: str) -> int:
        """Publish that a job is begun whose files are published here; return the event's offset."""
        return await self._send_event(
            Queued(
                job_id=job_id,
                at=time.time(),
                collection=collection,
                caption=caption,
                model_id=model_id,
                message=message,
            )
        )

    async def seen(self, file: FileOfJob) -> int:
        """Publish that a file belongs to its job from now on; return the event's offset."""
        seen = SeenFile(file_id=file.file_id, path=file.path, path_b64=file.path_b64)
        return await self._send_event(
            Seen(job_id=file.job_id, at=time.time(), collection=file.collection, files=[seen])
        )

    async def command(self, job_id: str, command: JobCommand) -> int:
        """Publish what someone asked of a job; return the event's offset."""
        log.info("job-command", job_id=job_id, command=command)
        return await self._send_event(Command(job_id=job_id, at=time.time(), type=command))

    async def close(self, job_id: str) -> None:
        """Publish the end markers of a job whose files another program has published.

        The walk's name follows from the job's, so that closing twice is closing once.
        """
        log.info("job-closed", job_id=job_id)
        headers = sentinel_headers(job_id, f"close-{job_id}", files=None)
        await asyncio.gather(
            *(self._send(RAW_PATH.name, job_id, None, headers, partition) for partition in range(self._partitions))
        )

    async def publish_all(self, messages: Sequence[Outgoing]) -> None:
        """Publish messages in this order. After an error some of them may be published."""
        sent: list[asyncio.Future[RecordMetadata]] = []
        try:
            async with asyncio.timeout(CONFIRM_MANY_SECONDS):
                for message in messages:
                    sent.append(  # noqa: PERF401 - those that were sent before an error are looked at too
                        await self._producer.send(
                            message.topic,
                            message.value,
                            key=message.key,
                            headers=message.headers,
                            partition=message.partition,
                        )
                    )
                await asyncio.gather(*sent)
        except (KafkaError, TimeoutError) as error:
            await asyncio.gather(*sent, return_exceptions=True)
            raise KafkaUnavailableError(
                f"Kafka did not confirm {len(messages)} messages ({type(error).__name__}: {error}). Try again; "
                "nothing is done twice."
            ) from error

    async def stalled(self, job_id: str, reason: str | None) -> int:
        """Publish that a job stands still, or (None) no longer does; return the event's offset."""
        return await self._send_event(Stalled(job_id=job_id, at=time.time(), reason=reason))

    async def restarted(self, job_id: str, files: int, attempt: int) -> int:
        """Publish that so many files of a job begin again; return the event's offset."""
        return await self._send_event(Restarted(job_id=job_id, at=time.time(), files=files, attempt=attempt))

    async def reread(self, job: Job, roots: list[str], attempt: int) -> None:
        """Publish once more what is to be done with a collection, for its job; `roots`: all that the job may read."""
        request = ScanRequest(
            job_id=job.job_id,
            collection=job.collection,
            caption=job.caption,
            model_id=job.model_id,
            roots=roots,
            reread=job.reread,
            task=job.task,
            accept_failed=job.accept_failed,
        )
        headers = SCAN_REQUEST.headers(request, Headers(job_id=job.job_id, attempt=attempt))
        await self._send(SCAN_REQUEST.name, job.job_id, SCAN_REQUEST.encode(request), headers)

    async def walk_again(self, request: Outgoing, job_id: str) -> int:
        """Publish that the folders of a job are walked again, then its scan request; return the event's offset."""
        offset = await self._send_event(WalkedAgain(job_id=job_id, at=time.time()))
        await self._send(request.topic, request.key or job_id, request.value, request.headers)
        return offset

    async def ask_again(self, job_id: str, attempt: int) -> int:
        """Publish that what a sync waits for is to be asked for again; return the event's offset."""
        return await self._send_event(AskedAgain(job_id=job_id, at=time.time(), attempt=attempt))

    async def give_up_removals(self, job_id: str, reason: str) -> int:
        """Publish that nothing more is removed by a sync; return the event's offset."""
        return await self._send_event(Guarded(job_id=job_id, at=time.time(), code="messages-lost", reason=reason))

    async def skip(self, job: Job, files: Iterable[UnfinishedFile]) -> None:
        """Publish that files of a cancelled job have their outcome."""
        outcomes = (
            FileOutcome(
                file_id=file.file_id, path=file.path, path_b64=file.path_b64, outcome="skipped", reason="job cancelled"
            )
            for file in files
        )
        await asyncio.gather(
            *(
                self._send_event(
                    Outcomes(job_id=job.job_id, at=time.time(), collection=job.collection, files=[outcome])
                )
                for outcome in outcomes
            )
        )

    async def forget(self, job_id: str) -> int:
        """Publish that the files of a job that is over are to be forgotten; return the event's offset."""
        log.info("job-forgotten", job_id=job_id)
        return await self._send_event(Forget(job_id=job_id, at=time.time()))

    async def restart(self, files: Iterable[RawPath], attempt: int) -> None:
        """Publish files to be taken in once more."""
        await asyncio.gather(
            *(
                self._send(
                    RAW_PATH.name,
                    file.path_bytes,
                    RAW_PATH.encode(file),
                    RAW_PATH.headers(file, replace(file.headers(), attempt=attempt)),
                )
                for file in files
            )
        )

    async def _send_event(self, event: AnyJobEvent) -> int:
        confirmed = await self._send(
            JOB_EVENT.name, event.job_id, JOB_EVENT.encode(event), Headers(job_id=event.job_id).encode()
        )
        return int(confirmed.offset)

    async def _send(
        self,
        topic: str,
        key: str | bytes,
        value: bytes | None,
        headers: HeaderList,
        partition: int | None = None,
    ) -> RecordMetadata:
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                return await self._producer.send_and_wait(
                    topic,
                    value,
                    key=key.encode() if isinstance(key, str) else key,
                    headers=headers,
                    partition=partition,
                )
        except (KafkaError, TimeoutError) as error:
            raise KafkaUnavailableError(
                f"Kafka did not confirm a message to {topic} ({type(error).__name__}). Try again; "
                "with the same job id, nothing is done twice."
            ) from error


@asynccontextmanager
async def open_publisher(kafka: ClientOptions, partitions: int) -> AsyncIterator[Publisher]:
    """Connect a producer that neither loses nor repeats a message, until the block ends."""
    producer = new_producer(kafka, MAX_REQUEST_BYTES)
    await producer.start()
    try:
        yield Publisher(producer, partitions)
    finally:
        await producer.stop()
