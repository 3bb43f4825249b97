"""What the watchdog decides: which stages and jobs stand still, and which files begin again."""

from dataclasses import replace
from typing import Any

import pytest

from api.system.watchdog import Watchdog
from core.settings import STAGES, Settings, Stage
from gateways.kafka.transactions import OpenTransaction
from rules.watchdog import (
    RESTARTS,
    JobSample,
    Position,
    Sample,
    StageSample,
    SyncSample,
    is_to_be_asked_again,
    is_to_be_closed,
    is_to_be_restarted,
    is_to_be_walked_again,
    stall,
    stuck_stages,
)

LIMIT = 30.0
IDLE = JobSample(
    idle_seconds=31, seen=9, unfinished=4, walk_begun=False, sealed=True, is_held=False, stalled=None, restarts=0
)
DONE = {"unfinished": 0}


def job(**differs: Any) -> JobSample:
    return replace(IDLE, **differs)


def test_a_transaction_that_hides_messages_is_why_an_idle_job_stands_still() -> None:
    """What it holds is no lag: the files would be taken for lost."""
    assert stall(job(unfinished=3), look(), {}, after_seconds=LIMIT, held="held by X") == "held by X"
    assert stall(job(idle_seconds=1), look(), {}, after_seconds=LIMIT, held="held by X") is None
    assert stall(job(is_held=True), look(), {}, after_seconds=LIMIT, held="held by X") is None


def test_a_transaction_is_named_on_whatever_topic_but_only_some_hide_files() -> None:
    nobody: Any = None
    watchdog = Watchdog(Settings(), nobody, nobody)
    watched = {part.topic for part in watchdog._everywhere}
    assert watched >= {"raw-path", "job-status", "dead-letter", "darkroom-prepare-known_images-changelog"}
    for topic, is_hidden in (("job-status", False), ("raw-path", True)):
        for now in (100.0, 200.0):
            watchdog._note_held([OpenTransaction(topic, 0, 1, "t", since=10.0)], now=now)
        assert f"'t', open since 1970-01-01T00:00:10+00:00, holds {topic}" in (watchdog.problem or "")
        assert (watchdog._hidden is not None) == is_hidden


def test_how_long_one_is_open_is_told_by_one_clock() -> None:
    """The clock of the broker says when it began: an hour ahead of it, each one would be open for long."""
    nobody: Any = None
    watchdog = Watchdog(Settings(), nobody, nobody)
    for number in range(4):  # of a producer that commits again and again
        watchdog._note_held([OpenTransaction("raw-path", 0, 1, "t", since=10.0 + number)], now=100.0 + 20 * number)
        assert watchdog.problem is None


def look(*, dead: tuple[Stage, ...] = (), **read: Any) -> Sample:
    """Return a sample: by stage and partition the committed and the end offset. Partitions not named are read."""
    return {
        stage: StageSample(
            has_workers=stage not in dead,
            positions=tuple(Position("topic", number, *read.get(stage, {}).get(number, (7, 7))) for number in range(4)),
        )
        for stage in STAGES
    }


class TestStages:
    def test_one_that_reads_nothing_of_a_partition_is_stuck_and_the_partition_is_named(self) -> None:
        stuck = stuck_stages(
            look(prepare={1: (5, 9), 3: (10, 120)}), look(prepare={1: (8, 9), 3: (10, 130)}), waiting=[]
        )
        assert {stage: str(why) for stage, why in stuck.items()} == {
            "prepare": "prepare does not move on partition 3: 120 messages wait"
        }

    @pytest.mark.parametrize(
        ("before", "now"),
        [({1: (5, 9)}, {1: (6, 90)}), ({}, {1: (5, 9)}), ({1: (5, 9)}, {1: (9, 9)}), ({}, {})],
        ids=["slow", "new work", "done", "idle"],
    )
    def test_one_that_works_or_has_nothing_to_do_is_not(
        self, before: dict[int, tuple[int, int]], now: dict[int, tuple[int, int]]
    ) -> None:
        assert stuck_stages(look(embed=before), look(embed=now), waiting=[]) == {}

    def test_one_without_a_worker_is_stuck_only_while_messages_wait(self) -> None:
        dead = look(dead=("store", "hash"), store={0: (3, 4)})
        stuck = stuck_stages(dead, dead, waiting=[])
        assert {stage: str(why) for stage, why in stuck.items()} == {
            "store": "stage store has no worker: 1 message waits"
        }

    def test_one_whose_worker_has_just_come_is_given_time(self) -> None:
        assert stuck_stages(look(dead=("scan",), scan={0: (3, 4)}), look(scan={0: (3, 4)}), waiting=[]) == {}

    def test_one_that_waits_for_a_service_is_not_stuck_but_without_a_worker_nobody_waits(self) -> None:
        rests = look(embed={0: (3, 9)})
        assert stuck_stages(rests, rests, waiting=["embed"]) == {}
        dead = look(dead=("embed",), embed={0: (3, 9)})
        assert list(stuck_stages(dead, dead, waiting=["embed"])) == ["embed"]

    def test_a_long_walk_is_no_stuck_scan(self) -> None:
        walks = look(scan={0: (3, 4)})
        assert stuck_stages(walks, walks, waiting=[]) == {}


