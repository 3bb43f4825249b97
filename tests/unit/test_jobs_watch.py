"""What a stage knows of jobs: of a deleted status nothing is left."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from agents.jobs_watch import JobsWatch
from rules.sources import SILENT_SECONDS
from topics.job_status import JOB_STATUS, JobStatus, OutcomeCounts, RemovalState, RemovalStatus, State

JOB, OTHER = "0" * 32, "1" * 32


def status(job_id: str, state: State, *, cancelling: bool = False) -> JobStatus:
    return JobStatus(
        job_id=job_id, status=state, collection="c", progress=0, total_files=9, total_known=True, processed_files=0,
        cached_files=0, failed_files=0, outcomes=OutcomeCounts(), stages={}, rate=0, cancelling=cancelling,
        ml_images_sent=0, message="", logs=[], offset=1,
    )  # fmt: skip


def read(watch: JobsWatch, *messages: tuple[bytes | None, JobStatus | None], at: float = 1.0) -> None:
    """Let it read these, as the broker gives them. `at`: the broker's time."""
    records: list[Any] = [
        SimpleNamespace(key=key, value=told and JOB_STATUS.encode(told), timestamp_type=1, timestamp=at * 1000)
        for key, told in messages
    ]
    watch._take_all(records)


@pytest.fixture
def watch() -> JobsWatch:
    def fail(error: BaseException) -> None:
        raise error

    return JobsWatch({"bootstrap_servers": "127.0.0.1:1"}, fail)


async def test_a_job_whose_status_was_deleted_is_forgotten(watch: JobsWatch) -> None:
    running = [(job.encode(), status(job, "running", cancelling=True)) for job in (JOB, OTHER)]
    read(watch, *running)
    assert watch.cancelling() == {JOB, OTHER}
    read(watch, (JOB.encode(), None), (None, None), (b"\xff", None))
    assert (watch.status(JOB), watch.is_cancelled(JOB)) == (None, False)
    assert watch.cancelling() == {OTHER}
    assert watch.is_cancelled(OTHER)
    read(watch, (JOB.encode(), status(JOB, "running")))  # it comes again
    assert watch.status(JOB) is not None
    assert not watch.is_cancelled(JOB)


async def test_a_job_that_was_cancelled_is_remembered_after_its_end(watch: JobsWatch) -> None:
    read(watch, (JOB.encode(), status(JOB, "running")), (JOB.encode(), status(JOB, "cancelled")))
    assert (watch.status(JOB), watch.is_cancelled(JOB)) == (None, True)


async def test_the_syncs_of_a_source_whose_removals_are_open_are_known_until_they_are_not(watch: JobsWatch) -> None:
    def sync(job_id: str, state: RemovalState, *, forgotten: bool = False) -> tuple[bytes, JobStatus]:
        said = {"source": "home", "removals": RemovalStatus(state=state), "forgotten": forgotten}
        return job_id.encode(), status(job_id, "completed").model_copy(update=said)

    read(watch, sync(JOB, "counting"), sync(OTHER, "looking"), sync("2" * 32, "removed"))
    read(watch, sync(JOB, "held"), sync(OTHER, "held"))
    assert [one.job_id for one in watch.unsettled("home")] == [JOB, OTHER]
    assert watch.unsettled("other") == []
    read(watch, sync(JOB, "kept"), sync(OTHER, "held", forgotten=True), sync("2" * 32, "held"))
    assert [one.job_id for one in watch.unsettled("home")] == ["2" * 32]
    read(watch, (b"2" * 32, None))
    assert watch.unsettled("home") == []


