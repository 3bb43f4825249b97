"""What all of Darkroom's stages share, beside `streams.stage`: services, and how to end a file, report, and wait."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaProducer

from agents.jobs_watch import JobsWatch
from agents.reporter import PlainFile, Reporter
from core import failpoints, metrics, tracing
from core.errors import DrainingError, MLUnavailableError, RetryableError
from core.settings import Settings
from core.settings import Stage as Name
from gateways.cpu import Cpu
from gateways.ml import ML
from gateways.qdrant import Qdrant
from rules.outcomes import Outcome
from streams.item import Item
from streams.rejecting import explain
from streams.stage import Stage
from topics.files import FileOfJob, HashedFileOfJob
from topics.hashed_file import HashedFile
from topics.image_outcome import IMAGE_OUTCOME, ContentOutcome, FailedContent, FailedFile
from topics.job_event import JOB_EVENT, AnyJobEvent, FileOutcome, WaitTarget
from topics.job_event_codec import JobEvent, encode_event, files_of
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers, Topic

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """What the stages of one worker process share."""

    settings: Settings
    cpu: Cpu
    qdrant: Qdrant
    ml: ML
    jobs: JobsWatch
    producer: AIOKafkaProducer
    stop: Callable[[BaseException], None]


class StageApp(Stage):
    """One stage, with the services of its worker. What it does stands in `agents/STAGE/agent.py`."""

    def __init__(self, name: Name, services: Services, datadir: Path) -> None:
        super().__init__(name, services.settings, services.producer, services.stop, datadir)
        self.services = services
        self.report = Reporter(name, self.publish, services.stop)

    async def reported(self) -> None:
        """Wait until the reports on files are delivered."""
        await self.report.drained()

    def handed_on(self, file: FileOfJob, headers: Headers, files: int = 1) -> None:
        """Count files of a job that this stage has handed on; not those of a replay, which were counted before."""
        if not headers.replay:
            self.report.moved(file.job_id, files)

    async def finish(
        self, file: FileOfJob, outcome: Outcome, headers: Headers, reason: str | None = None, sha256: str | None = None
    ) -> None:
        """Report a file's outcome and wait until that is delivered."""
        told = FileOutcome(
            file_id=file.file_id,
            path=file.path,
            path_b64=file.path_b64,
            outcome=outcome,
            reason=reason,
            sha256=sha256,
        )
        await self.report_outcomes(file, [told], headers)

    def report_outcomes(self, of: FileOfJob, files: Sequence[FileOutcome], headers: Headers) -> Awaitable[object]:
        """Report the outcomes of files of one job; await the result to know that it is delivered. `of`: one of them."""
        if not headers.replay:
            for outcome, count in Counter(file.outcome for file in files).items():
                metrics.FILES.labels(self.name, outcome).inc(count)
        for file in files:
            told, reason = file.outcome, file.reason
            log.debug("outcome", outcome=told, path=file.path, job_id=of.job_id, stage=self.name, reason=reason)
        return self.report.outcomes(of, files, replay=headers.replay)

    async def finish_alike(self, of: HashedFile, outcome: Outcome, files: Sequence[PlainFile]) -> None:
        """Report the outcome of files of one job, none of a replay, and wait until that is delivered.

        `of`: one of them, whose walk is that of all.
        """
        metrics.FILES.labels(self.name, outcome).inc(len(files))
        await self.report.ended_alike(of, outcome, files)

    async def fail(self, item: Item[Any], error: Exception) -> None:
        """End a file as failed: a dead letter that restarts it, then its outcome; wait for both."""
        file: FileOfJob = item.record
        log.warning("failed", path=file.path, job_id=file.job_id, stage=self.name, reason=str(error))
        # Without size and time of change: whoever replays it wants the file as it is then.
        restart = RawPath(**file.model_dump(include=set(RawPath.model_fields) - {"size", "mtime_ns"}))
        value = RAW_PATH.encode(restart)
        sent = file.headers(item.headers).encode()
        await self.dead_letter(item.event, file.path_bytes, value, error, sent, restart_topic=RAW_PATH.name)
        tracing.failed(item.span, error)
        failpoints.reach("dead-lettered")
        sha256 = file.sha256 if isinstance(file, HashedFileOfJob) else None
        await self.finish(file, "failed", item.headers, reason=explain(error), sha256=sha256)

    async def fail_content(self, item: Item[Any], error: Exception) -> None:
        """End a file whose content cannot be used, and tell those that wait for the content."""
        failed = FailedContent(
            **item.record.file_fields(), stage=self.name, error_class=type(error).__name__, reason=explain(error)
        )
        await self.fail_and_conclude(item, error, failed)

    async def fail_file(self, item: Item[Any], error: Exception) -> None:
        """End a file whose path cannot be used, so that the next one with its content takes over."""
        failed = FailedFile(**item.record.file_fields(), reason=explain(error))
        await self.fail_and_conclude(item, error, failed)

    async def fail_and_conclude(self, item: Item[Any], error: Exception, outcome: ContentOutcome) -> None:
        """End a file as failed, then publish what became of its content."""
        await self.fail(item, error)
        failpoints.reach("failure-reported")
        await self.conclude(outcome, item.headers)

    async def conclude(self, outcome: ContentOutcome, headers: Headers) -> None:
        """Publish what became of a content and wait until that is delivered."""
        await self.conclude_all([(outcome, headers)])

    async def conclude_all(self, outcomes: Iterable[tuple[ContentOutcome, Headers]]) -> None:
        """Publish what became of contents and wait until that is delivered."""
        await self.send_files(
            IMAGE_OUTCOME, [(one.sha256.encode(), one, one.headers(headers)) for one, headers in outcomes]
        )

    async def persist(self, job_ids: Iterable[str], attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Try until a service answers, with growing waits; meanwhile these jobs show what they wait for.

        Raises DrainingError where the worker stops meanwhile.
        """
        job_ids = set(job_ids)
        told = False
        delay = 0.2
        while True:
            try:
                result = await attempt()
            except RetryableError as error:
                target: WaitTarget = "ml" if isinstance(error, MLUnavailableError) else "qdrant"
                metrics.RETRIES.labels(self.name, target).inc()
                log.warning("waiting", target=target, stage=self.name, reason=str(error), job_ids=sorted(job_ids))
                if not told:
                    await self.report.waiting(job_ids, target)
                    told = True
                if self.is_draining:
                    raise DrainingError("The worker stops.") from error
                # The spread keeps many workers from asking at the same moment.
                await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
                delay = min(delay * 2, 5.0)
            else:
                if told:
                    await self.report.waiting(job_ids, None)
                return result

    async def emit(self, event: AnyJobEvent) -> None:
        """Publish one job-event at once and wait until it is delivered."""
        await (await self.publish(event))

    async def publish(self, event: JobEvent) -> Awaitable[object]:
        """Publish one job-event at once; await the result to know that it is delivered."""
        topic: Topic[Any] = JOB_EVENT
        headers = topic.headers(event, Headers(job_id=event.job_id), len(files_of(event)))
        return await self.send_raw(JOB_EVENT.name, event.job_id.encode(), encode_event(event), headers)


def now() -> float:
    """Return seconds since 1970."""
    return time.time()