def why(sampled: JobSample, before: Sample, now: Sample | None = None) -> str | None:
    now = now or before
    return stall(sampled, now, stuck_stages(before, now, waiting=[]), after_seconds=LIMIT)


class TestJobs:
    def test_without_an_end_marker(self) -> None:
        assert why(job(**DONE, sealed=False), look()) == "no end marker"

    def test_behind_a_stuck_stage_the_first_is_named(self) -> None:
        dead = look(dead=("prepare", "store"), prepare={0: (0, 9)}, store={0: (0, 9)})
        assert why(job(), dead) == "stage prepare has no worker: 9 messages wait"

    def test_more_messages_are_no_news(self) -> None:
        told = "embed does not move on partition 2: 4 messages wait"
        rests = look(embed={2: (5, 90)})
        assert why(job(stalled=told), rests) == told
        assert why(job(stalled="no end marker"), rests) == "embed does not move on partition 2: 85 messages wait"

    def test_files_that_are_lost(self) -> None:
        assert why(job(), look()) == "4 files have no outcome, and no message about them is left"
        assert why(job(restarts=RESTARTS), look()) == (
            f"4 files have no outcome after {RESTARTS} restarts, and no message about them is left"
        )

    def test_files_that_were_never_seen(self) -> None:
        assert why(job(**DONE, missing=7), look()) == "7 files were published and not seen"
        assert "4 files have no outcome" in (why(job(missing=7), look()) or "")
        assert why(job(**DONE, missing=7, walks_again=1), look(hash={0: (3, 9)}), look(hash={0: (5, 9)})) is None

    def test_files_that_are_lost_while_the_scan_waits_for_them(self) -> None:
        assert "4 files" in (why(job(sealed=False, walk_begun=True), look(scan={0: (3, 4)})) or "")

    def test_a_scan_that_hangs(self) -> None:
        walks = look(scan={0: (3, 4)})
        assert why(job(**DONE, sealed=False, walk_begun=True), walks) == "the scan has found no further file for 30 s"

    @pytest.mark.parametrize("differs", [{"is_held": True}, {"idle_seconds": 29}], ids=["held", "just moved"])
    def test_one_that_is_paused_or_waits_or_moves_is_not(self, differs: dict[str, object]) -> None:
        dead = look(dead=("hash",), hash={0: (0, 9)})
        assert why(job(**differs), dead) is None

    def test_one_that_waits_for_its_turn_is_not(self) -> None:
        assert why(job(), look(embed={0: (1, 9)}), look(embed={0: (5, 9)})) is None
        assert why(job(seen=0, **DONE, sealed=False), look(scan={0: (3, 4)})) is None

    def test_a_stage_that_it_has_left_behind_is_none_of_its_business(self) -> None:
        dead = look(dead=("store",), store={0: (0, 9)})
        assert why(job(**DONE, sealed=False), dead) == "no end marker"

    def test_what_was_said_stays_until_something_moves(self) -> None:
        assert why(job(idle_seconds=3, stalled="no end marker"), look()) == "no end marker"
        assert why(job(stalled="no end marker"), look(hash={0: (0, 9)}), look(hash={0: (4, 9)})) is None


def restarts(sampled: JobSample, now: Sample) -> bool:
    return is_to_be_restarted(sampled, now, after_seconds=LIMIT)


