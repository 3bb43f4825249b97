"""Reports about files are gathered into few events, and are told only when these are delivered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agents.reporter import MAX_FILES, Reporter
from tests.deadlines import HANG_SECONDS
from topics.hashed_file import HashedFile
from topics.job_event import JOB_EVENT, FileOutcome
from topics.job_event_codec import JobEvent
from topics.raw_path import RawPath

MESSAGE_BYTES = 1_000_000  # what a producer sends at most, by default


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + HANG_SECONDS
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)


class Topic:
    """Takes events; their deliveries wait until `deliver`."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self._delivered = asyncio.get_running_loop().create_future()
        self.errors: list[BaseException] = []
        self.reporter = Reporter("hash", self.publish, self.errors.append)

    async def publish(self, event: JobEvent) -> Awaitable[object]:
        self.events.append(event)
        return self._delivered

    def deliver(self) -> None:
        self._delivered.set_result(None)

    def fail(self) -> None:
        self._delivered.set_exception(ConnectionError("no broker"))

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self.events) >= count)

    def outcome(self, file: RawPath, *, replay: bool = False, reason: str | None = None) -> Awaitable[object]:
        told = FileOutcome(file_id=file.file_id, path=file.path, outcome="failed", reason=reason)
        return self.reporter.outcomes(file, [told], replay=replay)


@pytest.fixture
async def topic() -> Topic:
    return Topic()


def file(job: str, name: str, collection: str = "c") -> RawPath:
    return RawPath(job_id=job, collection=collection, path=f"/{name}")


def looked_at(walk: str, *names: str) -> tuple[HashedFile, list[tuple[str, str, str]]]:
    """Return the first of files of a walk, and all of them as `ended_alike` takes them."""
    files = [
        HashedFile(
            job_id="a", collection="c", path=f"/{name}", walk_id=walk, model_id="m", size=1, mtime_ns=1, sha256="0" * 64
        )
        for name in names
    ]
    return files[0], [(file.file_id, file.path, file.sha256) for file in files]


async def test_files_that_end_alike_are_told_by_walk_and_outcome(topic: Topic) -> None:
    first, two = looked_at("w", "1", "2")
    other, one = looked_at("v", "3")
    waits = asyncio.gather(
        topic.reporter.ended_alike(first, "unchanged", two),
        topic.reporter.ended_alike(first, "unchanged", two),
        topic.reporter.ended_alike(other, "unchanged", one),
        topic.reporter.ended_alike(first, "cached", one),
    )
    await topic.until(3)
    assert [(event.walk_id, event.outcome, event.paths) for event in topic.events] == [
        ("w", "unchanged", ["/1", "/2", "/1", "/2"]), ("v", "unchanged", ["/3"]), ("w", "cached", ["/3"]),
    ]  # fmt: skip
    assert not waits.done()
    topic.deliver()
    await waits


async def test_files_are_grouped_by_job_and_collection(topic: Topic) -> None:
    for one in (file("j1", "a"), file("j2", "b"), file("j1", "c"), file("j1", "d", "other")):
        topic.reporter.seen(one)
    await topic.until(3)
    grouped = {(e.job_id, e.collection): [f.path for f in e.files] for e in topic.events}
    assert grouped == {("j1", "c"): ["/a", "/c"], ("j2", "c"): ["/b"], ("j1", "other"): ["/d"]}


async def test_files_of_each_walk_stand_apart(topic: Topic) -> None:
    walks = {"/a": "w1", "/b": "w2", "/c": "w1", "/d": None}
    for path, walk_id in walks.items():
        topic.reporter.seen(RawPath(job_id="j", collection="c", path=path, walk_id=walk_id))
    await topic.until(3)
    assert {e.walk_id: [f.path for f in e.files] for e in topic.events} == {
        "w1": ["/a", "/c"],
        "w2": ["/b"],
        None: ["/d"],
    }


