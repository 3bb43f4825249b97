"""The end of a claim: those that waited for it are sent on or failed, and only then forgotten."""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agents.prepare.cases import Case
from agents.prepare.claims import ClaimKeeper
from agents.prepare.departing import DepartureKeeper
from agents.prepare.effects import Executor
from agents.prepare.erasing import ErasureKeeper
from agents.prepare.sweeps import Sweeper
from rules.claims.claim import Claim, scope
from rules.claims.effects import Decode, PutWaiter, Send
from rules.claims.ending import WAITERS_AT_ONCE
from rules.claims.events import Arrived, File
from streams.item import Item
from tables.departures import Departures
from tables.erasures import Erasures
from tables.known_images import ContentKey, KnownImages
from topics.content import Content
from topics.db_write import DB_WRITE
from topics.erasure import Erased
from topics.hashed_file import HashedFile
from topics.image_outcome import (
    IMAGE_OUTCOME,
    AnyImageOutcome,
    ClaimsCleared,
    Embedded,
    FailedContent,
    FailedFile,
    Forgotten,
    JobCancelled,
    Stored,
)
from topics.record import Headers

CONTENT = Content.model_validate(
    {
        "vector": [1.0],
        "thumbnail_base64": "",
        "metadata": {"width": 1, "height": 1, "format": "PNG", "mode": "RGB", "file_size": 1},
    }
)


class Delivery:
    """What is sent; `log` tells when it is delivered."""

    def __init__(self, log: list[str], what: str) -> None:
        self._log = log
        self._what = what

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        self._log.append(self._what)


