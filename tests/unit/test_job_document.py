"""The status document: every field that http-contract names, and numbers that cannot contradict each other."""

from typing import Any

import pytest
from hypothesis import given

from rules.outcomes import OUTCOMES
from tables.job import Job
from tables.job_document import document
from tables.job_fold import apply, place
from tests.unit.ledger import (
    JOB,
    START,
    Ledger,
    asked,
    ended,
    left_out,
    moved,
    queued,
    scanning,
    sealed,
    seen,
    sent,
    waiting,
)
from tests.unit.test_job import stories
from topics import job_event as events
from topics import removal_event
from topics.job_status import FINISHED
from topics.sweep import Sweep

SIX = list("abcdef")


def test_every_field_of_a_job_that_is_done() -> None:
    ledger = Ledger(queued(), scanning(at=START + 1), seen(*SIX, at=START + 2))
    for number, (name, outcome) in enumerate(zip(SIX, OUTCOMES, strict=True)):
        ledger.tell(ended(outcome, name, at=START + 3 + number, reason="broken" if outcome == "failed" else None))
    ledger.tell(moved("hash", 6), moved("prepare", 4), moved("embed", 1), moved("store", 3), sent(1))
    ledger.tell(*sealed(at=START + 9))
    assert ledger.status.model_dump() == {
        "job_id": "job-1",
        "status": "completed_with_errors",
        "collection": "photos",
        "model_id": "m-1",
        "caption": True,
        "reread": False,
        "task": None,
        "source": None,
        "removals": None,
        "sources": ["/photos"],
        "sources_total": 1,
        "progress": 100.0,
        "total_files": 6,
        "total_known": True,
        "processed_files": 6,
        "cached_files": 3,
        "failed_files": 1,
        "missing_files": 0,
        "outcomes": dict.fromkeys(OUTCOMES, 1),
        "skipped_kinds": {"without extension": 1},
        "left_out": None,
        "stages": {
            "scan": {"done": 6, "in_flight": 0},
            "hash": {"done": 6, "in_flight": 0},
            "prepare": {"done": 4, "in_flight": 0},
            "embed": {"done": 1, "in_flight": 0},
            "store": {"done": 3, "in_flight": 0},
        },
        "rate": 1.0,
        "eta_seconds": None,
        "begun_time": "2023-11-14T22:13:20.000+00:00",
        "start_time": "2023-11-14T22:13:21.000+00:00",
        "end_time": "2023-11-14T22:13:29.000+00:00",
        "last_progress_at": "2023-11-14T22:13:29.000+00:00",
        "waiting_for": None,
        "stalled": None,
        "cancelling": False,
        "paused": False,
        "forgotten": False,
        "ml_images_sent": 1,
        "message": "Completed with errors: 1 stored, 1 cached, 1 duplicate, 1 unchanged, 1 skipped, 1 failed.",
        "logs": [
            "Queued for collection photos.",
            "Scan begun.",
            "/photos/f: failed: broken",
            "All files are known: 6.",
        ],
        "offset": 15,
    }


def test_a_job_that_is_queued() -> None:
    status = Ledger(queued()).status
    assert (status.status, status.message, status.progress, status.total_known) == ("queued", "Queued.", 0.0, False)
    assert (status.start_time, status.end_time) == ("2023-11-14T22:13:20.000+00:00", None)
    assert set(status.outcomes.model_dump()) == set(OUTCOMES)


def test_the_gauges_say_where_the_files_are() -> None:
    ledger = Ledger(scanning(), seen(*"abcdefghij"), moved("hash", 8), moved("prepare", 5), moved("embed", 4))
    ledger.tell(moved("store", 2), ended("stored", "a", "b"), ended("skipped", "c"))
    in_flight = {stage: gauge.in_flight for stage, gauge in ledger.status.stages.items()}
    assert in_flight == {"scan": 0, "hash": 2, "prepare": 3, "embed": 1, "store": 1}