async def test_syncs_that_brought_files_and_removed_nothing_are_known_until_a_later_one_removes(
    watch: JobsWatch,
) -> None:
    def sync(number: int, state: RemovalState, *, stored: int = 1) -> tuple[bytes, JobStatus]:
        said = {
            "source": "home",
            "removals": RemovalStatus(state=state),
            "begun_time": f"2024-05-0{number}T00:00:00+00:00",
            "outcomes": OutcomeCounts(stored=stored),
        }
        job_id = f"{number}" * 32
        return job_id.encode(), status(job_id, "completed").model_copy(update=said)

    read(watch, sync(3, "held"), sync(1, "kept"), sync(2, "overtaken"), sync(4, "held", stored=0), sync(5, "guarded"))
    assert watch.asked_before("home") == ["3" * 32, "1" * 32, "2" * 32, "5" * 32]
    assert watch.asked_before("other") == []
    # In whatever order they are read.
    read(watch, sync(2, "removed"), sync(1, "kept"))
    assert watch.asked_before("home") == ["3" * 32, "5" * 32]
    read(watch, sync(5, "removed"))
    assert watch.asked_before("home") == []


@pytest.mark.parametrize("is_turned", [False, True], ids=["as-told", "in-another-order"])
async def test_a_look_at_a_part_that_removes_all_leaves_what_others_were_asked_about(
    watch: JobsWatch, is_turned: bool
) -> None:
    def sync(number: int, state: RemovalState, *places: str) -> tuple[bytes, JobStatus]:
        said = {
            "source": "home",
            "removals": RemovalStatus(state=state),
            "begun_time": f"2024-05-0{number}T00:00:00+00:00",
            "outcomes": OutcomeCounts(cached=1),
            "sources": [*places],
        }
        job_id = f"{number}" * 32
        return job_id.encode(), status(job_id, "completed").model_copy(update=said)

    looks = [
        sync(1, "held", "/photos/a", "/photos/b/1.jpg"),
        sync(2, "held", "/photos/b"),
        sync(3, "removed", "/photos/b", "/photos/c"),
    ]
    read(watch, *(reversed(looks) if is_turned else looks))
    # What the others brought may be what the first one was asked about, moved once more.
    assert {*watch.asked_before("home")} == {"1" * 32, "2" * 32, "3" * 32}
    read(watch, sync(4, "removed", "/photos"), sync(5, "held", "/photos/a"))
    assert watch.asked_before("home") == ["5" * 32]
    read(watch, looks[0])
    assert watch.asked_before("home") == ["5" * 32]


async def test_a_look_that_saw_nothing_of_what_has_left_is_known_until_one_has_seen_as_much(watch: JobsWatch) -> None:
    def sync(number: int, state: State, removals: RemovalStatus | None, *places: str) -> tuple[bytes, JobStatus]:
        said = {
            "source": "home",
            "removals": removals,
            "begun_time": f"2024-05-0{number}T00:00:00+00:00",
            "sources": [*places],
        }
        job_id = f"{number}" * 32
        return job_id.encode(), status(job_id, state).model_copy(update=said)

    in_vain: list[tuple[State, RemovalStatus | None]] = [
        ("completed", RemovalStatus(state="guarded", code="empty")),
        ("failed", RemovalStatus(state="guarded", code="job-ended")),
        ("cancelled", None),
    ]
    for state, removals in in_vain:
        assert not watch.has_looked_in_vain("home")
        read(watch, sync(3, state, removals, "/photos/a.jpg"))
        assert watch.has_looked_in_vain("home")
        assert not watch.has_looked_in_vain("other")
        # It was before that, has seen another part, or has not seen it either.
        read(watch, sync(2, "completed", RemovalStatus(state="none"), "/photos"))
        read(watch, sync(4, "completed", RemovalStatus(state="removed"), "/photos/b.jpg"))
        read(watch, sync(5, "completed", RemovalStatus(state="looking"), "/photos"))
        assert watch.has_looked_in_vain("home")
        read(watch, sync(6, "completed", RemovalStatus(state="removed"), "/photos"))
    assert not watch.has_looked_in_vain("home")
    # Who accepts the disk has all looked at anew.
    read(watch, sync(7, "completed", RemovalStatus(state="guarded", code="other-mount"), "/photos/a.jpg"))
    assert not watch.has_looked_in_vain("home")


