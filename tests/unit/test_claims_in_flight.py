"""Whatever is killed, lost, cancelled, changed or cleared on the way: no file waits for ever for a claim.

The code of hash and prepare runs here over topics that are lists, for some contents, paths and jobs. A step may be
killed at any message that it sends, and is repeated then; what a topic holds may be deleted unread; the watchdog lets
files begin again when nothing is on its way, as rules.watchdog has it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from itertools import islice, takewhile
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.hash.agent import _Hasher
from agents.prepare import decoder as decoding
from agents.prepare.agent import _Preparer
from agents.prepare.claims import ClaimKeeper
from agents.prepare.decoder import Decoder
from agents.prepare.departing import DepartureKeeper
from agents.prepare.effects import Executor
from agents.prepare.erasing import ErasureKeeper
from agents.prepare.sweeps import Sweeper
from agents.prepare.unchanged import Unchanged
from agents.stage import StageApp
from core.errors import ContentError, FileChangedError, FileError
from core.settings import Settings
from imaging.prepared import Prepared
from rules.identity import point_id
from rules.outcomes import FileReport, fold_file
from rules.watchdog import RESTARTS
from streams.item import Item
from streams.sending import Outgoing
from tables.departures import Departures
from tables.erasures import Erasures
from tables.fingerprints import Fingerprint
from tables.known_images import KnownImages
from tests.unit.test_claim_keeper import CONTENT, Rows
from topics.db_write import DB_WRITE, DBWrite
from topics.hashed_file import HASHED_FILE
from topics.image_outcome import IMAGE_OUTCOME, ClaimsCleared, JobCancelled, Stored
from topics.ml_request import ML_REQUEST
from topics.raw_path import RAW_PATH, RawPath
from topics.record import HeaderList, Headers, Topic

COLLECTION, MODEL = "c", "m"
GOOD, ALSO_GOOD, BAD = (digit * 64 for digit in "abf")
PATHS = ("/1", "/2", "/3", "/4")
JOBS = ("j1", "j2", "j3")
PREPARED = Prepared(CONTENT.metadata, b"thumbnail", b"rendition")
STREAMS = (RAW_PATH.name, HASHED_FILE.name, ML_REQUEST.name, DB_WRITE.name, IMAGE_OUTCOME.name)


class KilledError(BaseException):
    """The process ends here."""


class Message:
    """An event of Faust, and its message."""

    def __init__(self, topic: str, offset: int, value: bytes | None, headers: HeaderList) -> None:
        self.value = value
        self.message = self
        self.topic, self.offset, self.headers = topic, offset, headers
        self.partition, self.timestamp, self.key, self.span = 0, 0.0, None, None
        read = Headers.decode(headers)
        self.shared = (read.job_id, read.attempt, read.replay)


class Stage(StageApp):
    """Of a stage what hash and prepare use of it."""

    def __init__(self, name: Any, world: "World") -> None:
        self.name = name
        self.world = world
        self.services: Any = world.services
        self.report: Any = SimpleNamespace(seen=world.see, moved=lambda *_: None, outcomes=world.report_all)

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: HeaderList, partition: int | None = None
    ) -> Awaitable[object]:
        if topic in STREAMS and value is not None:
            self.world.send(topic, value, headers)
        return asyncio.sleep(0)

    async def send_files(self, topic: Topic[Any], files: Iterable[Outgoing]) -> list[int]:
        files = [*files]
        for key, record, headers in files:
            await (await self.send(topic, key, record, headers))
        return [0] * len(files)

    async def persist(self, job_ids: Any, attempt: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await attempt()


class Disk:
    """It knows what a file holds without a look at it."""

    def __init__(self, world: "World") -> None:
        self.world = world

    async def fingerprint(self, file: RawPath, _known: Fingerprint | None) -> Fingerprint:
        content = self.world.disk[file.path]
        if content is None:
            raise FileError("It vanished.")
        return Fingerprint(size=1, mtime_ns=1, ctime_ns=1, sha256=content)


@dataclass
class Job:
    """What track, the API and the watchdog know of a job."""

    files: dict[str, FileReport] = field(default_factory=dict)
    restarts: int = 0
    cancelled: bool = False
    closed: bool = False

    @property
    def unfinished(self) -> list[FileReport]:
        return [file for file in self.files.values() if file.outcome is None]


class World:
    """The topics, the tables, and everybody who reads them."""

    def __init__(self) -> None:
        self.topics: dict[str, deque[Message]] = {name: deque() for name in STREAMS}
        self.offsets = Counter[str]()
        self.sends_left: int | None = None
        self.disk: dict[str, str | None] = dict.fromkeys(PATHS, GOOD)
        self.jobs = {name: Job() for name in JOBS}
        self.asked: set[tuple[str, str]] = set()  # of ML: content and file; embed answers what comes again
        self.fingerprints: dict[str, Fingerprint] = {}
        self.rows = Rows([])
        collection = SimpleNamespace(model_id=MODEL)
        self.services = SimpleNamespace(
            jobs=SimpleNamespace(is_cancelled=lambda job: self.jobs[job].cancelled, status=self.status),
            settings=Settings(trust_kafka=True),
            cpu=SimpleNamespace(run_for_file=lambda _size, *call, **options: self.decode(*call, **options)),
        )
        collections: Any = SimpleNamespace(
            target=lambda *_, **__: answer(SimpleNamespace(incarnation="i")),
            known=lambda *_: answer(collection),
            ensure=lambda *_: answer(MODEL),
        )
        stage = Stage("prepare", self)
        images = KnownImages(self.rows)  # type: ignore[arg-type]
        unchanged = Unchanged(stage, images, collections)
        departures = DepartureKeeper(stage, Departures(self.rows), Erasures(self.rows), collections)  # type: ignore[arg-type]
        erasures = ErasureKeeper(stage, images, Erasures(self.rows), None)  # type: ignore[arg-type]
        left: Any = {"departures": departures, "erasures": erasures}
        executor = Executor(stage, images, Decoder(stage), unchanged, **left)
        self.keeper = ClaimKeeper(stage, images, executor, Sweeper(stage, images, executor), **left)
        self.preparer = _Preparer(stage, images, executor, collections, unchanged)
        # Who holds a path is of syncs, which do not come here.
        paths: Any = SimpleNamespace(hold_ahead=lambda *_: [])
        self.hasher = _Hasher(Stage("hash", self), paths, collections, Disk(self))  # type: ignore[arg-type]

    def status(self, job: str) -> object:
        known = self.jobs[job]
        is_over = known.closed and not known.unfinished
        return None if is_over else SimpleNamespace(model_id=MODEL, collection=COLLECTION)

    async def see(self, file: RawPath) -> None:
        self.jobs[file.job_id].files.setdefault(file.file_id, FileReport(file.file_id, file.path))

    async def report_all(self, of: Any, outcomes: Any, *, replay: bool) -> None:
        for outcome in outcomes:
            await self.report(of, outcome, replay=replay)

    async def report(self, file: Any, outcome: Any, *, replay: bool) -> None:
        self.touch()
        known = self.jobs[file.job_id].files
        report = FileReport(file.file_id, file.path, outcome.outcome)
        known[file.file_id] = fold_file(known.get(file.file_id), report, replay=replay)

    def send(self, topic: str, value: bytes, headers: HeaderList) -> None:
        self.touch()
        self.topics[topic].append(Message(topic, self.offsets[topic], value, headers))
        self.offsets[topic] += 1

    def touch(self) -> None:
        if self.sends_left is not None:
            self.sends_left -= 1
            if self.sends_left < 0:
                raise KilledError

    async def decode(self, _prepare: Any, path: bytes, _stamp: Any, sha256: str, **_: Any) -> Prepared:
        content = self.disk[path.decode()]
        if content is None:
            raise FileError("It vanished.")
        if content != sha256:
            raise FileChangedError("It changed.")
        if content == BAD:
            raise ContentError("No picture.")
        return PREPARED

    async def add(
        self, _event: Message, work: Coroutine[Any, Any, Any], settle: Any = None, permits: object = None
    ) -> None:
        """Do as a window does."""
        result = await work
        if settle is not None:
            await asyncio.gather(*settle(result))

    async def step(self, topic: str, kill_after: int | None = None, most: int = 1) -> None:
        """Have the next message of a topic taken. A kill leaves it there.

        Up to `most` files of a job behind each other are one message, where hash and prepare take them.
        """
        if not self.topics[topic]:
            return
        first, self.sends_left = self.topics[topic][0], kill_after
        if topic not in (RAW_PATH.name, HASHED_FILE.name):
            most = 1
        events = [*takewhile(lambda event: event.shared == first.shared, islice(self.topics[topic], most))]
        try:
            if topic == HASHED_FILE.name:
                await self._prepare(events)
            else:
                for event in events:
                    await self._take(topic, event)
            self.touch()
        except KilledError:
            return
        finally:
            await end_others()
            self.sends_left = None
        for _ in events:
            self.topics[topic].popleft()

    async def _prepare(self, events: list[Any]) -> None:
        items = [
            Item(events[0], HASHED_FILE.decode(event.value or b""), Headers.decode(event.headers), place, len(events))
            for place, event in enumerate(events)
        ]
        await self.preparer.take(items, self)  # type: ignore[arg-type]

    async def _take(self, topic: str, event: Any) -> None:
        headers = Headers.decode(event.headers)
        match topic:
            case RAW_PATH.name:
                file = RAW_PATH.decode(event.value)
                fresh = await self.hasher._hash(Item(event, file, headers), self.fingerprints.get(file.path))
                if fresh is not None:
                    self.fingerprints[file.path] = fresh
            case ML_REQUEST.name:
                request = ML_REQUEST.decode(event.value)
                self.asked.add((request.sha256, request.file_id))
                sent = DBWrite(
                    **request.file_fields(), point_id=point_id(request.sha256), outcome="stored", content=CONTENT
                )
                self.send(DB_WRITE.name, DB_WRITE.encode(sent), sent.headers(headers).encode())
            case DB_WRITE.name:
                write = DB_WRITE.decode(event.value)
                assert isinstance(write, DBWrite)
                outcome: Any = SimpleNamespace(outcome=write.outcome)
                await self.report(write, outcome, replay=False)
                content = write.content if write.outcome == "stored" else None
                stored = Stored(**write.file_fields(), incarnation="i", content=content)
                self.send(IMAGE_OUTCOME.name, IMAGE_OUTCOME.encode(stored), stored.headers(headers).encode())
            case _:
                await self.keeper.take([Item(event, IMAGE_OUTCOME.decode(event.value), headers)], self)  # type: ignore[arg-type]

    def submit(self, job: str, path: str, attempt: int = 1) -> None:
        if attempt == 1 and (self.jobs[job].closed or self.jobs[job].cancelled):
            return
        file = RawPath(job_id=job, collection=COLLECTION, path=path, model_id=MODEL)
        headers = RAW_PATH.headers(file, file.headers(Headers(attempt=attempt)))
        self.send(RAW_PATH.name, RAW_PATH.encode(file), headers)

    def cancel(self, job: str) -> None:
        self.jobs[job].cancelled = True
        outcome = JobCancelled(job_id=job)
        self.send(IMAGE_OUTCOME.name, IMAGE_OUTCOME.encode(outcome), Headers(job_id=job).encode())

    def clear(self) -> None:
        outcome = ClaimsCleared(collection=COLLECTION)
        self.send(IMAGE_OUTCOME.name, IMAGE_OUTCOME.encode(outcome), Headers().encode())

    async def restart(self, most: int = RESTARTS) -> bool:
        """Have the files without an outcome begin again; tell whether there were any."""
        begun = False
        if any(self.topics.values()):
            return begun
        for name, job in self.jobs.items():
            if job.unfinished and (job.cancelled or job.restarts < most):
                job.restarts += 1
                for file in job.unfinished:
                    self.submit(name, file.path, attempt=job.restarts + 1)
                    begun = True
        return begun

    async def settle(self, *, but: str = "") -> None:
        """Let all go on that is on its way, and stay before one topic."""
        for _ in range(10_000):
            busy = [topic for topic in STREAMS if self.topics[topic] and topic != but]
            if not busy:
                return
            for topic in busy:
                await self.step(topic, most=3)
        raise AssertionError(f"It goes round: {[(name, len(topic)) for name, topic in self.topics.items()]}")

    async def end(self) -> None:
        """Let the watchdog bring all files to their end."""
        await self.settle()
        while await self.restart():
            await self.settle()


async def end_others() -> None:
    """End what a kill has left under way."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def answer(value: Any) -> Any:
    return value


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "asyncio", SimpleNamespace(sleep=lambda _: asyncio.sleep(0)))


