"""What the schedule of sources asks for."""

from typing import Any

import pytest

from agents.scan.sources.schedule import Schedule
from agents.scan.sources.watched_source import WatchedSource
from core.settings import Settings
from rules.sources import scheduled_job
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

    def has_ended(self, job_id: str) -> bool:
        return job_id in self._ended

    def unfinished(self) -> list[Any]:
        return []

    async def send(self, topic: Any, _key: str, record: Any, *_: object) -> Any:
        self.sent.append((topic.name, record.job_id))

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
