"""All stages over the topics in memory, with a decoder and an ML service that know pictures of a line of text."""

import asyncio
import gc
import hashlib
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

import pytest

from agents.collections import WritableCollections
from agents.embed import agent as embed
from agents.hash import absence, forgetting, sweeping
from agents.hash import agent as hasher
from agents.jobs_watch import JobsWatch
from agents.prepare import agent as prepare
from agents.prepare import departing, erasing
from agents.scan import agent as scan
from agents.scan.outcomes_watch import OutcomesWatch
from agents.scan.sources import looks as source_looks
from agents.scan.sources.watchers import Watchers
from agents.stage import Services, StageApp
from agents.store import agent as store
from agents.track import agent as track
from core.errors import ContentError, FileChangedError, FileError
from core.settings import Settings, Stage
from gateways.decoding import prepare as decode
from gateways.ml import Capabilities, Embedded, ImageInput
from imaging.files import FileStamp
from imaging.metadata import Metadata
from imaging.prepared import Prepared
from rules import departures, partitions
from rules.erasing import Word
from rules.gone import DAY_SECONDS
from rules.mounts import Mount
from rules.payload import GONE_AT
from streams import stage as streams_stage
from tests.inside.kafka import PARTITIONS, App, Kafka, Kept, Producer, task_of_app
from tests.inside.loop import Loop
from tests.inside.qdrant import Qdrant
from topics import sources as topics_sources
from topics.erasure import (
    AnyForHash,
    ForgetCollection,
    ForgetPath,
    ForgetPaths,
    ForgetPicture,
    ForgetSource,
    Purge,
    UnforgetPicture,
    headers_of,
)
from topics.image_outcome import IMAGE_OUTCOME
from topics.job_event import JOB_EVENT, Command
from topics.job_status import FINISHED, JOB_STATUS, REMOVALS_SETTLED, JobStatus
from topics.raw_path import RAW_PATH
from topics.record import Headers, Topic
from topics.removal_event import WouldLeave
from topics.scan_request import SCAN_REQUEST, ScanRequest
from topics.source import SOURCE, Source
from topics.source_status import SOURCE_STATUS
from topics.sources import Sources

MODEL = "inside"
STAGES = get_args(Stage)
WORKERS_OF_ALL = 0.3
"""Of all kills, those of the worker of all stages."""
SECONDS = 600.0
"""Within which all that is under way must have ended, by the time of the loop."""

_BUILDS = {
    "hash": hasher.build,
    "prepare": prepare.build,
    "embed": embed.build,
    "store": store.build,
    "track": track.build,
}
_SETTINGS = Settings(
    kafka_brokers="127.0.0.1:1",
    kafka_partitions=PARTITIONS,
    trust_kafka=True,
    ml_inference_batch_size=3,
    ml_batch_linger_seconds=1e-9,
    qdrant_upsert_batch_size=4,
    qdrant_batch_linger_seconds=1e-9,
)


def picture(pixels: int, metadata: int) -> bytes:
    """Return what a file of a picture holds."""
    return b"picture %d %d" % (pixels, metadata)


class Cpu:
    """Hashes as ever, and decodes what `picture` makes."""

    async def run_for_file(self, _size: int | None, function: Any, *args: Any, **options: Any) -> Any:
        return await asyncio.to_thread(_decode if function is decode else function, *args, **options)


def _decode(path: bytes, expected: FileStamp, sha256: str, **_: object) -> Prepared:
    try:
        held = Path(path.decode()).read_bytes()
    except OSError as error:
        raise FileError(f"{path!r} is away.") from error
    if hashlib.sha256(held).hexdigest() != sha256:
        raise FileChangedError(f"{path!r} holds another picture.")
    if not held.startswith(b"picture "):
        raise ContentError("It is no picture.")
    _picture, pixels, metadata = held.split(b" ")
    known = Metadata(
        width=1, height=1, format="JPEG", mode="RGB", file_size=len(held), title=f"title {metadata.decode()}"
    )
    return Prepared(known, pixels, pixels)


