"""What track keeps in memory and in its rows, without Kafka: what a job costs that is met again, and is forgotten."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agents.track import agent as track
from agents.track.agent import FORGOTTEN_AT_ONCE, Tracker
from core.settings import Settings
from tables.jobs import Jobs
from tests.deadlines import HANG_SECONDS
from tests.unit.ledger import START, ended, forget, sealed, seen
from topics import job_event as events
from topics.job_event import JOB_EVENT
from topics.job_status import JobStatus

PARTITION = ("job-event", 0)


class Rows(dict[bytes, bytes]):
    """A table without Kafka; it counts how many rows were looked through."""

    looked_through = 0

    async def _delivered(self) -> None: ...

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [*map(self.get, keys)]

    def put(self, key: bytes, value: bytes) -> Awaitable[object]:
        self[key] = value
        return asyncio.ensure_future(self._delivered())

    def delete(self, key: bytes) -> Awaitable[object]:
        del self[key]
        return asyncio.ensure_future(self._delivered())

    def put_packed(self, prefix: bytes, rows: dict[bytes, bytes]) -> Awaitable[object]:
        self.update(rows)
        return self.put(b"+|" + prefix + b"%d" % len(self), b"")

    def delete_packed(self, prefix: bytes, limit: int) -> tuple[list[Awaitable[object]], bool]:
        keys = [key for key in self if key.startswith(b"+|" + prefix)]
        return [self.delete(key) for key in keys[:limit]], len(keys) > limit

    def delete_unlogged(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            del self[key]

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self):
            if key.startswith(prefix) and key > after:
                self.looked_through += 1
                yield key, self[key]


class Event:
    def __init__(self, value: events.AnyJobEvent, offset: int, generation: int, timestamp: float) -> None:
        self.value = JOB_EVENT.encode(value)
        self.message = SimpleNamespace(
            offset=offset, key=value.job_id.encode(), generation_id=generation, tp=PARTITION, timestamp=timestamp
        )


class Stage:
    """A stage, its app, its consumer and its window in one."""

    def __init__(self) -> None:
        self.services: Any = type("Services", (), {"settings": Settings()})
        self.app = self.consumer = self
        self.consumer_generation_id = 1
        self.rows = Rows()
        self.documents: list[JobStatus] = []
        self.acked: list[int] = []
        self.offset = -1
        self.clock = START  # Kafka's
        self.waiting: list[asyncio.Task[None]] = []
        self.tracker = self.restarted()

    def restarted(self) -> Tracker:
        """Return a tracker that knows what the rows say."""
        self.tracker = Tracker(self, Jobs(self.rows))  # type: ignore[arg-type]
        return self.tracker

    def assignment(self) -> set[tuple[str, int]]:
        return {PARTITION}

    async def send(self, topic: Any, key: str, record: JobStatus, headers: Any) -> Awaitable[object]:
        self.documents.append(record)
        return asyncio.sleep(0)

    async def emit(self, event: events.AnyJobEvent) -> None:
        await self._take(event)

    async def add(self, event: Event, work: Any) -> None:
        async def then_ack() -> None:
            await work
            self.acked.append(event.message.offset)

        self.waiting.append(asyncio.ensure_future(then_ack()))

    async def _take(self, event: events.AnyJobEvent) -> None:
        self.offset += 1
        taken: Any = Event(event, self.offset, self.consumer_generation_id, self.clock)
        await self.tracker.take(taken, self)  # type: ignore[arg-type]

    async def tell(self, *told: events.AnyJobEvent) -> None:
        """Take events, and wait until all that follows is acked."""
        for event in told:
            await self._take(event)
        async with asyncio.timeout(HANG_SECONDS):
            while self.waiting:
                await self.waiting.pop(0)

    def files(self) -> int:
        return sum(key.startswith(b"f|") for key in self.rows)


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(track, "CHECKPOINT_SECONDS", 0.01)
    return Stage()


def of(job_id: str, event: events.AnyJobEvent) -> events.AnyJobEvent:
    return event.model_copy(update={"job_id": job_id})


async def test_a_job_that_is_met_again_is_loaded_without_a_look_at_its_files(stage: Stage) -> None:
    names = [str(number) for number in range(300)]
    await stage.tell(seen(*names), ended("stored", *names[:200]))
    stage.restarted()
    stage.consumer_generation_id += 1
    await stage.tell(ended("cached", *names[150:]), *sealed())
    assert stage.rows.looked_through == 0
    last = stage.documents[-1]
    assert (last.status, last.outcomes.stored, last.outcomes.cached, last.total_files) == ("completed", 200, 100, 300)


async def test_rows_of_version_0_1_0_are_counted_once_and_right(stage: Stage) -> None:
    """Files are ahead of the job's row there, as after a kill, and nothing says so."""
    stage.rows[b"j|job-1"] = b'{"job_id": "job-1", "collection": "photos", "seen": 2, "offset": 7, "walk_begun": true}'
    for name, outcome in {"a": "stored", "b": "failed", "c": None}.items():
        text = f'{{"file_id": "{name}", "path": "/{name}", "outcome": "{outcome}", "reason": null, "sha256": null}}'
        stage.rows[f"f|job-1|{name}".encode()] = text.replace('"None"', "null").encode()
    stage.offset = 7
    await stage.tell(ended("stored", "a"), ended("failed", "b"), ended("duplicate", "c"), *sealed())
    assert stage.rows.looked_through == 3
    last = stage.documents[-1]
    assert (last.status, last.outcomes.model_dump(exclude_defaults=True), last.total_files) == (
        "completed_with_errors",
        {"stored": 1, "failed": 1, "duplicate": 1},
        3,
    )
    stage.restarted()
    await stage.tell(ended("cached", "b", replay=True))
    assert (stage.rows.looked_through, stage.documents[-1].status) == (3, "completed")


