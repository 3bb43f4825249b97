"""The API's view of the jobs, as SQLite holds it: messages become rows, and nobody waits for who reads many."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import orjson
import pytest

from api.view import dead_letters, leaving, reading, writing
from api.view.changes import Changes
from api.view.database import Database
from api.view.requests import MAX_ROOTS, JobRequest
from api.view.view import JobView
from api.view.writing import FILES_AT_ONCE, Message, forget_files, give_back_disk
from core.errors import RequestError
from rules.outcomes import Outcome
from rules.paths import to_wire
from rules.tally import Way
from tables.job_document import document
from tests.deadlines import HANG_SECONDS
from tests.unit.ledger import (
    JOB,
    START,
    Ledger,
    asked,
    ended,
    ended_alike,
    forget,
    moved,
    queued,
    scanning,
    sealed,
    seen,
    walked_again,
)
from topics.job_event import JOB_EVENT, AnyJobEvent
from topics.job_status import JOB_STATUS, JobStatus, RemovalState, RemovalStatus
from topics.removal_event import LeavingFile, WouldLeave


class View:
    """A view that is told messages as Kafka has them."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        writing.ensure_schema(self.connection)
        writing.ensure_it_shrinks(self.connection)
        self.offset = -1

    def tell(self, *told: AnyJobEvent, job_id: str = JOB, at: float = START) -> "View":
        messages = []
        for event in told:
            self.offset += 1
            value = JOB_EVENT.encode(event.model_copy(update={"job_id": job_id}))
            messages.append(Message(JOB_EVENT.name, 0, self.offset, job_id.encode(), value, [], at))
        self._write(messages)
        return self

    def publish(self, status: JobStatus) -> None:
        value = JOB_STATUS.encode(status)
        self._write([Message(JOB_STATUS.name, 0, 0, status.job_id.encode(), value, [], START)])

    def _write(self, messages: list[Message]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        writing.write(self.connection, messages)
        self.connection.execute("COMMIT")

    def status(self, job_id: str = JOB) -> JobStatus:
        found = reading.status(self.connection, job_id)
        assert found is not None
        return found

    def unfinished(self) -> list[str]:
        found: list[str] = []
        while page := reading.unfinished(self.connection, after=found[-1] if found else "", limit=100):
            found += [job.job_id for job in page]
        return found

    def asked(self, job_id: str = JOB) -> JobRequest:
        return reading.request(self.connection, job_id)

    def files(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM files").fetchone()[0])


@pytest.fixture
def view() -> View:
    return View()


def test_it_shows_what_track_publishes(view: View) -> None:
    story: list[AnyJobEvent] = [
        queued(), scanning(counted=True), seen("a", walk="walk"), *sealed(files=[3, 0]), walked_again(),
        scanning(walk="again", counted=True), seen("a", "b", walk="again"), ended("stored", "a"), asked("pause"),
        *sealed(walk="again", files=[1, 1]), ended("failed", "b"), ended("stored", "b", replay=True),
    ]  # fmt: skip
    ledger = Ledger()
    for event in story:
        view.tell(event)
        assert view.status() == ledger.tell(event).status
    assert (view.status().status, view.status().missing_files) == ("completed", 0)


def test_all_jobs_that_are_not_finished_are_looked_at_however_many_there_are(view: View) -> None:
    for number in range(1100):
        view.tell(seen("a"), job_id=f"open-{number:04}")
    view.tell(seen("a"), ended("stored", "a"), *sealed(), job_id="done")
    assert view.unfinished() == [f"open-{number:04}" for number in range(1100)]


def test_what_was_published_of_a_job_knows_more_than_its_newest_events(view: View) -> None:
    """Kafka has deleted the first ones."""
    whole = Ledger(seen("a", "b"), ended("stored", "a", "b"), *sealed())
    view.offset = 1
    view.tell(*sealed()[:1])
    assert view.unfinished() == [JOB]
    view.publish(whole.status)
    assert view.unfinished() == []
    assert reading.ended(view.connection, before=START + 1, limit=9) == [JOB]


def test_jobs_that_ended_long_ago_are_found_the_oldest_first(view: View) -> None:
    for name, at in (("new", START + 900), ("older", START + 100), ("oldest", START)):
        view.tell(ended("stored", "a"), *sealed(), job_id=name, at=at)
        # What still comes does not make it younger.
        view.tell(moved("store", 1), job_id=name, at=START + 1000)
    view.tell(seen("a"), job_id="open")
    assert reading.ended(view.connection, before=START + 500, limit=9) == ["oldest", "older"]
    assert reading.ended(view.connection, before=START + 500, limit=1) == ["oldest"]
    view.tell(forget(), job_id="oldest")
    assert reading.ended(view.connection, before=START + 500, limit=9) == ["older"]


def test_the_last_looks_at_sources_are_found_among_many_jobs_without_reading_these(view: View) -> None:
    looks = [f"look-{number:02}" for number in range(60)]
    for number in range(1000):
        view.tell(queued(), job_id=f"job-{number:04}", at=START + number)
    for source in looks:
        look = queued().model_copy(update={"source": source})
        view.tell(look, job_id=f"{source}-new", at=START + 2)
        view.tell(look, job_id=f"{source}-old", at=START + 1)
    view.tell(seen("a"), ended("stored", "a"), *sealed(), job_id="look-07-new", at=START + 3)
    steps = []
    view.connection.set_progress_handler(lambda: steps.append(1), 1)
    found = reading.newest_of_sources(view.connection, ["none", *looks])
    open_ones, _ = reading.recent(
        view.connection, lambda _: True, limit=99, cursor=None, source="look-07", is_open=True
    )
    view.connection.set_progress_handler(None, 1)
    assert {name: job.job_id for name, job in found.items()} == {name: f"{name}-new" for name in looks}
    assert found["look-07"].status == "completed"
    assert [job.job_id for job in open_ones] == ["look-07-old"]
    assert len(steps) < 100 * len(looks)


def test_what_waits_for_a_person_is_found_behind_newer_looks(view: View) -> None:
    def look(job_id: str, state: RemovalState, at: float, source: str = "home", *, forgotten: bool = False) -> None:
        told = {"source": source, "removals": RemovalStatus(state=state), "forgotten": forgotten}
        view.tell(queued().model_copy(update={"source": source, "at": at}), job_id=job_id, at=at)
        view.publish(view.status(job_id).model_copy(update={**told, "offset": view.offset}))

    look("first", "held", START)
    look("second", "held", START + 1)
    look("third", "none", START + 2)
    look("other", "held", START + 3, source="other")
    look("done", "removed", START + 4)

    def held(limit: int = 9) -> dict[str, list[str]]:
        found = reading.held_of_sources(view.connection, ["home", "none"], limit=limit)
        return {name: [job.job_id for job in jobs] for name, jobs in found.items()}

    assert held() == {"home": ["second", "first"], "none": []}
    assert held(limit=1)["home"] == ["second"]
    look("second", "kept", START + 1)
    assert held()["home"] == ["first"]
    look("first", "held", START, forgotten=True)
    assert held()["home"] == []


class TestWhatLeaves:
    """As prepare names it, a few hundred files at a time."""

    @staticmethod
    def named(*paths: str, way: Way = "gone") -> WouldLeave:
        files = [LeavingFile(path=path, sha256=sha256(path.encode()).hexdigest(), way=way) for path in paths]
        return WouldLeave(job_id=JOB, at=START, files=files)

    @staticmethod
    def shown(view: View, way: Way | None = None, limit: int = 7) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        cursor = None
        while True:
            page, cursor = leaving.read(view.connection, JOB, way=way, limit=limit, cursor=cursor)
            found += [(row.way, row.path) for row in page]
            if cursor is None:
                return found

    def test_it_is_shown_page_by_page_and_once_however_often_it_is_told(self, view: View) -> None:
        view.tell(queued(), self.named("/b", "/a", *(f"/many/{number:02}" for number in range(20))))
        view.tell(self.named("/b", "/c", way="moved")).tell(self.named("/a"))  # prepare was killed, and counts anew
        view.tell(self.named("/other"), job_id="other")
        gone = [("gone", "/a"), *(("gone", f"/many/{number:02}") for number in range(20))]
        moved = [("moved", "/b"), ("moved", "/c")]
        assert self.shown(view) == [*gone, *moved]
        assert self.shown(view, "moved", 1) == moved
        with pytest.raises(RequestError, match="cursor"):
            leaving.read(view.connection, JOB, way=None, limit=1, cursor="bm9uZQ==")

    def test_it_goes_with_the_files_of_its_job(self, view: View) -> None:
        view.tell(seen("a"), ended("stored", "a"), self.named(*(f"/{number}" for number in range(FILES_AT_ONCE))))
        view.tell(*sealed(), forget(), self.named("/late"))
        for _ in range(3):
            forget_files(view.connection)
        assert self.shown(view, limit=FILES_AT_ONCE) == []


class TestFiles:
    """As looking again at many brings them, and as single files."""

    many = [f"{number:03}" for number in range(250)]

    @staticmethod
    def shown(view: View, outcome: Outcome | None = None, limit: int = 40) -> list[tuple[str, str | None]]:
        found: list[tuple[str, str | None]] = []
        cursor = None
        while True:
            page, cursor = reading.files(view.connection, JOB, outcome=outcome, limit=limit, cursor=cursor)
            found += [(file.path, file.outcome) for file in page]
            if cursor is None:
                return found

    def test_all_are_shown_page_by_page_in_the_order_in_which_they_came(self, view: View) -> None:
        view.tell(seen("100", "x"), ended_alike("unchanged", *self.many[:200]))
        view.tell(ended_alike("unchanged", *self.many[150:]), ended("stored", "007"), seen("y"))
        view.tell(ended_alike("unchanged", "a", "b"), job_id="other")
        paths = [f"/photos/{name}" for name in ("100", "x", *self.many[:100], *self.many[101:], "y")]
        assert sorted(path for path, _ in self.shown(view)) == sorted(paths)
        assert [path for path, _ in self.shown(view, limit=7)] == [path for path, _ in self.shown(view, limit=999)]
        unchanged = [path for path, _ in self.shown(view, "unchanged")]
        assert unchanged == [path for path, outcome in self.shown(view) if outcome == "unchanged"]
        assert len(unchanged) == 249
        assert self.shown(view, "stored") == [("/photos/007", "stored")]
        unfinished = reading.unfinished_files(view.connection, JOB, after=0, limit=9)
        assert [file.path for file in unfinished] == ["/photos/x", "/photos/y"]
        # Newer ones come last.
        assert [path for path, _ in self.shown(view)][-1] == "/photos/y"

    def test_what_comes_again_is_no_other_file(self, view: View) -> None:
        ledger = Ledger()
        for event in (ended_alike("unchanged", *self.many), seen("000", "x"), ended_alike("cached", *self.many, "x")):
            ledger.tell(event)
            view.tell(event).tell(event)
        assert view.status().total_files == ledger.status.total_files == 251
        assert view.files() == 251
        assert len(self.shown(view, "cached")) == 251

    def test_ids_with_the_same_hash_are_different_files(self, view: View) -> None:
        names = ["plumless", "buckeroo"]
        assert len({crc32(name.encode()) for name in names}) == 1
        view.tell(ended_alike("unchanged", names[0], *self.many), seen(names[1]))
        view.tell(ended("failed", names[1], reason="broken"))
        assert self.shown(view, "failed") == [("/photos/buckeroo", "failed")]
        assert len(self.shown(view, "unchanged")) == 251


class TestForgetting:
    @pytest.fixture
    def done(self, view: View) -> View:
        names = [str(number) for number in range(FILES_AT_ONCE + 10)]
        return view.tell(seen("x"), job_id="other").tell(queued(), seen(*names), ended("stored", *names), *sealed())

    def test_the_files_go_a_few_at_a_time_and_the_status_stays(self, done: View) -> None:
        before = done.status()
        done.tell(forget(), seen("late"), ended("failed", "later"))
        kept = before.model_dump(exclude={"forgotten", "offset", "logs"})
        assert done.status().model_dump(exclude={"forgotten", "offset", "logs"}) == kept
        assert (done.status().forgotten, done.files()) == (True, FILES_AT_ONCE + 11)
        left = []
        for _ in range(3):
            forget_files(done.connection)
            left.append(done.files())
        assert left == [11, 1, 1]

    def test_what_track_says_counts_too(self, done: View) -> None:
        """Here, the events that told of the end are no longer there."""
        done.publish(done.status().model_copy(update={"forgotten": True}))
        done.tell(seen("late"))
        for _ in range(2):
            forget_files(done.connection)
        assert (done.status().forgotten, done.files()) == (True, 1)

    def test_disk_that_is_free_is_given_back(self, tmp_path: Path) -> None:
        path = tmp_path / "view.db"
        view = View(path)
        names = [f"{number}-{'x' * 900}" for number in range(3000)]
        view.tell(seen(*names), ended("stored", *names), *sealed())
        view.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        full = path.stat().st_size
        view.tell(forget())
        for _ in range(9):
            forget_files(view.connection)
            give_back_disk(view.connection)
        assert path.stat().st_size < full / 4


class TestWhatWasAsked:
    def test_all_of_many_sources_can_be_asked_for(self, view: View) -> None:
        many = [f"/photos/{number}" for number in range(1000)]
        view.tell(queued().model_copy(update={"sources": many}), scanning().model_copy(update={"sources": many}))
        assert view.asked().sources == many
        assert len(view.status().model_dump_json()) < 2500
        view.tell(queued(), job_id="few")
        assert view.asked("few").sources == ["/photos"]
        assert view.asked("nobody") == JobRequest()

    def test_what_is_not_known_whole_is_not_known(self, view: View) -> None:
        many = [f"/photos/{number}" for number in range(1000)]
        view.publish(document(Ledger(queued().model_copy(update={"sources": many})).job))
        assert view.asked() == JobRequest()

    def test_what_a_walk_leaves_out_is_as_the_submit_said(self, view: View) -> None:
        walked = scanning().model_copy(update={"exclude": ["*.tif"]})
        view.tell(queued().model_copy(update={"exclude": ["*.png"]}), walked, job_id="submitted")
        view.tell(walked, scanning(), queued().model_copy(update={"exclude": ["*.png"]}), job_id="submitted-late")
        view.tell(walked, scanning(), job_id="published")
        assert [view.asked(job).exclude for job in ("submitted", "submitted-late", "published")] == [
            ["*.png"], ["*.png"], ["*.tif"],
        ]  # fmt: skip

    def test_what_files_may_be_read_from_is_of_all_of_them(self, view: View) -> None:
        def bound(*roots: str) -> AnyJobEvent:
            return seen("a").model_copy(update={"roots": list(roots)})

        view.tell(seen("a"))
        assert view.asked().roots is None
        view.tell(bound())
        assert view.asked().roots == []
        view.tell(bound("/b"), bound("/a", "/b"), seen("b"), queued())
        assert view.asked().roots == ["/a", "/b"]
        view.tell(bound(*map(str, range(2 * MAX_ROOTS))))
        assert len(view.asked().roots or []) == MAX_ROOTS

    def test_a_change_of_the_job_does_not_write_it_again(self, view: View) -> None:
        patterns = [f"*.{number}" for number in range(20_000)]
        view.tell(
            queued().model_copy(update={"exclude": patterns}),
            seen("a").model_copy(update={"roots": [f"/{number}/{'x' * 2000}" for number in range(90)]}),
        )
        (folded,) = view.connection.execute("SELECT folded FROM jobs").fetchone()
        assert len(folded) < 2500

    def test_it_is_forgotten_with_the_job(self, view: View) -> None:
        many = [f"/photos/{number}" for number in range(1000)]
        view.tell(queued().model_copy(update={"sources": many}), scanning(), *sealed(), forget())
        forget_files(view.connection)
        assert view.asked() == JobRequest()


@pytest.fixture
def databases(tmp_path: Path) -> Callable[[], Database]:
    View(tmp_path / "view.db").tell(queued())
    return lambda: Database(tmp_path / "view.db")


def test_of_a_file_that_each_look_at_a_source_fails_at_one_letter_is_open(view: View) -> None:
    """A broken picture in a folder that is looked at each five minutes: 2,000 looks a week."""

    files = [("sync-1", "/a", "home"), ("sync-1", "/b", "home"), ("sync-2", "/a", "home"), ("sync-3", "/a", "home"),
             ("sync-4", "/a", "other"), ("job", "/a", None), ("job-2", "/a", None)]  # fmt: skip
    for offset, (job_id, path, source) in enumerate(files):
        fail(view, offset, job_id, path.encode(), source)
    assert open_letters(view) == ["job-2", "job", "sync-4", "sync-3", "sync-1"]


def test_paths_that_are_shown_alike_have_letters_of_their_own(view: View) -> None:
    for offset, path in enumerate([b"/a\\xff", b"/a\xff", b"/a\xff"]):
        fail(view, offset, f"sync-{offset}", path, "home")
    assert open_letters(view) == ["sync-2", "sync-0"]


def fail(view: View, offset: int, job_id: str, path: bytes, source: str | None) -> None:
    """Have a letter come of a file that a job has failed at."""
    shown, path_b64 = to_wire(path)
    said = {"job_id": job_id, "path": shown, "path_b64": path_b64, "collection": "c", "source": source}
    value = orjson.dumps({name: told for name, told in said.items() if told is not None})
    headers = [("job_id", job_id.encode()), ("file_id", job_id.encode() + path)]
    view._write([Message("dead-letter", 0, offset, b"k", value, headers, START + offset)])


def open_letters(view: View) -> list[str]:
    """Return the jobs of the letters that are open, the newest first."""
    rows, _ = dead_letters.find(view.connection, dead_letters.DeadLetterFilter(state="open"), limit=10, cursor=None)
    return [row.job_id for row in rows]


async def test_a_search_in_all_jobs_keeps_nobody_from_a_status(databases: Callable[[], Database]) -> None:
    reader, searcher = databases(), databases()
    view = JobView(reader, searcher, cast(Any, None), Changes())
    goes_on = threading.Event()

    def slow(_: JobStatus) -> bool:
        return goes_on.wait(HANG_SECONDS)

    searching = asyncio.ensure_future(view.recent(slow, limit=5, cursor=None))
    try:
        async with asyncio.timeout(HANG_SECONDS / 2):
            while (status := await view.status(JOB)) is None:
                await asyncio.sleep(0.01)
        assert status.status == "queued"
        assert not searching.done()
    finally:
        goes_on.set()
        await searching
        await reader.close()
        await searcher.close()