paths, jobs, topics = st.sampled_from(PATHS), st.sampled_from(JOBS), st.sampled_from(STREAMS)
quiet_actions = st.one_of(
    st.tuples(st.just("submit"), jobs, paths),
    st.tuples(st.just("step"), topics, st.none(), st.integers(1, 4)),
    st.tuples(st.just("settle"), topics),
    st.tuples(st.just("cancel"), jobs),
    st.tuples(st.just("close"), jobs),
)
losing_actions = st.one_of(quiet_actions, st.tuples(st.just("lose"), topics), st.tuples(st.just("restart")))
all_actions = st.one_of(
    losing_actions,
    st.tuples(st.just("kill"), topics, st.integers(0, 4), st.integers(1, 4)),
    st.tuples(st.just("change"), paths, st.sampled_from((None, GOOD, ALSO_GOOD, BAD))),
    st.tuples(st.just("clear")),
)


async def play(actions: list[Any]) -> World:
    world = World()
    for action, *arguments in actions:
        match action:
            case "submit":
                world.submit(*arguments)
            case "step" | "kill":
                await world.step(*arguments)
            case "settle":
                await world.settle(but=arguments[0])
            case "cancel":
                world.cancel(*arguments)
            case "close":
                world.jobs[arguments[0]].closed = True
            case "lose":
                world.topics[arguments[0]].clear()
            case "change":
                world.disk[arguments[0]] = arguments[1]
            case "clear":
                world.clear()
            case "restart":
                await world.restart(1)
    return world


