"""Dead letters of files that looks at a source have failed on: those that a newer look has left nothing of are closed.

Whatever was read first: the jobs' events, or the dead letters.
"""

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from api.view import dead_letters, writing
from api.view.writing import Message
from rules.paths import to_wire
from tests.unit.ledger import START, Ledger, sealed
from topics import job_event as events
from topics import removal_event
from topics.dead_letter import DEAD_LETTER
from topics.job_event import JOB_EVENT, AnyJobEvent
from topics.job_status import JOB_STATUS
from topics.sweep import Sweep

FOLDER = "/photos"


@dataclass
class Look:
    """A look at a source. `failed`: with a dead letter each; `unreadable`: a file or a folder, which leaves none."""

    fine: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    guarded: bool = False
    unread: int = 0
    away: bool = False
    held: bool = False
    source: str = "home"
    clock: float = 0.0  # by how much that of its worker is ahead
    late: bool = False  # its letters come when all looks have ended, as it was held up, or somebody replays them

    @property
    def is_whole(self) -> bool:
        return not (self.guarded or self.unread or self.away)


class Log:
    """What looks leave in two partitions of `job-event`, and in two of `dead-letter`."""

    def __init__(self, *looks: Look) -> None:
        self.partitions: dict[tuple[str, int], list[Message]] = {}
        self._now = START  # by Kafka's clock
        for number, look in enumerate(looks):
            *before, end = self.events(number, look)
            for event in before:
                self._put_event(number, event)
            if not look.late:
                self._letters(number, look)
            self._put_event(number, end)
        for number, look in enumerate(looks):
            if look.late:
                self._letters(number, look)

    def _put(self, topic: str, partition: int, key: bytes, value: bytes, headers: Any = ()) -> None:
        log = self.partitions.setdefault((topic, partition), [])
        self._now += 1
        log.append(Message(topic, partition, len(log), key, value, list(headers), self._now))

    def _put_event(self, number: int, event: AnyJobEvent) -> None:
        self._put(JOB_EVENT.name, number % 2, event.job_id.encode(), JOB_EVENT.encode(event))

    def _letters(self, number: int, look: Look) -> None:
        for path in look.failed:
            value = {"job_id": f"sync-{number}", "collection": "photos", "source": look.source, **named(path)}
            headers = [("job_id", b"sync-%d" % number), ("file_id", b"%d%b" % (number, os.fsencode(path)))]
            self._put(DEAD_LETTER, len(path) % 2, os.fsencode(path), orjson.dumps(value), headers)

    @staticmethod
    def events(number: int, look: Look) -> list[AnyJobEvent]:
        job_id, at = f"sync-{number}", START + number + look.clock
        of: dict[str, Any] = {"job_id": job_id, "at": at}
        sweep = Sweep(
            job_id=job_id, walk_id="walk", source=look.source, collection="photos", folder=FOLDER,
            touched=look.touched, away=[f"{FOLDER}/link"] if look.away else [],
        )  # fmt: skip
        bad = look.failed + look.unreadable
        files = [
            events.FileOutcome(file_id=repr(path), outcome="failed" if path in bad else "stored", **named(path))
            for path in look.fine + bad
        ]
        asked = {**of, "collection": "photos", "sources": look.touched or [FOLDER], "source": look.source}
        return [
            events.Queued(**asked),
            events.Scanning(**asked, walk_id="walk"),
            events.Outcomes(**of, collection="photos", files=files, walk_id="walk"),
            removal_event.Sweeping(**of, sweep=sweep, pictures=10),
            *([removal_event.Guarded(**of, code="empty", reason="it is empty")] if look.guarded else []),
            *(event.model_copy(update=of) for event in sealed()),
            *(
                removal_event.Swept(**of, partition=one, partitions=2, unread=look.unread, departed=20 * look.held)
                for one in (0, 1)
            ),
            *(
                removal_event.Tallied(**of, partition=one, moved=0, gone=20, replaced=0, excluded=0, lost=20)
                for one in (0, 1)
                if look.held
            ),
            *(
                removal_event.LeftAll(**of, round=1, sent_from=one, partition=other)
                for one in (0, 1)
                for other in (0, 1)
                if look.held
            ),
        ]

    def open(self, order: Iterable[int] = ()) -> list[tuple[str, str]]:
        """Read one message after the other, each from the partition of that number, then what is left.

        Return job and path of the letters that are open.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        writing.ensure_schema(connection)
        rest = [list(messages) for messages in self.partitions.values()]
        for number in order:
            rest = [messages for messages in rest if messages]
            if rest:
                writing.write(connection, [rest[number % len(rest)].pop(0)])
        for messages in rest:
            writing.write(connection, messages)
        wanted = dead_letters.DeadLetterFilter(state="open")
        rows, _ = dead_letters.find(connection, wanted, limit=100, cursor=None)
        return sorted((row.job_id, row.path) for row in rows)


def named(path: str) -> dict[str, Any]:
    """Return the fields of a message that say which file it is about."""
    shown, path_b64 = to_wire(os.fsencode(path))
    return {"path": shown} | ({} if path_b64 is None else {"path_b64": path_b64})


A, B, IN = f"{FOLDER}/a.jpg", f"{FOLDER}/bb.jpg", f"{FOLDER}/in/c.jpg"


def test_a_file_that_is_mended_replaced_or_gone_leaves_no_open_letter() -> None:
    assert Log(Look(failed=[A, B, IN])).open() == [("sync-0", A), ("sync-0", B), ("sync-0", IN)]
    assert Log(Look(failed=[A, B, IN]), Look(fine=[A], failed=[IN])).open() == [("sync-1", IN)]
    # A folder that lies elsewhere now, or was never looked at.
    assert Log(Look(failed=["/other/a.jpg", f"{FOLDER}s/a.jpg"]), Look()).open() == [
        ("sync-0", "/other/a.jpg"), ("sync-0", f"{FOLDER}s/a.jpg"),
    ]  # fmt: skip


def test_a_look_that_did_not_try_it_again_closes_nothing() -> None:
    before = Look(failed=[IN])
    for after in (
        Look(guarded=True),
        Look(unread=1),
        Look(away=True),
        Look(away=True, held=True),
        Look(source="other"),
        Look(touched=[A]),
        Look(unreadable=[IN]),
        Look(unreadable=[f"{FOLDER}/in"]),
        Look(unreadable=[FOLDER]),
    ):
        assert Log(before, after).open() == [("sync-0", IN)], after
    for after in (
        Look(held=True),
        Look(touched=[f"{FOLDER}/in"]),
        Look(touched=[A, IN]),
        Look(unreadable=[f"{FOLDER}/i"]),
    ):
        assert Log(before, after).open() == [], after


def test_a_look_that_fails_on_a_file_that_is_shown_alike_closes_the_letter() -> None:
    raw, text = f"{FOLDER}/\udcff.jpg", f"{FOLDER}/\\xff.jpg"
    for mended, other in ((raw, text), (text, raw)):
        assert Log(Look(failed=[mended]), Look(fine=[mended], unreadable=[other])).open() == []
        assert Log(Look(failed=[mended]), Look(fine=[other], unreadable=[mended])).open() == [("sync-0", text)]


def test_an_older_look_says_nothing_of_a_newer_one() -> None:
    assert Log(Look(fine=[A]), Look(failed=[A])).open() == [("sync-1", A)]


def test_no_clock_of_a_worker_says_which_look_is_the_newer() -> None:
    for clock in (1e9, -1e9):
        assert Log(Look(fine=[A], clock=clock), Look(failed=[A])).open() == [("sync-1", A)]
        assert Log(Look(fine=[A]), Look(failed=[A], clock=clock)).open() == [("sync-1", A)]
        assert Log(Look(failed=[A], clock=clock), Look(fine=[A])).open() == []
        assert Log(Look(failed=[A]), Look(fine=[A], clock=clock)).open() == []


def test_a_letter_that_comes_behind_a_look_is_not_closed_by_it() -> None:
    assert Log(Look(failed=[A], late=True), Look(fine=[A])).open() == [("sync-0", A)]


def test_a_look_of_which_the_files_are_known_no_more_closes_nothing() -> None:
    log = Log(Look(failed=[A]))
    job = Ledger(*Log.events(1, Look(unreadable=[A])))
    status = job.status.model_copy(update={"job_id": "sync-1", "offset": 100})
    # Kafka has deleted its events, and has its last status, which was published once more.
    log.partitions[JOB_STATUS.name, 0] = [
        Message(JOB_STATUS.name, 0, 0, b"sync-1", JOB_STATUS.encode(status), [], START + 100)
    ]
    assert status.status == "completed_with_errors"
    assert status.removals is not None
    assert status.removals.state == "none"
    assert log.open() == [("sync-0", A)]


def test_many_looks_that_read_nothing_of_it_hide_no_look_that_did() -> None:
    looks = [Look(failed=[A]), Look(fine=[A]), *(Look(touched=[B]) for _ in range(60))]
    log = Log(*looks)
    assert log.open([number for number, (topic, _) in enumerate(log.partitions) if topic == JOB_EVENT.name] * 999) == []


PATHS = st.lists(st.sampled_from([A, B, IN, f"{FOLDER}/in/sub/d.jpg", "/other/e.jpg"]), max_size=3, unique=True)
LOOKS = st.builds(
    Look,
    failed=PATHS,
    unreadable=st.lists(st.sampled_from([A, f"{FOLDER}/in"]), max_size=1),
    touched=st.one_of(st.just([]), st.lists(st.sampled_from([A, f"{FOLDER}/in"]), min_size=1, max_size=2, unique=True)),
    guarded=st.booleans(),
    unread=st.integers(0, 1),
    held=st.booleans(),
    source=st.sampled_from(["home", "home", "work"]),
    clock=st.sampled_from([0.0, 0.0, 1e6, -1e6]),
)


@given(st.lists(LOOKS, max_size=6), st.lists(st.integers(0, 3), max_size=120))
@example([Look(failed=[A]), Look(fine=[A])], [1] * 30)
def test_the_order_in_which_topics_are_read_decides_nothing(looks: list[Look], order: list[int]) -> None:
    newest = {(look.source, path): number for number, look in enumerate(looks) for path in look.failed}

    def is_open(path: str, source: str, number: int) -> bool:
        return not any(
            look.source == source
            and look.is_whole
            and any(path == place or path.startswith(f"{place}/") for place in look.touched or [FOLDER])
            and not any(path == bad or path.startswith(f"{bad}/") for bad in look.failed + look.unreadable)
            for look in looks[number + 1 :]
        )

    expected = [(f"sync-{number}", path) for (source, path), number in newest.items() if is_open(path, source, number)]
    assert Log(*looks).open(order) == sorted(expected)
