"""What the schedule of sources asks for."""

from types import SimpleNamespace
from typing import Any

import pytest

from agents.scan.sources import schedule as schedule_module
from agents.scan.sources.schedule import Schedule
from agents.scan.sources.watched_source import WatchedSource
from core.settings import Settings
from rules.sources import scheduled_job
from topics.scan_request import ScanRequest
from topics.source import Source
from topics.source_status import SourceStatus, Watching
from topics.sources import KnownSource

ADDED_AT = 1000.0
FIRST = scheduled_job("home", ADDED_AT)


class Stage:
    """Of a stage, what the schedule uses. `sent`: topic and job of what was sent."""

    def __init__(self, ended: set[str]) -> None:
        self.services: Any = self
        self.jobs = self
        self._ended = ended
        self.sent: list[tuple[str, str | None]] = []
        self.touched: list[list[str]] = []
        self.in_vain = False
        self.shown: set[str] = set()  # jobs of which there is a status

    def has_ended(self, job_id: str) -> bool:
        return job_id in self._ended

    def has_looked_in_vain(self, _: str) -> bool:
        return self.in_vain

    def is_looked_at(self, _: str) -> bool:
        return bool(self.shown - self._ended)

    def status(self, job_id: str) -> str | None:
        return job_id if job_id in self.shown - self._ended else None

    async def send(self, topic: Any, _key: str, record: Any, *_: object) -> Any:
        self.sent.append((topic.name, record.job_id))
        if isinstance(record, ScanRequest):
            self.touched.append(record.touched)

        async def delivery() -> None: ...

        return delivery()

    async def emit(self, _: object) -> None: ...


class Watchers:
    """The one watcher."""

    def __init__(self, watched: WatchedSource) -> None:
        self._watched = watched

    def get(self, _: str) -> WatchedSource:
        return self._watched


@pytest.mark.parametrize(
    ("ended", "topics"),
    [(set(), ["scan-request", "source-status"]), ({FIRST}, ["source-status"])],
    ids=["new", "killed-before-it-was-noted"],
)
async def test_a_look_that_has_ended_is_noted_and_not_asked_for_again(ended: set[str], topics: list[str]) -> None:
    source = Source(name="home", folder="/photos", collection="c", watch=True)
    watched = WatchedSource(source, Settings(trust_kafka=True))
    watched.state, watched.wants_whole = Watching(state="watching", folders=1), True
    stage: Any = Stage(ended)
    sources: Any = None
    watchers: Any = Watchers(watched)
    schedule = Schedule(stage, sources, watchers)
    await schedule._begin_where_due(KnownSource(source, ADDED_AT))
    assert stage.sent == [(topic, FIRST) for topic in topics]
    # What has changed while nobody watched is looked for still, unless the look that begins now finds it.
    assert watched.wants_whole == bool(ended)
    stage.sent.clear()
    await schedule._begin_where_due(KnownSource(source, ADDED_AT, SourceStatus(name="home", due=ADDED_AT)))
    assert [topic for topic, job_id in stage.sent if job_id != FIRST] == (["scan-request"] if ended else [])


class Told(WatchedSource):
    """It was told of one change."""

    async def news(self) -> list[str]:
        return ["/photos/new.jpg"]


@pytest.mark.parametrize("in_vain", [False, True])
async def test_behind_a_look_in_vain_a_watcher_has_all_looked_at(in_vain: bool) -> None:
    source = Source(name="home", folder="/photos", collection="c", watch=True)
    watched = Told(source, Settings(trust_kafka=True))
    watched.state = Watching(state="watching", folders=1)
    stage: Any = Stage(set())
    stage.in_vain = in_vain
    sources: Any = None
    watchers: Any = Watchers(watched)
    schedule = Schedule(stage, sources, watchers)
    await schedule._begin_where_due(KnownSource(source, ADDED_AT, SourceStatus(name="home", due=ADDED_AT)))
    assert stage.touched == [[] if in_vain else ["/photos/new.jpg"]]


async def test_a_look_that_was_asked_for_holds_up_others_as_its_status_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never ended held up its source for as long as the worker ran."""
    now = ADDED_AT
    monkeypatch.setattr(schedule_module, "now", lambda: now)
    source = Source(name="home", folder="/photos", collection="c", every_seconds=60)
    stage: Any = Stage(set())
    sources: Any = None
    watchers: Any = SimpleNamespace(get=lambda _: None)
    schedule = Schedule(stage, sources, watchers)

    async def looks() -> int:
        await schedule._begin_where_due(KnownSource(source, ADDED_AT, status))
        return len(stage.touched)

    status = None
    assert await looks() == 1
    now, status = ADDED_AT + 60, SourceStatus(name="home", due=ADDED_AT)
    assert await looks() == 1  # its status is yet to come
    stage.shown = {FIRST}
    assert await looks() == 1
    stage.is_looked_at = lambda _: False
    assert await looks() == 2