# Its outcome was reported, but what prepare waits for was deleted unread: its job goes on, and nobody sends it again.
OWNER_ENDED_AND_NOBODY_KNOWS = [
    ("submit", "j1", "/1"),
    ("submit", "j1", "/2"),
    ("settle", IMAGE_OUTCOME.name),
    ("lose", IMAGE_OUTCOME.name),
]


@settings(max_examples=120, deadline=None)
@given(st.lists(all_actions, max_size=60))
@example(OWNER_ENDED_AND_NOBODY_KNOWS)
def test_no_file_waits_for_ever(actions: list[Any]) -> None:
    async def run() -> None:
        world = await play(actions)
        await world.end()
        left = {name: [file.path for file in job.unfinished] for name, job in world.jobs.items()}
        assert left == {name: [] for name in JOBS}, world.rows

    asyncio.run(run())


@settings(max_examples=120, deadline=None)
@given(st.lists(losing_actions, max_size=60))
@example(OWNER_ENDED_AND_NOBODY_KNOWS)
def test_of_files_that_begin_again_one_takes_over(actions: list[Any]) -> None:
    async def run() -> None:
        world = await play(actions)
        await world.end()
        askers = Counter(sha256 for sha256, _ in world.asked)
        assert max(askers.values(), default=0) <= 1 + sum(job.restarts for job in world.jobs.values())

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(quiet_actions, max_size=60))
def test_what_nobody_kills_or_loses_costs_one_ml_call_a_content(actions: list[Any]) -> None:
    async def run() -> None:
        world = await play(actions)
        await world.end()
        assert len(world.asked) == len({sha256 for sha256, _ in world.asked})
        assert all(job.restarts == 0 for job in world.jobs.values())
        assert not [key for key in world.rows if key.startswith(b"w|")]

    asyncio.run(run())
