"""A worker process: any set of stages, started at once in one event loop, drained at its end."""

import asyncio
import contextlib
import gc
import os
import signal
import threading
import time
from pathlib import Path

import structlog
import uvloop

from agents.embed import agent as embed
from agents.hash import agent as hash  # noqa: A004 - the stage's name
from agents.jobs_watch import JobsWatch
from agents.metrics_server import MetricsServer
from agents.prepare import agent as prepare
from agents.roots import known_roots
from agents.scan import agent as scan
from agents.stage import Services, StageApp
from agents.store import agent as store
from agents.track import agent as track
from core import failpoints, logs, tracing
from core.disk import check_writable
from core.errors import FatalError
from core.loop_lag import LoopLag
from core.settings import Settings, Stage, reveal
from gateways.cpu import Cpu
from gateways.kafka.connection import client_options
from gateways.ml import ML
from gateways.qdrant import Qdrant
from streams import upstream
from streams.producer import new_producer
from tables.age import note, open_tables
from topics.admin import create_topics

BUILD = {
    "scan": scan.build,
    "hash": hash.build,
    "prepare": prepare.build,
    "embed": embed.build,
    "store": store.build,
    "track": track.build,
}
READS_FILES: dict[Stage, str] = {"hash": "imaging.hashing", "prepare": "imaging.decoding"}
"""The stages that read files, and what they do it with: without a decoder a process takes a third of the memory."""
# Messages come and go by reference counting, with next to no cycles: Python's 700 looked through them all the time.
GC_THRESHOLD = 20_000
ROOTS_BELIEVED = (
    "No INGEST_ROOTS are set, and no API shares DARKROOM_DATA: messages say by themselves which folders their files "
    "may lie in. Set INGEST_ROOTS where not everyone who can publish to Kafka may have any file read."
)
NOTE_SECONDS = 300.0
DRAIN_SECONDS = 10.0
LAST_SECONDS = 10.0  # of a worker that failed

log = structlog.get_logger()


def run(settings: Settings, stages: tuple[Stage, ...]) -> int:
    """Run stages until SIGTERM or SIGINT; return the exit code. Raises FatalError where it cannot start."""
    logs.configure(settings, process="worker")
    upstream.check()
    check_writable(settings.darkroom_data.resolve() / "worker")
    failpoints.arm(settings.darkroom_failpoint)
    end_traces = tracing.configure(settings, f"worker-{os.getpid()}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Worker(settings, stages).run())
    finally:
        end_traces()


class _Worker:
    def __init__(self, settings: Settings, stages: tuple[Stage, ...]) -> None:
        self._settings = settings
        self._names = stages
        self._ended = asyncio.Event()
        self._error: BaseException | None = None

    async def run(self) -> int:
        """Start the stages, wait for the end, drain."""
        settings = self._settings
        await create_topics(settings, settings.kafka_brokers)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        readers = [module for stage, module in READS_FILES.items() if stage in self._names]
        cpu = Cpu(
            settings.cpu_processes,
            timeout=settings.file_timeout_seconds,
            memory=settings.file_memory_bytes,
            preload=readers,
        )
        if readers:
            await cpu.start()
        qdrant = Qdrant(
            settings.qdrant_address, api_key=reveal(settings.qdrant_api_key), timeout=settings.qdrant_timeout_seconds
        )
        ml = ML(
            settings.ml_inference_service_url,
            timeout=settings.ml_timeout_seconds,
            token=reveal(settings.ml_token),
            default_model_id=settings.ml_model_id,
        )
        lag = LoopLag()
        shown = MetricsServer(settings.metrics_host, settings.metrics_port)
        jobs = JobsWatch(client_options(settings), self._stop)
        await jobs.start(settings.kafka_partitions)
        producer = new_producer(settings)
        await producer.start()
        services = Services(settings, cpu, qdrant, ml, jobs, producer, self._stop)
        for name in self._names:
            kept = settings.kafka_retention_hours * 3600
            open_tables(self._datadir(name), now=time.time(), newest=jobs.newest, kept_seconds=kept)
        stages = [BUILD[name](services, self._datadir(name)) for name in self._names]
        try:
            await asyncio.gather(*(stage.app.start() for stage in stages))
            gc.freeze()
            gc.set_threshold(GC_THRESHOLD)
            lag.start()
            if readers and not settings.trust_kafka and known_roots(settings) is None:
                log.warning("roots-believed", detail=ROOTS_BELIEVED)
            log.info("worker-started", stages=list(self._names), pid=os.getpid(), metrics=shown.url)
            noting = asyncio.create_task(self._note_use())
            await self._wait(stages)
            noting.cancel()
            if self._error is None:
                await self._drain(stages, cpu)
        finally:
            await lag.stop()
            shown.close()
            for stage in stages:
                stage.close()
            await asyncio.gather(*(stage.app.stop() for stage in stages), return_exceptions=True)
            await producer.stop()
            await jobs.stop()
            cpu.close()
            await ml.close()
            await qdrant.close()
        if self._error is not None:
            return 1
        log.info("worker-stopped", max_loop_lag=round(lag.longest, 3))
        return 0

    def _stop(self, error: BaseException) -> None:
        """End the process: an error that no stage can turn into an outcome."""
        if self._error is None:
            self._error = error
            # What has failed may hang as it is closed (faust-streaming #324, robinhood/faust #684). It has acked
            # nothing, so the process can end as it is.
            last = threading.Timer(LAST_SECONDS, os._exit, (1,))
            last.daemon = True
            last.start()
            log.error("worker-failed", reason=f"{type(error).__name__}: {error}", exc_info=error)
        self._ended.set()

    async def _wait(self, stages: list[StageApp]) -> None:
        """Wait for a signal, an error, or the end of an app."""
        ended = asyncio.create_task(self._ended.wait())
        stopped = {asyncio.create_task(stage.app.wait_until_stopped()): stage for stage in stages}
        await asyncio.wait([ended, *stopped], return_when=asyncio.FIRST_COMPLETED)
        for task, stage in stopped.items():
            if task.done():
                reason = stage.app.crash_reason or "its app stopped"
                self._stop(FatalError(f"Stage {stage.name} ended by itself: {reason}"))
            task.cancel()
        ended.cancel()

    async def _drain(self, stages: list[StageApp], cpu: Cpu) -> None:
        """Finish what was begun, and begin nothing, so that nothing is done twice."""
        log.info("worker-draining")
        cpu.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(stage.drain() for stage in stages))

    async def _note_use(self) -> None:
        """Note that the local tables are in use, now and then."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            for name in self._names:
                with contextlib.suppress(OSError):  # what a full disk is to the stages, they say
                    note(self._datadir(name), time.time())

    def _datadir(self, name: Stage) -> Path:
        return self._settings.darkroom_data.resolve() / "worker" / name
