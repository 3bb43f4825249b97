"""A job is the fold of its events: how it begins, ends, and what deliveries and replays may not change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.outcomes import OUTCOMES
from tables.job import LOG_LINES, Job
from tests.unit.ledger import (
    JOB,
    START,
    Ledger,
    asked,
    broken,
    ended,
    left_out,
    moved,
    queued,
    restarted,
    scanning,
    sealed,
    seen,
    sent,
    stalled,
    waiting,
)
from topics import job_event as events
from topics.job_status import FINISHED

names = st.lists(st.sampled_from("abcde"), min_size=1, max_size=5)
outcomes = st.sampled_from(OUTCOMES)
reasons = st.sampled_from([None, "broken", "gone"])
file_events = st.one_of(
    names.map(lambda some: seen(*some)),
    st.builds(lambda outcome, some, reason: ended(outcome, *some, reason=reason), outcomes, names, reasons),
)
replays = st.builds(lambda outcome, some: ended(outcome, *some, replay=True), outcomes, names)
times = st.floats(START, START + 100)
stages = st.sampled_from(["hash", "prepare", "embed", "store"])
other_events = st.one_of(
    st.builds(queued, times),
    st.builds(scanning, times, st.sampled_from(["walk", "again"])),
    st.builds(lambda n, walk: sealed([n], walk)[0], st.integers(0, 1), st.sampled_from(["walk", "again"])),
    st.builds(moved, stages, st.integers(0, 9)),
    st.builds(waiting, stages, st.sampled_from(["ml", "qdrant", None])),
    st.builds(asked, st.sampled_from(["cancel", "pause", "resume"])),
    st.builds(broken, st.just("no such folder")),
    st.builds(sent, st.integers(0, 9)),
    st.builds(stalled, st.sampled_from(["no end marker", None])),
    st.builds(left_out, st.integers(0, 9), st.integers(0, 9)),
    st.builds(restarted, st.integers(0, 9), st.integers(1, 3)),
)
stories = st.lists(st.one_of(file_events, replays, other_events), max_size=20)


class TestFiles:
    @given(st.lists(file_events, max_size=8), st.data())
    def test_any_order_and_any_repetition_give_the_same_files_and_counts(
        self, told: list[events.AnyJobEvent], data: st.DataObject
    ) -> None:
        again = data.draw(st.lists(st.sampled_from(told), max_size=4)) if told else []
        one, other = Ledger(*told), Ledger(*data.draw(st.permutations([*told, *again])))
        assert other.rows == one.rows
        assert (other.job.seen, other.job.counts) == (one.job.seen, one.job.counts)

    @given(stories)
    def test_the_counts_are_always_those_of_the_rows(self, story: list[events.AnyJobEvent]) -> None:
        ledger = Ledger()
        for event in story:
            ledger.tell(event)
            assert (ledger.job.seen, ledger.job.counts) == ledger.counted()
            assert ledger.job.processed <= ledger.job.seen

    @given(stories)
    def test_counting_again_from_the_rows_gives_the_same(self, story: list[events.AnyJobEvent]) -> None:
        ledger = Ledger(*story)
        again = Job.model_validate_json(ledger.job.model_dump_json())
        again.reset_counts()
        for row in ledger.rows.values():
            again.count(row)
        assert again == ledger.job

    @given(stories, st.data())
    def test_a_redelivery_changes_nothing(self, story: list[events.AnyJobEvent], data: st.DataObject) -> None:
        ledger = Ledger(*story)
        job, rows = ledger.job.model_copy(deep=True), dict(ledger.rows)
        for offset in data.draw(st.lists(st.sampled_from(range(len(story))), max_size=8)) if story else []:
            assert ledger.deliver(offset) == []
        assert (ledger.job, ledger.rows) == (job, rows)

    @given(stories, st.data())
    def test_a_kill_that_loses_the_job_row_and_keeps_those_of_files_loses_no_count(
        self, story: list[events.AnyJobEvent], data: st.DataObject
    ) -> None:
        whole = Ledger(*story)
        kept = data.draw(st.integers(0, len(story)))
        killed = Ledger(*story[:kept])
        killed.rows = dict(whole.rows)
        killed.job.reset_counts()
        for row in killed.rows.values():
            killed.job.count(row)
        killed.tell(*story[kept:])
        assert killed.rows == whole.rows
        assert (killed.job.seen, killed.job.counts) == (whole.job.seen, whole.job.counts)
        assert killed.job.moved == whole.job.moved
        assert killed.job.ml_images_sent == whole.job.ml_images_sent

    def test_a_file_twice_in_one_event_is_one_file(self) -> None:
        ledger = Ledger(seen("a", "a"), ended("failed", "a", "a", reason="broken"), ended("duplicate", "a", "a"))
        assert (ledger.job.seen, ledger.job.counts["duplicate"], ledger.job.processed) == (1, 1, 1)

    def test_a_replay_makes_a_job_with_errors_complete_and_touches_no_other_file(self) -> None:
        ledger = Ledger(seen("a", "b"), ended("unchanged", "b"), ended("failed", "a", reason="broken"), *sealed())
        assert ledger.state == "completed_with_errors"
        ledger.tell(ended("stored", "a", "b", replay=True))
        assert ledger.state == "completed"
        assert (ledger.job.counts["stored"], ledger.job.counts["unchanged"]) == (1, 1)


class TestState:
    def test_the_way_of_a_scan(self) -> None:
        ledger = Ledger()
        story: list[events.AnyJobEvent] = [
            queued(),
            scanning(),
            seen("a", "b"),
            ended("stored", "a"),
            *sealed(),
            ended("duplicate", "b"),
        ]
        states = [ledger.tell(event).state for event in story]
        assert states == ["queued", "scanning", "scanning", "scanning", "scanning", "running", "completed"]

    def test_a_program_that_publishes_files_needs_no_scan(self) -> None:
        ledger = Ledger(seen("a"))
        assert ledger.state == "running"
        assert ledger.tell(ended("stored", "a")).state == "running"
        assert ledger.tell(*sealed()).state == "completed"

    def test_a_folder_without_files_completes(self) -> None:
        assert Ledger(queued(), scanning(), *sealed()).state == "completed"

    def test_a_failed_file_is_an_error_and_a_skipped_one_is_not(self) -> None:
        assert Ledger(ended("skipped", "a"), *sealed()).state == "completed"
        assert Ledger(ended("failed", "a"), *sealed()).state == "completed_with_errors"

    def test_partitions_that_two_walks_sealed_do_not_end_a_job(self) -> None:
        ledger = Ledger(scanning(), seen("a"), ended("stored", "a"), *sealed([0]), *sealed([1], "again"))
        assert ledger.state == "scanning"
        assert ledger.tell(*sealed([0], "again")).state == "completed"

    def test_one_partition_sealed_twice_is_one(self) -> None:
        assert Ledger(scanning(), *sealed([0]), *sealed([0])).state == "scanning"

    def test_a_partition_that_does_not_exist_seals_nothing(self) -> None:
        assert Ledger(scanning(), *sealed([0]), *sealed([7])).state == "scanning"

    @given(stories)
    def test_it_is_finished_only_when_every_file_has_its_outcome(self, story: list[events.AnyJobEvent]) -> None:
        ledger = Ledger()
        for event in story:
            if ledger.tell(event).state in FINISHED:
                assert ledger.job.processed == ledger.job.seen

    def test_pause_and_resume(self) -> None:
        ledger = Ledger(scanning(), seen("a"))
        assert ledger.tell(asked("pause")).state == "paused"
        assert ledger.tell(asked("resume")).state == "scanning"

    def test_a_paused_job_whose_files_are_all_done_is_finished(self) -> None:
        ledger = Ledger(scanning(), seen("a"), asked("pause"), *sealed(), ended("stored", "a"))
        assert (ledger.state, ledger.status.paused) == ("completed", False)


class TestCancel:
    def test_it_ends_when_every_file_that_was_seen_has_its_outcome(self) -> None:
        ledger = Ledger(scanning(), seen("a", "b"), ended("stored", "a"), asked("cancel"))
        assert (ledger.state, ledger.status.cancelling) == ("scanning", True)
        ledger.tell(*sealed())
        assert (ledger.state, ledger.status.cancelling) == ("running", True)
        ledger.tell(ended("skipped", "b", reason="job cancelled"))
        assert (ledger.state, ledger.status.cancelling) == ("cancelled", False)

    def test_a_walk_that_has_begun_is_waited_for(self) -> None:
        assert Ledger(scanning(), seen("a"), ended("stored", "a"), asked("cancel")).state == "scanning"

    def test_before_anything_was_scanned_it_is_over_at_once_and_says_when(self) -> None:
        ledger = Ledger(queued(), asked("cancel", at=START + 5))
        assert (ledger.state, ledger.status.end_time) == ("cancelled", "2023-11-14T22:13:25.000+00:00")

    def test_a_scan_that_had_not_heard_of_it_does_not_open_the_job_again(self) -> None:
        ledger = Ledger(queued(), asked("cancel"), scanning())
        assert ledger.state == "cancelled"
        assert ledger.tell(seen("a")).state not in FINISHED
        assert ledger.tell(ended("skipped", "a")).state == "cancelled"

    def test_a_paused_job_that_is_cancelled_is_not_shown_as_paused(self) -> None:
        assert Ledger(scanning(), seen("a"), asked("pause"), asked("cancel")).state == "scanning"

    def test_one_that_comes_too_late_changes_nothing(self) -> None:
        assert Ledger(seen("a"), ended("stored", "a"), *sealed(), asked("cancel")).state == "completed"


class TestFailure:
    def test_a_job_that_fails_without_files_is_over(self) -> None:
        ledger = Ledger(queued(), broken("/photos is gone.", at=START + 5))
        status = ledger.status
        assert (status.status, status.message, status.total_files) == ("failed", "/photos is gone.", 0)
        assert status.end_time == "2023-11-14T22:13:25.000+00:00"
        assert ledger.tell(*sealed(at=START + 6)).state == "failed"

    def test_files_of_an_earlier_walk_are_waited_for(self) -> None:
        ledger = Ledger(scanning(), seen("a"), ended("stored", "a"), broken("gone"))
        assert ledger.state == "scanning"
        assert ledger.tell(seen("b"), *sealed(walk="second")).state == "running"
        assert ledger.tell(ended("stored", "b")).state == "failed"

    def test_a_request_that_comes_again_after_its_walk_fails_nothing(self) -> None:
        ledger = Ledger(scanning(), seen("a"), *sealed(), broken("gone"), ended("stored", "a"))
        assert ledger.state == "completed"

    def test_a_request_that_is_replayed_when_the_folder_is_back_completes(self) -> None:
        ledger = Ledger(broken("gone"), *sealed(walk="failed"), scanning())
        assert ledger.state == "scanning"
        assert ledger.tell(seen("a"), ended("stored", "a"), *sealed()).state == "completed"


class TestTimesAndLogs:
    def test_the_end_of_a_job_does_not_move_when_its_last_messages_are_sent_again(self) -> None:
        ledger = Ledger(seen("a"), ended("stored", "a", at=START + 1), *sealed(at=START + 2))
        end = ledger.status.end_time
        ledger.tell(*sealed(at=START + 50), ended("cached", "a", at=START + 50), seen("a", at=START + 50))
        ledger.tell(*sealed(at=START + 60, walk="again"), broken("gone", at=START + 60))
        assert ledger.status.end_time == end

    def test_progress_does_not_run_back_when_clocks_differ(self) -> None:
        ledger = Ledger(seen("a", "b"), ended("stored", "a", at=START + 9), ended("stored", "b", at=START + 1))
        assert ledger.job.last_progress_at == START + 9

    def test_the_first_event_of_each_kind_sets_the_time(self) -> None:
        ledger = Ledger(queued(), scanning(at=START + 1), scanning(at=START + 9), queued(at=START + 9))
        assert (ledger.job.queued_at, ledger.job.started_at) == (START, START + 1)

    def test_what_the_submit_said_stays(self) -> None:
        job = Ledger(queued(), scanning()).job
        assert (job.collection, job.sources, job.caption, job.model_id) == ("photos", ["/photos"], True, "m-1")

    def test_the_log_is_bounded_in_lines_and_in_their_length(self) -> None:
        files = [f"{number}-{'x' * 4000}" for number in range(2 * LOG_LINES)]
        ledger = Ledger(seen(*files), ended("failed", *files, reason="y" * 8000))
        assert len(ledger.job.logs) == LOG_LINES
        assert ledger.job.logs[-1].startswith(f"/photos/{2 * LOG_LINES - 1}-")
        assert len(ledger.status.model_dump_json()) < 1 << 18

    def test_a_failure_is_logged_once(self) -> None:
        ledger = Ledger(ended("failed", "a", reason="broken"), ended("failed", "a", reason="broken"))
        assert ledger.job.logs == ["/photos/a: failed: broken"]


class TestWaiting:
    def test_it_ends_by_word_or_by_work(self) -> None:
        ledger = Ledger(seen("a"), waiting("embed", "ml"), waiting("store", "qdrant"))
        assert ledger.job.waiting == {"embed": "ml", "store": "qdrant"}
        ledger.tell(waiting("embed", None), moved("store", 1))
        assert ledger.job.waiting == {}


class TestWatchdog:
    def test_a_stall_is_shown_and_logged_once(self) -> None:
        ledger = Ledger(seen("a"), stalled("no end marker"), stalled("stage hash has no worker"))
        assert ledger.status.stalled == "stage hash has no worker"
        assert [line for line in ledger.job.logs if "Stalled" in line] == ["Stalled: no end marker."]
        assert ledger.tell(stalled(None)).status.stalled is None

    @pytest.mark.parametrize(
        "event", [ended("cached", "a"), *sealed([0]), moved("hash", 1), waiting("embed", "ml"), asked("pause")]
    )
    def test_any_other_event_ends_it(self, event: events.AnyJobEvent) -> None:
        assert Ledger(seen("a"), stalled("no end marker"), event).job.stalled is None

    def test_its_own_word_is_no_sign_of_life(self) -> None:
        ledger = Ledger(seen("a"), stalled("no end marker"))
        assert (ledger.job.active_offset, ledger.job.offset) == (0, 1)

    def test_restarts_are_counted_and_told(self) -> None:
        ledger = Ledger(seen("a"), restarted(1, 1), restarted(1, 2), restarted(1, 1))
        assert ledger.job.restarts == 2
        assert ledger.job.logs[-1] == "1 files without an outcome begin again."


def test_the_bytes_of_a_path_are_kept() -> None:
    odd = events.SeenFile(file_id="a", path="/photos/\\xff.jpg", path_b64="L3Bob3Rvcy//LmpwZw==")
    ledger = Ledger(events.Seen(job_id=JOB, at=START, collection="photos", files=[odd]))
    assert ledger.rows["a"].path_b64 == odd.path_b64


@pytest.mark.parametrize("event", [sent(3), moved("hash", 3)], ids=["ml-sent", "moved"])
def test_numbers_are_added_once_for_each_message(event: events.AnyJobEvent) -> None:
    ledger = Ledger(event, event)
    ledger.deliver(0)
    ledger.deliver(1)
    assert ledger.job.ml_images_sent + ledger.job.moved["hash"] == 6