def test_stages_that_tell_late_what_they_handed_on_change_no_job_that_is_over() -> None:
    """They tell it a moment later than store tells what became of the files."""
    ledger = Ledger(seen("a", "b", "c", "d"), ended("stored", "a", "b"), ended("unchanged", "c"), ended("failed", "d"))
    stages = ledger.tell(*sealed()).status.stages
    assert {stage: gauge.done for stage, gauge in stages.items()} == {
        "scan": 4, "hash": 3, "prepare": 2, "embed": 2, "store": 2,
    }  # fmt: skip
    ledger.tell(moved("hash", 4), moved("prepare", 3), moved("embed", 2), moved("store", 2))
    assert ledger.status.stages == stages


def test_progress_and_eta_wait_for_the_total() -> None:
    ledger = Ledger(scanning(), seen(*"abcdefghij"))
    ledger.tell(ended("stored", "a", at=START + 1), ended("stored", "b", at=START + 2))
    assert (ledger.status.progress, ledger.status.eta_seconds) == (0.0, None)
    ledger.tell(*sealed(at=START + 2))
    assert (ledger.status.progress, ledger.status.rate, ledger.status.eta_seconds) == (20.0, 1.0, 8.0)


def test_progress_is_not_rounded_to_the_end() -> None:
    names = [str(number) for number in range(3000)]
    ledger = Ledger(seen(*names), ended("stored", *names[1:]), *sealed())
    assert ledger.status.progress == 99.9
    assert ledger.tell(ended("stored", "0")).status.progress == 100.0


def test_what_it_waits_for_is_shown_until_the_end() -> None:
    ledger = Ledger(queued(), waiting("scan", "qdrant"))
    assert (ledger.status.waiting_for, ledger.status.message) == ("qdrant", "Waiting for qdrant.")
    ledger = Ledger(seen("a"), waiting("embed", "ml"))
    assert (ledger.status.waiting_for, ledger.status.message) == ("ml", "Waiting for ml.")
    ledger.tell(ended("stored", "a"), *sealed())
    assert (ledger.status.waiting_for, ledger.status.message) == (None, "Completed: 1 stored.")


def test_a_stall_is_shown_with_its_reason() -> None:
    ledger = Ledger(seen("a"))
    ledger.job.stalled = "no end marker"
    assert (ledger.status.stalled, ledger.status.message) == ("no end marker", "Stalled: no end marker")


def test_messages_of_ends() -> None:
    assert Ledger(*sealed()).status.message == "Completed: no files."
    assert Ledger(ended("skipped", "a"), asked("cancel")).status.message == "Cancelled: 1 skipped."


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (events.JobFailed(job_id=JOB, at=START, collection="photos", reason="There is no folder."), "the job failed"),
        (asked("cancel"), "the job was cancelled"),
    ],
    ids=["failed", "cancelled"],
)
def test_a_look_whose_walk_was_made_again_and_ended_so_is_over(ends: events.AnyJobEvent, reason: str) -> None:
    """A kill behind the whole walk had it begin again."""
    sweep = Sweep(job_id=JOB, walk_id="w1", source="home", collection="photos", folder="/photos")
    sweeping = removal_event.Sweeping(job_id=JOB, at=START, sweep=sweep, pictures=3)
    ledger = Ledger(queued(), scanning(), seen("a"), ended("unchanged", "a"), sweeping, scanning(), ends, *sealed())
    removals = ledger.status.removals
    assert removals is not None
    assert (removals.state, removals.reason) == ("guarded", reason)


@pytest.mark.parametrize("source", ["home", None])
def test_a_look_that_failed_has_removed_nothing_and_says_why(source: str | None) -> None:
    failed = events.JobFailed(job_id=JOB, at=START, collection="photos", reason="/photos does not exist.")
    status = Ledger(queued().model_copy(update={"source": source}), failed, *sealed()).status
    assert status.message == "/photos does not exist."
    guarded = None if status.removals is None else (status.removals.state, status.removals.reason)
    assert guarded == (None if source is None else ("guarded", "/photos does not exist"))