class Rows(dict[bytes, bytes]):
    """A table without Kafka; it notes what is deleted."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self._log = log
        self.seeks = self.looked_at = 0

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [*map(self.get, keys)]

    def put(self, key: bytes, value: bytes) -> Delivery:
        self[key] = value
        return Delivery(self._log, "row")

    def put_together(self, _key: bytes, rows: dict[bytes, bytes]) -> Delivery:
        self.update(rows)
        return Delivery(self._log, "row")

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        self.seeks += 1
        for key in sorted(self):
            if key.startswith(prefix) and key > after:
                self.looked_at += 1
                yield key, self[key]

    def delete(self, key: bytes) -> Delivery:
        self._log.append("deleted")
        self.pop(key, None)
        return Delivery(self._log, "row")


class Stage:
    """The part of a stage that ends claims, and of the decoder and the window that it uses."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.offsets = itertools.count()
        self.rows = Rows(self.log)
        self.images = KnownImages(self.rows)  # type: ignore[arg-type]
        self.written: list[tuple[str, str, str]] = []  # job, path, outcome
        self.flushed: list[tuple[str, str]] = []  # topic, job
        self.failed: list[tuple[str, str]] = []  # path, reason
        self.decoded: list[str] = []
        self.skipped: list[str] = []
        self.cancelled: set[str] = set()
        self.until_killed = False
        self.told: deque[bytes] = deque()  # messages of prepare to itself
        self.services = SimpleNamespace(
            jobs=SimpleNamespace(is_cancelled=lambda job_id: job_id in self.cancelled),
            settings=SimpleNamespace(kafka_partitions=1),
        )
        departures = DepartureKeeper(self, Departures(self.rows), Erasures(self.rows), None)  # type: ignore[arg-type]
        left: Any = {"departures": departures, "erasures": ErasureKeeper(self, self.images, Erasures(self.rows), None)}  # type: ignore[arg-type]
        self.executor = Executor(self, self.images, self, None, **left)  # type: ignore[arg-type]
        sweeper = Sweeper(self, self.images, self.executor)  # type: ignore[arg-type]
        self.keeper = ClaimKeeper(self, self.images, self.executor, sweeper, **left)  # type: ignore[arg-type]

    async def send_files(self, topic: Any, files: Any) -> None:
        assert topic is DB_WRITE
        self.written += [(record.job_id, record.path, record.outcome) for _, record, _ in files]
        for _ in files:
            await Delivery(self.log, "write")

    async def send(self, topic: Any, _key: str, record: Any, _headers: Any, partition: int) -> Delivery:
        assert (topic.name, partition) == (IMAGE_OUTCOME.name, 3)
        self.told.append(topic.encode(record))
        return Delivery(self.log, "told")

    async def send_raw(self, topic: str, key: bytes, value: None, headers: Any, partition: int) -> Delivery:
        assert value is None
        self.flushed.append((topic, key.decode()))
        return Delivery(self.log, "flush")

    async def fail(self, item: Item[Any], error: Exception) -> None:
        self.failed.append((item.record.path, str(error)))
        await Delivery(self.log, "failed")

    async def finish(self, file: HashedFile, outcome: str, headers: Any, *, reason: str, sha256: str) -> None:
        assert (outcome, reason, sha256) == ("skipped", "job cancelled", file.sha256)
        self.skipped.append(file.path)
        await Delivery(self.log, "skipped")

    async def decode(self, item: Item[Any]) -> None:
        self.decoded.append(item.record.path)

    def handed_on(self, file: HashedFile, headers: Any) -> None: ...

    async def add(self, event: Any, work: Any, settle: Any = None, permits: Any = None) -> None:
        """Do as a window does; `until_killed` says that a kill comes before the work is done."""
        if self.until_killed:
            work.close()
            return
        await work
        if settle is not None:
            await asyncio.gather(*settle(None))

    async def take(self, outcome: AnyImageOutcome, *, until_killed: bool = False) -> None:
        """Take an outcome, and what prepare tells itself because of it."""
        self.until_killed = until_killed
        self.told.append(IMAGE_OUTCOME.encode(outcome))
        while self.told:
            await self.take_next()

    async def take_next(self) -> None:
        event: Any = SimpleNamespace(message=SimpleNamespace(partition=3, headers=[]))
        await self.keeper.take([Item(event, IMAGE_OUTCOME.decode(self.told.popleft()), Headers())], self)  # type: ignore[arg-type]

    def arrive(self, file: HashedFile) -> str:
        """Decide on a file as prepare does; return the decision."""
        number = next(self.offsets)
        item: Any = Item(None, file, Headers())  # type: ignore[arg-type]
        arrived = Arrived(File(number, file.file_id, scope(file)))
        effects = self.executor.decide(Case(item.event, file, {number: item}), arrived).effects
        match effects.work:
            case (Decode(),):
                return "embed"
            case (Send(((_, outcome),)),):
                return f"write {outcome}"
        assert any(isinstance(row, PutWaiter) for row in effects.rows)
        return "wait"

    def claim(self) -> Claim | None:
        return self.images.claim(file("any"))

    def waiting(self) -> int:
        return sum(key.startswith(b"w|") for key in self.rows)


def file(path: str, job: str = "j1", sha256: str = "0" * 64, collection: str = "c") -> HashedFile:
    return HashedFile(
        job_id=job, collection=collection, path=f"/{path}", size=1, mtime_ns=1, model_id="m|x", sha256=sha256
    )


def fields(of: HashedFile) -> dict[str, Any]:
    return of.model_dump()


def embedded(of: HashedFile) -> Embedded:
    return Embedded(**fields(of), content=CONTENT)


def unusable(of: HashedFile) -> FailedContent:
    return FailedContent(**fields(of), stage="prepare", error_class="ContentError", reason="no picture")