class TestRestarts:
    @pytest.mark.parametrize("sealed", [True, False])
    def test_an_idle_job_with_nothing_on_its_way(self, sealed: bool) -> None:
        assert restarts(job(sealed=sealed), look())
        assert restarts(job(sealed=sealed, walk_begun=True), look(scan={0: (3, 4)}))

    @pytest.mark.parametrize(
        "differs", [{"is_held": True}, {"idle_seconds": 29}, DONE, {"restarts": RESTARTS, "idle_seconds": 1e9}]
    )
    def test_no_other(self, differs: dict[str, object]) -> None:
        assert not restarts(job(**differs), look())

    @pytest.mark.parametrize("stage", ["hash", "prepare", "embed", "store", "track"])
    def test_not_while_any_stage_has_messages(self, stage: Stage) -> None:
        behind = StageSample(has_workers=True, positions=(Position("topic", 1, 6, 7),))
        assert not restarts(job(), {**look(), stage: behind})

    def test_those_of_a_cancelled_job_as_often_as_it_takes(self) -> None:
        assert restarts(job(cancelled=True, restarts=RESTARTS), look())
        assert not restarts(job(cancelled=True, restarts=RESTARTS, idle_seconds=29), look())

    def test_each_pause_is_twice_as_long(self) -> None:
        assert not restarts(job(restarts=1, idle_seconds=59), look())
        assert restarts(job(restarts=1, idle_seconds=60), look())
        assert not restarts(job(restarts=2, idle_seconds=119), look())


LOST = DONE | {"missing": 7}
UNENDED = DONE | {"sealed": False, "walk_begun": True}


def walks_again(sampled: JobSample, now: Sample) -> bool:
    return is_to_be_walked_again(sampled, now, after_seconds=LIMIT)


class TestWalksAgain:
    @pytest.mark.parametrize("lost", [LOST, UNENDED], ids=["files", "end markers"])
    def test_an_idle_job_of_which_something_never_came(self, lost: dict[str, Any]) -> None:
        assert walks_again(job(**lost), look())
        assert walks_again(job(**lost | {"unfinished": 1, "restarts": RESTARTS}), look())

    @pytest.mark.parametrize("lost", [LOST, UNENDED], ids=["files", "end markers"])
    @pytest.mark.parametrize(
        "differs",
        [{"is_held": True}, {"idle_seconds": 29}, {"walks_again": 1}, {"unfinished": 1}, {"cancelled": True}],
        ids=str,
    )
    def test_no_other(self, lost: dict[str, Any], differs: dict[str, Any]) -> None:
        assert not walks_again(job(**lost | differs), look())

    def test_not_where_all_came_or_a_program_publishes(self) -> None:
        assert not walks_again(job(**DONE), look())
        assert not walks_again(job(**DONE, sealed=False), look())

    def test_not_while_anything_is_on_its_way_or_the_walk_may_go_on(self) -> None:
        assert not walks_again(job(**LOST), look(hash={0: (3, 4)}))
        assert not walks_again(job(**UNENDED), look(scan={0: (3, 4)}))
        assert walks_again(job(**LOST), look(scan={0: (3, 4)})), "the walk has ended: that is another job's"


class TestCloses:
    def test_a_cancelled_job_whose_end_markers_never_came(self) -> None:
        assert is_to_be_closed(job(**UNENDED, cancelled=True), look(), after_seconds=LIMIT)

    @pytest.mark.parametrize("differs", [{"cancelled": False}, {"sealed": True}, {"idle_seconds": 29}], ids=str)
    def test_no_other(self, differs: dict[str, Any]) -> None:
        assert not is_to_be_closed(job(**UNENDED | {"cancelled": True} | differs), look(), after_seconds=LIMIT)

    def test_not_while_the_scan_may_go_on(self) -> None:
        assert not is_to_be_closed(job(**UNENDED, cancelled=True), look(scan={0: (3, 4)}), after_seconds=LIMIT)


@pytest.mark.parametrize(
    ("sync", "before", "now", "again"),
    [
        (SyncSample(31, 0), look(), look(), True),
        (SyncSample(31, 0), None, look(), False),
        (SyncSample(29, 0), look(), look(), False),
        (SyncSample(31, 0), look(prepare={0: (6, 7)}), look(), False),  # it moved on in between
        (SyncSample(31, 0), look(), look(hash={0: (6, 7)}), False),
        (SyncSample(31, 0), look(), look(embed={0: (6, 7)}), True),  # of another job: nothing of a removal comes there
        (SyncSample(31, 1), look(), look(), False),
        (SyncSample(61, 1), look(), look(), True),
    ],
)
def test_what_a_sync_waits_for_is_asked_again_where_nothing_is_on_its_way(
    sync: SyncSample, before: Sample | None, now: Sample, again: bool
) -> None:
    assert is_to_be_asked_again(sync, before, now, after_seconds=LIMIT) == again