async def test_the_row_of_a_job_does_not_hold_what_was_asked(stage: Stage) -> None:
    """It is written with each checkpoint. One of an older version loses it."""
    long = [f"/photos/{number}/{'x' * 1000}" for number in range(180)]
    old = {"job_id": "job-1", "keeps_counts": True, "sources": long, "exclude": long, "roots": long, "caption": True}
    stage.rows[b"j|job-1"] = orjson.dumps(old)
    await stage.tell(seen("a").model_copy(update={"roots": long}))
    asked = {"collection": "photos", "sources": long, "exclude": long}
    await stage.tell(
        events.Queued(job_id="job-2", at=START, **asked),
        events.Scanning(job_id="job-2", at=START, walk_id="w", **asked),
    )
    assert max(len(row) for key, row in stage.rows.items() if key.startswith(b"j|")) < 7000
    for status in stage.documents:
        assert (status.sources, status.sources_total) == (long[:3], 180)
    assert stage.documents[0].caption


async def test_after_a_rebalance_a_job_is_as_its_rows_say(stage: Stage) -> None:
    """Another worker has gone on with it meanwhile."""
    await stage.tell(seen("a"))
    other = Stage()
    other.rows, other.offset = stage.rows, stage.offset
    other.restarted()
    await other.tell(ended("stored", "a"))
    stage.offset = other.offset
    stage.consumer_generation_id += 1
    await stage.tell(*sealed())
    assert (stage.documents[-1].status, stage.documents[-1].outcomes.stored) == ("completed", 1)


async def test_a_job_goes_on_where_the_log_of_its_events_lost_its_end(stage: Stage) -> None:
    """What stands at those offsets now is news, though the job includes what stood there."""
    names = [str(number) for number in range(20)]
    await stage.tell(seen(*names), ended("stored", *names[:5]))
    await stage.tell(*(ended("stored", name) for name in names[5:10]))
    before = stage.documents[-1]
    assert before.outcomes.stored == 10
    # The last five are lost. What is left is read anew, and then what comes in their place.
    stage.restarted()
    stage.offset, stage.consumer_generation_id = -1, 2
    await stage.tell(seen(*names), ended("stored", *names[:5]))
    assert stage.documents[-1].outcomes.stored == 10
    stage.clock += 1
    await stage.tell(*(ended("stored", name) for name in names[8:]), *sealed())
    last = stage.documents[-1]
    assert (last.status, last.outcomes.stored, last.total_files) == ("completed", 20, 20)
    assert last.offset > before.offset
    # A kill, and all of it again.
    stage.restarted()
    stage.offset -= len(sealed()) + 3
    stage.consumer_generation_id += 1
    await stage.tell(*(ended("stored", name) for name in names[17:]), *sealed())
    assert (stage.documents[-1].status, stage.documents[-1].outcomes.stored) == ("completed", 20)