async def test_outcomes_of_a_replay_stand_apart(topic: Topic) -> None:
    topic.outcome(file("j", "a"))
    topic.outcome(file("j", "b"), replay=True)
    topic.outcome(file("j", "c"))
    await topic.until(2)
    assert {e.replay: [f.path for f in e.files] for e in topic.events} == {False: ["/a", "/c"], True: ["/b"]}


async def test_outcomes_of_many_files_with_long_paths_are_no_event_that_is_too_large(topic: Topic) -> None:
    told = [FileOutcome(file_id=str(number), path="/" + "x" * 16_000, outcome="stored") for number in range(100)]
    delivered = asyncio.ensure_future(topic.reporter.outcomes(file("j", "a"), told, replay=False))
    await eventually(lambda: sum(len(event.files) for event in topic.events) == 100)
    assert [one for event in topic.events for one in event.files] == told
    assert max(len(event.files) for event in topic.events) <= 12
    await asyncio.sleep(0)
    assert not delivered.done()
    topic.deliver()
    await delivered


async def test_seen_goes_before_the_outcome_of_the_same_moment(topic: Topic) -> None:
    topic.outcome(file("j", "a"))
    topic.reporter.moved("j")
    topic.reporter.moved("j")
    topic.reporter.seen(file("j", "a"))
    await topic.until(3)
    assert [event.type for event in topic.events] == ["seen", "moved", "outcomes"]
    assert topic.events[1].files == 2


async def test_a_report_is_told_when_it_is_delivered(topic: Topic) -> None:
    told = asyncio.ensure_future(topic.reporter.seen(file("j", "a")))
    await topic.until(1)
    await asyncio.sleep(0)
    assert not told.done()
    topic.deliver()
    await asyncio.wait_for(told, HANG_SECONDS)


async def test_many_files_go_at_once_and_as_one_event(topic: Topic) -> None:
    for number in range(MAX_FILES):
        topic.reporter.seen(file("j", str(number)))
    topic.reporter.seen(file("j", "next"))
    await asyncio.sleep(0)
    assert [len(event.files) for event in topic.events] == [MAX_FILES]
    await topic.until(2)
    assert [len(event.files) for event in topic.events] == [MAX_FILES, 1]


async def test_files_with_long_names_fit_into_a_message(topic: Topic) -> None:
    path = "\x01" * 4000  # in JSON each is six characters
    for _ in range(MAX_FILES):
        topic.outcome(file("j", path), reason=path)
    await eventually(lambda: sum(len(event.files) for event in topic.events) == MAX_FILES)
    assert max(len(JOB_EVENT.encode(event)) for event in topic.events) < MESSAGE_BYTES


async def test_a_failed_delivery_is_fatal_and_tells_nobody(topic: Topic) -> None:
    told = asyncio.ensure_future(topic.reporter.seen(file("j", "a")))
    await topic.until(1)
    topic.fail()
    await eventually(lambda: topic.errors != [])
    assert not told.done()
    told.cancel()


async def test_what_ml_was_sent_and_what_is_waited_for_go_at_once(topic: Topic) -> None:
    topic.deliver()
    await (await topic.reporter.ml_sent({"j1": 3, "j2": 1}))
    await topic.reporter.waiting(["j1"], "ml")
    await topic.reporter.waiting(["j1"], None)
    told = [event.model_dump(exclude={"at", "type"}) for event in topic.events]
    assert told == [
        {"job_id": "j1", "images": 3},
        {"job_id": "j2", "images": 1},
        {"job_id": "j1", "stage": "hash", "target": "ml"},
        {"job_id": "j1", "stage": "hash", "target": None},
    ]


async def test_as_the_worker_stops_the_last_counts_are_delivered_first() -> None:
    topic = Topic()
    topic.reporter.moved("job")
    drained = asyncio.create_task(topic.reporter.drained())
    await topic.until(1)
    assert not drained.done()
    topic.deliver()
    await asyncio.wait_for(drained, HANG_SECONDS)
    await topic.reporter.drained()
    assert len(topic.events) == 1