def test_since_when_is_told_by_kafkas_clock_whatever_those_of_workers_say() -> None:
    who: dict[str, Any] = {"job_id": JOB, "at": 4e9}
    sweep = Sweep(job_id=JOB, walk_id="walk", source="home", collection="photos", folder="/photos")
    told: list[tuple[events.AnyJobEvent, int | None]] = [
        (queued(at=4e9), None),
        (removal_event.Sweeping(**who, sweep=sweep, pictures=3), 1),
        (removal_event.Swept(**who, partition=0, partitions=1, departed=1), 2),
        (sent(1), 2),
        (removal_event.Tallied(**who, partition=0, moved=0, gone=1, replaced=0, excluded=0, lost=1), 4),
        *((event, 4) for event in sealed()),
        (removal_event.LeftAll(**who, round=1, sent_from=0, partition=0), 7),
        (events.Forget(**who), 7),
    ]
    job = Job(job_id=JOB)
    for second, (event, since) in enumerate(told):
        apply(job, event, place(job, 10 + second, START + second), {})
        status = document(job)
        assert status.begun_time == "2023-11-14T22:13:20.000+00:00"
        removals = status.removals
        assert (removals and removals.since) == (since and f"2023-11-14T22:13:2{since}.000+00:00")
    assert status.removals is not None
    assert (status.removals.state, status.forgotten) == ("removed", True)


@given(stories)
def test_the_numbers_agree(story: list[events.AnyJobEvent]) -> None:
    ledger = Ledger()
    for offset, event in enumerate(story):
        status = ledger.tell(event).status
        assert status.offset == offset or status.forgotten  # what is forgotten does not change any more
        assert status.processed_files == sum(status.outcomes.model_dump().values()) <= status.total_files
        assert status.failed_files == status.outcomes.failed
        assert status.rate >= 0
        assert status.eta_seconds is None or status.eta_seconds >= 0
        assert 0 <= status.progress <= 100
        # Every file that has no outcome is in flight in one stage.
        in_flight = [gauge.in_flight for gauge in status.stages.values()]
        assert min(in_flight) >= 0
        assert sum(in_flight) == status.total_files - status.processed_files
        assert all(0 <= gauge.done <= status.total_files for gauge in status.stages.values())
        if status.status in FINISHED:
            assert (status.progress, status.waiting_for, status.stalled, status.eta_seconds) == (100, None, None, None)
            assert status.end_time is not None
        else:
            assert status.progress < 100
            assert status.end_time is None


def test_what_was_not_taken_in_is_counted_by_kind() -> None:
    ledger = Ledger(queued(), scanning(), seen("a.jpg", "b.MOV", "c.mov", "d.txt", "e.jpg"))
    ledger.tell(ended("skipped", "b.MOV", "c.mov", "d.txt"), ended("stored", "a.jpg"))
    ledger.tell(ended("skipped", "e.jpg", reason="job cancelled"))
    assert ledger.status.skipped_kinds == {".mov": 2, ".txt": 1, "cancelled": 1}
    ledger.tell(ended("stored", "c.mov"))  # a better outcome, such as of another walk
    assert ledger.status.skipped_kinds == {".mov": 1, ".txt": 1, "cancelled": 1}


def told(ledger: Ledger) -> dict[str, object] | None:
    left_out = ledger.status.left_out
    return None if left_out is None else left_out.model_dump()


def test_what_the_newest_walk_left_out_is_told_once() -> None:
    ledger = Ledger(queued(), scanning(), left_out(8, 3))
    assert told(ledger) == {"files": 8, "folders": 3, "more": False}
    assert ledger.status.logs[-1] == "left out: 8 files in 3 folders"
    ledger.deliver(2)
    assert ledger.status.logs.count("left out: 8 files in 3 folders") == 1
    ledger.tell(scanning(walk="again"), left_out(5, 2, walk="again"))
    assert told(ledger) == {"files": 5, "folders": 2, "more": False}
    ledger.tell(scanning(walk="third"))
    assert told(ledger) is None