def vanished(of: HashedFile) -> FailedFile:
    return FailedFile(**fields(of), reason="it vanished")


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_those_that_waited_go_to_qdrant_and_the_content_is_known(stage: Stage) -> None:
    arrived = [stage.arrive(f) for f in (file("a"), file("b"), file("a", "j2"), file("b", "j2"))]
    assert arrived == ["embed", "wait", "wait", "wait"]
    await stage.take(embedded(file("a")))
    assert stage.written == [("j1", "/b", "duplicate"), ("j2", "/a", "cached"), ("j2", "/b", "duplicate")]
    assert set(stage.flushed) == {("db-write", "j1"), ("db-write", "j2")}
    assert stage.images.content(file("any")) == CONTENT
    assert stage.waiting() == 0
    # Each job knows its first file: a further copy is a duplicate, the first one seen again is what it was.
    assert stage.arrive(file("c", "j2")) == "write duplicate"
    assert stage.arrive(file("a", "j2")) == "write cached"
    assert stage.arrive(file("a", "j3")) == "write cached"


async def test_a_stored_point_says_both_that_ml_answered_and_that_its_path_is_there(stage: Stage) -> None:
    stage.arrive(file("a"))
    stage.arrive(file("b"))
    await stage.take(Stored(**fields(file("a")), incarnation="i1", content=CONTENT))
    assert stage.written == [("j1", "/b", "duplicate")]
    assert stage.images.content(file("any")) == CONTENT
    assert stage.images.is_confirmed(file("a"), "i1")
    assert stage.waiting() == 0