class ML:
    """`asked`: how often it was asked for each rendition."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.asked: Counter[str] = Counter()

    async def capabilities(self, model_id: str | None = None) -> Capabilities:
        return Capabilities(model_id=MODEL, embedding_dim=2)

    async def embed(self, images: list[ImageInput], **_: object) -> dict[str, Embedded]:
        renditions = [one.jpeg.decode() for one in images]
        self.asked.update(renditions)
        await asyncio.sleep(self._chance.expovariate(10))
        return {
            one.unique_id: Embedded(one.unique_id, [float(pixels), 1.0], None, MODEL)
            for one, pixels in zip(images, renditions, strict=True)
        }


class Darkroom:
    """It runs; `kill` has a stage begin again. `mounted`: what folders are on, by their path; others on one disk."""

    def __init__(self, chance: random.Random, folder: Path) -> None:
        self._folder = folder
        self.chance = chance
        self.kafka = Kafka(chance, self._told)
        self.qdrant = Qdrant(chance)
        self.ml = ML(chance)
        self.disks: dict[str, str] = {}
        self.kills = 0
        self.status: dict[str, JobStatus] = {}
        # So much later than a person the stages know of a job.
        self.status_seconds = 0.0
        self._errors: list[BaseException] = []
        self._jobs = JobsWatch({"bootstrap_servers": ""}, self._errors.append)
        self._outcomes = OutcomesWatch({"bootstrap_servers": ""}, PARTITIONS, self._errors.append)
        self._outcomes._following.set()
        self._sources = Sources({"bootstrap_servers": ""}, PARTITIONS)
        self._sources._is_read.set()
        self._sources.catch_up = self._sources.read  # type: ignore[method-assign]  # it is told at once
        services: Any = (_SETTINGS, Cpu(), self.qdrant, self.ml, self._jobs, None, self._errors.append)
        self._services = Services(*services)
        self._apps: dict[str, App] = {}
        self._producer = Producer(self.kafka)
        self._numbers = count(1)

    async def started(self) -> None:
        """Start all stages."""
        for name in STAGES:
            self._start(name)

    async def kill(self, name: Stage | None = None) -> None:
        """End a stage at once, one by chance, or the worker of all; it starts with its disk, or with the changelog."""
        self.kills += 1
        one = name or self.chance.choice(STAGES)
        names = STAGES if name is None and self.chance.random() < WORKERS_OF_ALL else (one,)
        before = {each: self._apps[each] for each in names}
        for app in before.values():
            app.kill()
        await asyncio.sleep(self.kafka.delay())
        keeps_its_disk = self.chance.random() < 0.5
        for each, app in before.items():
            self._start(each, app.rows.partitions if app.rows is not None and keeps_its_disk else None)

    async def keep(self, name: str, folder: Path, collection: str, exclude: Sequence[str] = ()) -> None:
        """Have a source, or another one of that name."""
        source = Source(name=name, folder=str(folder), collection=collection, exclude=[*exclude])
        await self._publish(SOURCE, name, source)

    async def sync(self, name: str, touched: Sequence[str] = ()) -> str:
        """Have a source looked at, or only what was touched of it; return the job."""
        known = self._sources.get(name)
        assert known is not None
        source = known.source
        return await self._scan(source.collection, [source.folder], source.exclude, name, touched)

    async def deliver_again(self, topic: str, job_id: str) -> None:
        """Have the messages of a job delivered once more, as a kill does before they are acked."""
        for tp in [tp for tp in self.kafka.logs if tp.topic == topic]:
            for one in [one for one in self.kafka.logs[tp] if Headers.decode(one.headers).job_id == job_id]:
                await (await self._producer.send(topic, one.key, one.value, tp.partition, None, [*one.headers]))

    async def ingest(self, folder: Path, collection: str, exclude: Sequence[str] = ()) -> str:
        """Take a folder in; return the job."""
        return await self._scan(collection, [str(folder)], exclude, None)

    async def decide(self, job_id: str, word: Literal["confirm", "keep"]) -> None:
        """Say yes or no to removals that are held."""
        await self._publish(JOB_EVENT, job_id, Command(job_id=job_id, at=0.0, type=word))

    async def purge(self, days: int = 0) -> int:
        """Ask for the purge of all pictures that are gone, as so many days later; return how many these are."""
        at = self._now() + days * DAY_SECONDS
        gone = [
            Purge(sha256=payload["file_hash"], collection=name, gone_at=payload[GONE_AT], at=at)
            for name, points in self.qdrant.stored.items()
            for payload in (point.payload for point in points.values())
            if payload.get(GONE_AT) is not None
        ]
        for one in gone:
            await self._publish(IMAGE_OUTCOME, one.sha256, one)
        return len(gone)

    async def forget_content(self, sha256: str, collection: str | None) -> None:
        """Have a content forgotten."""
        await self._publish(IMAGE_OUTCOME, sha256, ForgetPicture(sha256=sha256, collection=collection, at=self._now()))

    async def unforget(self, sha256: str, collection: str | None) -> None:
        """Have a content taken in again."""
        asked = UnforgetPicture(sha256=sha256, collection=collection, at=self._now())
        await self._publish(IMAGE_OUTCOME, sha256, asked)

    async def forget_path(self, path: Path, collection: str | None) -> None:
        """Have forgotten what a path was taken in with."""
        await self._ask_hash(str(path), ForgetPath(path=str(path), collection=collection, at=self._now()), None)

    async def forget_source(self, name: str) -> None:
        """Have a source end, and forgotten what it alone holds."""
        known = self._sources.get(name)
        assert known is not None
        await (await self._producer.send(SOURCE.name, name.encode(), None, None, None, []))
        source = known.source
        asked = ForgetSource(source=name, collection=source.collection, folder=source.folder, at=self._now())
        for number in range(PARTITIONS):
            await self._ask_hash("forget", asked, number)

    async def forget_collection(self, name: str) -> None:
        """Have a collection forgotten as a whole, when a kill repeats no more of what has filled it."""
        await self.at_rest()
        for app in self._apps.values():
            await app.commit()
        await self.qdrant.delete_collection(name)
        asked = ForgetCollection(collection=name, at=self._now())
        for number in range(PARTITIONS):
            value, headers = IMAGE_OUTCOME.encode(asked), Headers().encode()
            await (await self._producer.send(IMAGE_OUTCOME.name, name.encode(), value, number, None, headers))
            await self._ask_hash("forget", ForgetPaths(collection=name), number)

    def forgotten(self, collection: str) -> set[str]:
        """Return the contents that are forgotten in a collection."""
        return {
            key.split(b"|")[1].decode()
            for key, row in self.rows("prepare").items()
            if key.startswith(b"f|") and key.endswith(f"|{collection}".encode()) and Word.read(row).is_forgotten
        }

    def rows(self, stage: Stage) -> dict[bytes, bytes]:
        """Return all rows of a stage."""
        rows = self._apps[stage].rows
        assert rows is not None
        return {key: row for some in rows.partitions.values() for key, row in some.items()}

    def removals(self, job_id: str) -> str | None:
        """Return where the removals of a job stand."""
        removals = self.status[job_id].removals if job_id in self.status else None
        return None if removals is None else removals.state

    def is_held(self, job_id: str) -> bool:
        return self.removals(job_id) == "held"

    def named(self, job_id: str) -> list[tuple[str, str, str | None, bool]]:
        """Return what was named to people of what leaves by a job: path, way, where to, and whether it is lost."""
        told = [
            JOB_EVENT.decode(one.value or b"")
            for tp, log in self.kafka.logs.items()
            if tp.topic == JOB_EVENT.name
            for one in log
        ]
        return [
            (file.path, file.way, file.to, file.lost)
            for event in told
            if isinstance(event, WouldLeave) and event.job_id == job_id
            for file in event.files
        ]

    async def settled(self, job_id: str) -> JobStatus:
        """Wait for the end of a job, and of what has left by it."""

        def is_settled() -> bool:
            status = self.status.get(job_id)
            if status is None or status.status not in FINISHED:
                return False
            return status.removals is None or status.removals.state in REMOVALS_SETTLED

        await self.until(is_settled, f"the end of {job_id}")
        return self.status[job_id]

    async def until_removed(self, job_id: str) -> None:
        """Wait until what a person has said yes to is removed."""

        def is_removed() -> bool:
            removals = self.status[job_id].removals
            return removals is not None and removals.state in {"removed", "guarded"}

        await self.until(is_removed, f"the removals of {job_id}")

    async def live(self, collection: str) -> list[dict[str, Any]]:
        """Return the payloads of the points that queries find."""
        return [point.payload for point in self.qdrant.live(collection)]

    async def at_rest(self) -> None:
        """Wait until no message is left that a stage has not done with."""
        await self.until(lambda: all(app.is_at_rest for app in self._apps.values()), "rest")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SECONDS
        while not condition():
            if self._errors:
                raise self._errors[0]
            assert loop.time() < deadline, f"{what} does not come: {self.status}"
            await asyncio.sleep(0.05)

    async def _scan(
        self,
        collection: str,
        folders: list[str],
        exclude: Sequence[str],
        source: str | None,
        touched: Sequence[str] = (),
    ) -> str:
        job_id = f"{source or 'ingest'}-{next(self._numbers)}"
        request = ScanRequest(
            job_id=job_id,
            collection=collection,
            sources=folders,
            exclude=[*exclude],
            source=source,
            touched=[*touched],
        )
        await self._publish(JOB_EVENT, job_id, request.queued(0.0))
        await self._publish(SCAN_REQUEST, source or job_id, request)
        return job_id

    def _now(self) -> float:
        """Return the time, which is another one whenever it is asked for."""
        return asyncio.get_running_loop().time() + next(self._numbers) / 1e6

    async def _ask_hash(self, key: str, asked: AnyForHash, partition: int | None) -> None:
        await (await self._producer.send(RAW_PATH.name, key.encode(), None, partition, None, headers_of(asked)))

    async def _publish(self, topic: Topic[Any], key: str, record: Any) -> None:
        headers = topic.headers(record, Headers(job_id=getattr(record, "job_id", "")))
        await (await self._producer.send(topic.name, key.encode(), topic.encode(record), None, None, headers))

    def _start(self, name: str, kept: Kept | None = None) -> None:
        app = self._apps[name] = App(name, self.kafka, kept)
        self._starting = app
        if name == "scan":
            stage = StageApp("scan", self._services, self._folder)
            collections = WritableCollections(self._services.qdrant, self._services.ml, _SETTINGS)
            looks = source_looks.SourceLooks(stage, self._sources)
            watchers = Watchers(_SETTINGS, self._errors.append)
            scanner = scan._Scanner(stage, collections, self._outcomes, looks, watchers)
            stage.consume(SCAN_REQUEST.name, scanner.take, window=10)
        else:
            _BUILDS[name](self._services, self._folder)
        app.start()

    def _told(self, message: Any) -> None:
        """Have those know who read without a group."""
        match message.topic:
            case JOB_STATUS.name:
                if self.status_seconds:
                    asyncio.get_running_loop().call_later(self.status_seconds, self._hear, message)
                else:
                    self._hear(message)
                status = JOB_STATUS.decode(message.value)
                self.status[status.job_id] = status
            case JOB_EVENT.name:
                self._outcomes._take(message)
            case SOURCE.name | SOURCE_STATUS.name:
                topics_sources._take(self._sources._known, [message])

    def _hear(self, message: Any) -> None:
        self._jobs._take_all([message])
        self._jobs._changed.set()
        self._jobs._changed = asyncio.Event()

    def _mounted_at(self, folder: str) -> tuple[Mount, ...]:
        return (Mount("/", "ext4", self.disks.get(folder, "/dev/sda1"), "/"),)


@contextmanager
def running(seed: int, folder: Path) -> Iterator[tuple[asyncio.Runner, Darkroom]]:
    """Give a Darkroom all of whose stages run, and what runs coroutines beside it."""
    chance = random.Random(seed)
    with (
        _leaving_work_unbegun(),
        pytest.MonkeyPatch.context() as patch,
        asyncio.Runner(loop_factory=partial(Loop, chance)) as runner,
    ):
        darkroom = runner.run(_new(chance, folder))
        patch.setattr(streams_stage, "new_app", lambda *_: darkroom._starting)
        patch.setattr(streams_stage.Stage, "rows", lambda stage: stage.app.new_rows())
        # A seed that fails fails again, wherever its files lie.
        hash_of, here = partitions._hash, bytes(folder)
        patch.setattr(partitions, "_hash", lambda key: hash_of(key.replace(here, b"")))
        patch.setattr(partitions, "FEW", 1 << 30)
        patch.setattr(time, "monotonic", runner.get_loop().time)
        for module in (absence, source_looks):
            patch.setattr(module, "mounted_at", darkroom._mounted_at)
        for module in (sweeping, departing, erasing, forgetting):
            patch.setattr(module, "ROWS_AT_ONCE", 2)
        patch.setattr(sweeping, "PIECES_AT_ONCE", 2)
        patch.setattr(absence, "MOST_NAMES", 2)
        patch.setattr(departures, "MOST_OF_FEW", 1)
        runner.run(darkroom.started())
        yield runner, darkroom


@contextmanager
def _leaving_work_unbegun() -> Iterator[None]:
    """Let a kill leave work that nobody begins, as the end of a process does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            yield
        finally:
            gc.collect()


async def _new(chance: random.Random, folder: Path) -> Darkroom:
    asyncio.get_running_loop().set_task_factory(task_of_app)  # type: ignore[arg-type]  # of a loop that gives a context
    return Darkroom(chance, folder)