async def test_what_is_remembered_is_bounded_though_the_oldest_job_is_always_in_use(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "REMEMBERED_JOBS", 10)
    for number in range(50):
        await stage.tell(of("job-0", seen(str(number))), of(f"job-{number}", seen("a")))
    assert len(stage.tracker._known) <= 10
    assert stage.documents[-1].total_files == 1
    assert max(document.total_files for document in stage.documents) == 51


async def test_a_status_is_published_at_once_where_somebody_waits_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track, "CHECKPOINT_SECONDS", HANG_SECONDS)
    many = [str(number) for number in range(200)]
    pause = events.Command(job_id="job-1", at=START, type="pause")
    waits = events.Waiting(job_id="job-1", at=START, stage="embed", target="ml")
    for told in ([seen("a")], [pause], [waits], [seen(*many)], [ended("stored", "a", *many), *sealed()]):
        before = len(stage.documents)
        await asyncio.wait_for(stage.tell(*told), HANG_SECONDS / 2)
        assert len(stage.documents) > before


class TestForgetting:
    async def test_the_rows_of_its_files_go_a_few_at_a_time_and_its_last_status_stays(self, stage: Stage) -> None:
        names = [str(number) for number in range(2 * FORGOTTEN_AT_ONCE + 50)]
        await stage.tell(of("other", seen("x")), seen(*names), ended("cached", *names), *sealed())
        taken = stage.offset
        await stage.tell(forget())
        assert stage.files() == 1
        # The event itself, the first step, one for each few files, and one that finds none.
        assert stage.offset - taken == 5
        assert stage.rows.looked_through <= len(names)
        last = stage.documents[-1]
        assert (last.status, last.forgotten, last.outcomes.cached) == ("completed", True, len(names))
        await stage.tell(ended("failed", "new"), seen("late"), forget())
        assert stage.documents[-1] == last
        assert (stage.files(), sorted(stage.acked)) == (1, [*range(stage.offset + 1)])

    async def test_no_row_goes_before_it_is_written_down_that_none_is_needed(self, stage: Stage) -> None:
        await stage.tell(seen("a"), ended("cached", "a"), *sealed())
        # Someone else's step, or a second request in the same moment, comes before the checkpoint.
        await stage._take(forget())
        await stage._take(forget(after=""))
        await stage._take(forget())
        assert stage.files() == 1
        await stage.tell()
        assert stage.files() == 0

    async def test_a_kill_between_any_two_steps_ends_in_the_same(self, stage: Stage) -> None:
        names = [str(number) for number in range(2 * FORGOTTEN_AT_ONCE)]
        await stage.tell(seen(*names), ended("cached", *names), *sealed())
        story = [forget(), forget(after=""), forget(after=sorted(names)[FORGOTTEN_AT_ONCE - 1])]
        first = stage.offset + 1
        for killed in range(len(story)):
            for offset, event in enumerate([*story[: killed + 1], *story[: killed + 1]], start=first):
                stage.offset = min(offset, first + killed) - 1
                await stage.tell(event)
                stage.restarted()
        assert stage.files() == 0
        assert stage.documents[-1].outcomes.cached == len(names)

    async def test_a_job_that_is_not_over_keeps_its_files(self, stage: Stage) -> None:
        await stage.tell(seen("a"), forget(), forget(after=""))
        assert (stage.files(), stage.documents[-1].forgotten) == (1, False)