async def test_effects_are_delivered_before_the_rows_of_waiters_go(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(embedded(file("a")))
    assert stage.log.index("deleted") > max(n for n, what in enumerate(stage.log) if what in {"write", "flush"})


async def test_of_very_many_that_waited_one_in_a_job_is_cached(stage: Stage) -> None:
    stage.arrive(file("a"))
    for number in range(2 * WAITERS_AT_ONCE + 5):
        stage.arrive(file(str(number), "j2"))
    await stage.take(embedded(file("a")))
    outcomes = [outcome for _, _, outcome in stage.written]
    assert (outcomes.count("cached"), outcomes.count("duplicate")) == (1, 2 * WAITERS_AT_ONCE + 4)
    assert stage.waiting() == 0
    # In steps, none of which looks again at those that went on before.
    assert stage.rows.looked_at < 2 * (2 * WAITERS_AT_ONCE + 5)


async def test_while_very_many_go_on_other_contents_do_too(stage: Stage) -> None:
    stage.arrive(file("a"))
    for number in range(3 * WAITERS_AT_ONCE):
        stage.arrive(file(str(number)))
    stage.arrive(file("b", sha256="1" * 64))
    stage.arrive(file("c", sha256="1" * 64))
    stage.told.append(IMAGE_OUTCOME.encode(embedded(file("a"))))
    await stage.take_next()
    assert len(stage.written) == WAITERS_AT_ONCE
    # One that comes now waits no more.
    assert stage.arrive(file("d")) == "write duplicate"
    await stage.take(embedded(file("b", sha256="1" * 64)))
    assert stage.written[2 * WAITERS_AT_ONCE - 1 :].index(("j1", "/c", "duplicate")) < WAITERS_AT_ONCE
    assert (len(stage.written), stage.waiting()) == (3 * WAITERS_AT_ONCE + 1, 0)


async def test_of_very_many_that_fail_with_their_content_each_fails_once(stage: Stage) -> None:
    stage.arrive(file("a"))
    for number in range(2 * WAITERS_AT_ONCE + 5):
        stage.arrive(file(str(number)))
    stage.told.append(IMAGE_OUTCOME.encode(unusable(file("a"))))
    await stage.take_next()
    assert len(stage.failed) == WAITERS_AT_ONCE
    assert stage.arrive(file("late")) == "wait"
    while stage.told:
        await stage.take_next()
    assert len({path for path, _ in stage.failed}) == len(stage.failed) == 2 * WAITERS_AT_ONCE + 6
    assert dict(stage.rows) == {}


async def test_a_promotion_that_a_kill_cut_off_is_made_again(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(vanished(file("a")), until_killed=True)
    assert stage.decoded == []
    await stage.take(vanished(file("a")))
    claim = stage.claim()
    assert claim is not None
    assert (stage.decoded, claim.owner, claim.promoted, stage.waiting()) == (["/b"], file("b").file_id, None, 1)
    await stage.take(vanished(file("a")))
    assert stage.decoded == ["/b"]


async def test_one_whose_promotion_a_kill_cut_off_goes_on_where_ml_has_answered_meanwhile(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(vanished(file("a")), until_killed=True)
    await stage.take(embedded(file("x")))
    assert stage.written == [("j1", "/c", "duplicate")]
    await stage.take(vanished(file("a")))
    assert (stage.decoded, stage.written[1:], stage.waiting()) == ([], [("j1", "/b", "cached")], 0)


async def test_one_that_was_promoted_and_vanished_too_is_followed_by_the_next(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(vanished(file("a")), until_killed=True)
    await stage.take(vanished(file("b")))
    assert (stage.decoded, stage.waiting()) == (["/c"], 0)


async def test_files_of_a_cancelled_job_wait_no_longer(stage: Stage) -> None:
    for number in range(2):
        stage.arrive(file("a", sha256=str(number) * 64))
        for name in "bc":
            stage.arrive(file(name, "j2", sha256=str(number) * 64))
            stage.arrive(file(name, "j3", sha256=str(number) * 64))
    await stage.take(JobCancelled(job_id="j2"))
    assert stage.skipped == []  # it is not known here yet
    stage.cancelled.add("j2")
    await stage.take(JobCancelled(job_id="j2"))
    assert stage.skipped == ["/b", "/c"] * 2
    assert stage.waiting() == 4
    await stage.take(embedded(file("a")))
    assert {job for job, _, _ in stage.written} == {"j3"}


@pytest.mark.parametrize("end", [embedded, unusable, vanished])
async def test_a_file_of_a_cancelled_job_is_neither_sent_on_nor_failed_nor_promoted(stage: Stage, end: Any) -> None:
    stage.arrive(file("a"))
    stage.arrive(file("b", "j2"))
    stage.cancelled.add("j2")
    await stage.take(end(file("a")))
    assert (stage.written, stage.failed, stage.decoded) == ([], [], [])
    await stage.take(JobCancelled(job_id="j2"))
    assert (stage.skipped, stage.waiting()) == (["/b"], 0)


async def test_all_claims_of_a_collection_can_be_cleared_and_who_waits_takes_over(stage: Stage) -> None:
    stage.arrive(file("a"))
    stage.arrive(file("b", "j2"))
    stage.arrive(file("alone", sha256="1" * 64))
    stage.arrive(file("elsewhere", sha256="2" * 64, collection="other"))
    stage.arrive(file("known", sha256="3" * 64))
    await stage.take(embedded(file("known", sha256="3" * 64)))
    before = {key: row for key, row in stage.rows.items() if key[2:3] in b"23"}
    await stage.take(ClaimsCleared(collection="c"))
    claim = stage.claim()
    assert claim is not None
    assert (stage.decoded, claim.owner) == (["/b"], file("b", "j2").file_id)
    assert stage.arrive(file("alone again", sha256="1" * 64)) == "embed"
    assert {key: row for key, row in stage.rows.items() if key[2:3] in b"23"} == before


async def test_an_answer_that_comes_again_changes_nothing(stage: Stage) -> None:
    stage.arrive(file("a"))
    stage.arrive(file("b"))
    await stage.take(embedded(file("a")))
    claim, written = stage.claim(), list(stage.written)
    await stage.take(embedded(file("a")))
    assert (stage.claim(), stage.written) == (claim, written)


async def test_an_answer_nobody_asked_for_is_kept(stage: Stage) -> None:
    await stage.take(embedded(file("a")))
    assert stage.images.content(file("any")) == CONTENT
    assert stage.arrive(file("a")) == "write cached"
    assert stage.arrive(file("b")) == "write duplicate"


async def test_a_content_that_cannot_be_used_fails_all_that_waited(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(unusable(file("a")))
    assert [path for path, _ in stage.failed] == ["/b", "/c"]
    assert "the same as that of /a, cannot be used: no picture" in stage.failed[0][1]
    assert stage.log.index("deleted") > max(n for n, what in enumerate(stage.log) if what == "failed")
    assert dict(stage.rows) == {}
    assert stage.arrive(file("b")) == "embed"


async def test_a_file_that_cannot_be_used_makes_the_next_one_the_owner(stage: Stage) -> None:
    for name in "abc":
        stage.arrive(file(name))
    await stage.take(vanished(file("a")))
    assert (stage.decoded, stage.flushed, stage.waiting()) == (["/b"], [("ml-request", "j1")], 1)
    claim = stage.claim()
    assert claim is not None
    assert (claim.owner, claim.firsts) == (file("b").file_id, {"j1/c": file("b").file_id})
    await stage.take(embedded(file("b")))
    assert stage.written == [("j1", "/c", "duplicate")]


async def test_the_job_of_a_file_that_cannot_be_used_gets_another_first_file(stage: Stage) -> None:
    for one in (file("a"), file("b", "j2"), file("c"), file("d")):
        stage.arrive(one)
    await stage.take(vanished(file("a")))
    assert stage.decoded == ["/b"]
    await stage.take(embedded(file("b", "j2")))
    assert stage.written == [("j1", "/c", "cached"), ("j1", "/d", "duplicate")]
    assert stage.arrive(file("e")) == "write duplicate"


async def test_a_claim_that_nobody_waits_for_is_dropped(stage: Stage) -> None:
    stage.arrive(file("a"))
    await stage.take(vanished(file("a")))
    assert stage.claim() is None


@pytest.mark.parametrize("outcome", [unusable, vanished])
async def test_only_the_owner_ends_a_claim_without_an_answer(stage: Stage, outcome: Any) -> None:
    for name in "abc":
        stage.arrive(file(name))
    claim = stage.claim()
    await stage.take(outcome(file("b")))
    assert (stage.claim(), stage.failed, stage.decoded, stage.waiting()) == (claim, [], [], 2)


async def test_a_content_that_is_forgotten_is_new_but_not_while_it_is_embedded(stage: Stage) -> None:
    owner = file("/a.jpg")
    stage.arrive(owner)
    before = stage.claim()
    await stage.take(Forgotten(**fields(owner)))
    assert stage.claim() == before
    await stage.take(embedded(owner))
    await stage.take(Forgotten(**fields(owner)))
    assert stage.claim() is None
    assert stage.images.content(owner) is None
    assert stage.arrive(file("/b.jpg")) == "embed"


async def test_what_qdrant_confirmed_is_known_by_path_and_incarnation(stage: Stage) -> None:
    await stage.take(Stored(**fields(file("a")), incarnation="first"))
    assert stage.images.is_confirmed(file("a", "another-job"), "first")
    assert not stage.images.is_confirmed(file("a"), "second")
    assert not stage.images.is_confirmed(file("b"), "first")


@pytest.mark.parametrize(("held", "leaving"), [(("m",), None), ((), "another")])
def test_a_content_that_others_hold_is_leaving_no_more(held: tuple[str, ...], leaving: str | None) -> None:
    stage, content = Stage(), ContentKey("a" * 64, "m")
    stage.services.settings.kafka_retention_hours = 1
    erasures = ErasureKeeper(stage, stage.images, Erasures(stage.rows), None)  # type: ignore[arg-type]
    stage.images.put_claim(content, Claim(owner=None, leaving=leaving or "c"))
    erased = Erased(sha256=content.sha256, collection="c", why="collection", at=1.0, is_gone=True, held=held)
    erasures._conclude(erased)
    assert stage.images.claim(content) == Claim(owner=None, leaving=leaving)