YEARS_AHEAD, YEARS_AGO = "2044-05-01T00:00:00+00:00", "2014-05-01T00:00:00+00:00"


@pytest.mark.parametrize("wrong", [YEARS_AHEAD, YEARS_AGO])
async def test_no_clock_of_a_worker_says_what_was_lost_lately(watch: JobsWatch, wrong: str) -> None:
    def sync(day: int, lost: int) -> tuple[bytes, JobStatus]:
        said = {
            "source": "home",
            "removals": RemovalStatus(state="removed", lost=lost, since=f"2024-05-{day:02}T00:00:00+00:00"),
            "start_time": wrong,
            "end_time": wrong,
        }
        return f"{day}".encode(), status(f"{day}", "completed").model_copy(update=said)

    def noon(day: int) -> float:
        return datetime(2024, 5, day, 12, tzinfo=UTC).timestamp()

    read(watch, sync(2, 1), sync(7, 10), at=noon(7))
    assert [watch.lost_lately("home", noon(day)) for day in (8, 9, 13, 14)] == [11, 10, 10, 0]
    assert watch.lost_lately("other", noon(8)) == 0
    # The request is from long before the walk's end, by when others have told something.
    read(watch, (JOB.encode(), status(JOB, "running")), at=noon(9))
    assert watch.lost_lately("home", noon(8)) == 10


@pytest.mark.parametrize("wrong", [YEARS_AHEAD, YEARS_AGO])
async def test_no_clock_of_a_worker_says_which_look_is_the_newer(watch: JobsWatch, wrong: str) -> None:
    def sync(number: int, state: RemovalState, start: str) -> tuple[bytes, JobStatus]:
        said = {
            "source": "home",
            "removals": RemovalStatus(state=state),
            "begun_time": f"2024-05-0{number}T00:00:00+00:00",
            "start_time": start,
            "outcomes": OutcomeCounts(stored=1),
        }
        return f"{number}".encode(), status(f"{number}", "completed").model_copy(update=said)

    read(watch, sync(1, "held", wrong), sync(2, "removed", "2024-05-02T00:00:00+00:00"))
    assert watch.asked_before("home") == []
    read(watch, sync(3, "removed", wrong), sync(4, "held", "2024-05-04T00:00:00+00:00"))
    assert "4" in watch.asked_before("home")
    read(watch, sync(5, "removed", wrong))
    assert watch.asked_before("home") == []


async def test_a_look_of_which_nothing_is_heard_holds_up_no_other(
    watch: JobsWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any program may tell of one that begins, on `job-event`, and never of its end."""

    def look(job_id: str, state: State = "scanning", **fields: Any) -> tuple[bytes, JobStatus]:
        return job_id.encode(), status(job_id, state).model_copy(update={"source": "home", **fields})

    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    read(watch, look(JOB))
    assert watch.is_looked_at("home")
    assert not watch.is_looked_at("other")
    read(watch, look(JOB, stalled="no end marker"))
    assert not watch.is_looked_at("home")
    # It goes on, or stands still for a reason that goes away.
    for stalled in (None, "stage hash has no worker: 9 messages wait"):
        read(watch, look(JOB, stalled=stalled))
        assert watch.is_looked_at("home")
    # Also where no API runs, which would say so.
    now += SILENT_SECONDS - 1
    assert watch.is_looked_at("home")
    now += 1
    assert not watch.is_looked_at("home")
    read(watch, look(OTHER))
    assert watch.is_looked_at("home")
    read(watch, look(OTHER, "completed"))
    assert not watch.is_looked_at("home")
    read(watch, look(JOB, "paused", paused=True))
    now += 100 * SILENT_SECONDS
    assert watch.is_looked_at("home")
    read(watch, (JOB.encode(), None))
    assert not watch.is_looked_at("home")
