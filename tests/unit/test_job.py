"""A job is the fold of its events: how it begins, ends, and what deliveries and replays may not change."""

from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.outcomes import OUTCOMES
from tables.account import MAX_TURNS, Account
from tables.job import Job
from tables.job_file import MAX_WALKS
from tables.progress import LOG_CHARACTERS, LOG_LINES
from tests.unit.ledger import (
    JOB,
    START,
    Ledger,
    asked,
    broken,
    ended,
    ended_alike,
    forget,
    left_out,
    moved,
    queued,
    restarted,
    scanning,
    sealed,
    seen,
    sent,
    stalled,
    step,
    waiting,
    walked_again,
)
from topics import job_event as events
from topics.job_status import FINISHED

names = st.lists(st.sampled_from("abcde"), min_size=1, max_size=5)
walks = st.sampled_from(["walk", "again"])
outcomes = st.sampled_from(OUTCOMES)
reasons = st.sampled_from([None, "broken", "gone"])
file_events = st.one_of(
    st.builds(lambda some, walk: seen(*some, walk=walk), names, st.one_of(walks, st.none())),
    st.builds(lambda outcome, some, reason: ended(outcome, *some, reason=reason), outcomes, names, reasons),
    st.builds(
        lambda outcome, some, walk: ended_alike(outcome, *some, walk=walk), outcomes, names, st.one_of(walks, st.none())
    ),
)
replays = st.builds(lambda outcome, some: ended(outcome, *some, replay=True), outcomes, names)
times = st.floats(START, START + 100)
stages = st.sampled_from(["hash", "prepare", "embed", "store"])
for_people = st.one_of(
    st.builds(moved, stages, st.integers(0, 9)),
    st.builds(waiting, stages, st.sampled_from(["ml", "qdrant", None])),
    st.builds(sent, st.integers(0, 9)),
    st.builds(stalled, st.sampled_from(["no end marker", None])),
    st.builds(left_out, st.integers(0, 9), st.integers(0, 9)),
    st.builds(restarted, st.integers(0, 9), st.integers(1, 3)),
    st.builds(walked_again),
)
other_events = st.one_of(
    for_people,
    st.builds(queued, times),
    st.builds(lambda at, walk, counted: scanning(at, walk, counted=counted), times, walks, st.booleans()),
    st.builds(
        lambda n, walk, files: sealed([n], walk, files=[files, files])[0],
        st.integers(0, 1),
        walks,
        st.sampled_from([0, 1, 3, None]),
    ),
    st.builds(asked, st.sampled_from(["cancel", "pause", "resume"])),
    st.builds(broken, st.just("no such folder")),
    st.builds(forget),
)
any_event = st.one_of(file_events, replays, other_events)
stories = st.lists(any_event, max_size=20)
# In which a job ends, is opened again, or is forgotten: what takes several events comes at once.
chapters = st.sampled_from(
    [
        [*sealed()],
        [*sealed(files=[1, 1])],
        [broken("no such folder"), *sealed(walk="again")],
        [asked("cancel"), *sealed(walk="again")],
        [ended("unchanged", *"abcde")],
        [scanning(walk="again", counted=True)],
        [ended("unchanged", *"abcde"), *sealed(), forget()],
    ]
)
long_stories = st.lists(st.one_of(any_event.map(lambda event: [event]), chapters), min_size=6, max_size=20).map(
    lambda story: [*chain.from_iterable(story)]
)


class TestFiles:
    @given(st.lists(file_events, max_size=8), st.data())
    def test_any_order_and_any_repetition_give_the_same_files_and_counts(
        self, told: list[events.AnyJobEvent], data: st.DataObject
    ) -> None:
        again = data.draw(st.lists(st.sampled_from(told), max_size=4)) if told else []
        one, other = Ledger(*told), Ledger(*data.draw(st.permutations([*told, *again])))
        assert {name: row.report for name, row in other.rows.items()} == {n: row.report for n, row in one.rows.items()}
        assert (other.job.seen, other.job.counts) == (one.job.seen, one.job.counts)
        assert other.job.walk_files == one.job.walk_files

    @given(stories)
    def test_the_counts_are_always_those_of_the_rows(self, story: list[events.AnyJobEvent]) -> None:
        ledger = Ledger()
        for event in story:
            ledger.tell(event)
            assert (ledger.job.seen, ledger.job.counts) == ledger.counted()
            assert ledger.job.processed <= ledger.job.seen

    @given(long_stories, st.data())
    def test_what_is_read_as_columns_gives_the_same_rows_and_counters(
        self, story: list[events.AnyJobEvent], data: st.DataObject
    ) -> None:
        """Also where deliveries come again, from any place, and rows are ahead of the counters."""
        columns, files = Ledger(*story), Ledger(*story, as_columns=False)
        again = data.draw(st.integers(0, len(story)))
        for ledger in (columns, files):
            ledger.job = Ledger(*story[:again], as_columns=False).job
            for offset in range(again, len(story)):
                ledger.deliver(offset)
        assert columns.rows == files.rows
        assert columns.job == files.job
        assert [*columns.rows] == [*files.rows]

    @given(stories)
    def test_rows_of_version_0_1_0_are_counted_once(self, story: list[events.AnyJobEvent]) -> None:
        ledger = Ledger(*story)
        again = Job.model_validate_json(ledger.job.model_dump_json())
        again.begin_count()
        for row in ledger.rows.values():
            again.count(row.report)
        assert again == ledger.job

    @settings(max_examples=300)
    @given(long_stories, st.data())
    def test_a_redelivery_changes_nothing(self, story: list[events.AnyJobEvent], data: st.DataObject) -> None:
        ledger = Ledger(*story)
        job, rows = ledger.job.model_copy(deep=True), dict(ledger.rows)
        for offset in data.draw(st.lists(st.sampled_from(range(len(story))), max_size=8)):
            assert ledger.deliver(offset) == []
        assert (ledger.job, ledger.rows) == (job, rows)

    @settings(max_examples=300)
    @given(long_stories, st.data())
    def test_a_kill_between_rows_and_counters_loses_nothing_whichever_is_ahead(
        self, story: list[events.AnyJobEvent], data: st.DataObject
    ) -> None:
        """The job's row is of one moment, each file's row of one of its own; what follows the earliest comes again.

        Rows of a job that is forgotten count no more: they are on their way out.
        """
        moments = st.integers(0, len(story))
        whole, of_job = Ledger(*story), data.draw(moments)
        killed = Ledger(*story[:of_job])
        killed.rows, earliest = {}, of_job
        for name in whole.rows:
            of_row = data.draw(moments)
            earliest = min(earliest, of_row)
            if row := Ledger(*story[:of_row]).rows.get(name):
                killed.rows[name] = row
        killed.job = Job.model_validate_json(killed.job.model_dump_json())
        killed.log = list(story)
        for offset in range(earliest, len(story)):
            killed.deliver(offset)
        assert killed.job == whole.job
        assert killed.rows == whole.rows or killed.job.forgotten

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
        ledger = Ledger(scanning(), *sealed([0]), *sealed(range(2, 5000)))
        assert ledger.state == "scanning"
        assert len(ledger.job.model_dump_json()) < 2500

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


class TestWalks:
    """A walk says how many different files it has published; its files name it."""

    def test_files_that_were_published_and_never_seen_keep_a_job_from_its_end(self) -> None:
        ledger = Ledger(queued(), scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"))
        status = ledger.tell(*sealed(files=[1, 7])).status
        assert (status.status, status.missing_files, status.total_known) == ("running", 7, False)
        assert status.message == "1 of 1 files so far have their outcome; 7 files were published and not seen."
        assert ledger.job.logs[-1] == "The walk has ended; 7 files were published and not seen."
        late = [f"late-{number}" for number in range(7)]
        ledger.tell(seen(*late, walk="walk"), ended("cached", *late))
        assert (ledger.state, ledger.status.missing_files) == ("completed", 0)

    def test_all_of_them_may_be_lost(self) -> None:
        assert Ledger(scanning(counted=True), *sealed(files=[3, 5])).status.missing_files == 8

    def test_another_walk_finds_them(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *sealed(files=[1, 1]))
        ledger.tell(walked_again(), scanning(walk="again", counted=True), seen("a", "b", walk="again"))
        assert ledger.tell(ended("stored", "b"), ended("unchanged", "a")).state == "running"
        assert ledger.tell(*sealed(walk="again", files=[1, 1])).state == "completed"
        assert (ledger.job.walks_again, ledger.status.missing_files) == (1, 0)

    def test_two_walks_at_once_are_counted_each_by_itself(self) -> None:
        ledger = Ledger(scanning(counted=True), scanning(walk="again", counted=True))
        ledger.tell(seen("a", walk="walk"), seen("b", walk="again"), *sealed(files=[2, 0]))
        assert ledger.status.missing_files == 1
        ledger.tell(seen("a", walk="again"), *sealed(walk="again", files=[3, 0]), ended("stored", "a", "b"))
        assert (ledger.state, ledger.status.missing_files) == ("running", 1)
        assert ledger.tell(seen("b", walk="walk")).state == "completed"

    def test_a_file_that_comes_twice_is_one(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), seen("a", walk="walk"), ended("stored", "a"))
        assert ledger.tell(*sealed(files=[1, 1])).status.missing_files == 1

    def test_a_person_ends_a_job_without_them(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *sealed(files=[1, 1]))
        status = ledger.tell(*sealed(walk="close-job-1")).status
        assert (status.status, status.missing_files) == ("completed_with_errors", 1)
        assert status.message == "Completed with errors: 1 stored. 1 file was published and not seen."

    def test_cancelling_ends_it(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *sealed(files=[1, 1]))
        # It may be on its way still. Where it is not, the watchdog closes the job.
        assert ledger.tell(asked("cancel")).state == "running"
        status = ledger.tell(*sealed(walk="close-job-1")).status
        assert (status.status, status.message) == (
            "cancelled",
            "Cancelled: 1 stored. 1 file was published and not seen.",
        )

    def test_a_second_walk_that_fails_fails_the_job(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *sealed(files=[1, 1]))
        status = ledger.tell(broken("/photos is gone."), *sealed(walk="second")).status
        assert (status.status, status.message) == ("failed", "/photos is gone. 1 file was published and not seen.")

    def test_a_job_that_is_over_does_not_care_who_finds_its_files_again(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *sealed(files=[1, 0]))
        before = ledger.job.model_copy(deep=True), dict(ledger.rows)
        for number in range(30):
            walk = f"walk-{number}"
            ledger.tell(scanning(walk=walk, counted=True), seen("a", walk=walk), *sealed(walk=walk, files=[5, 5]))
        assert (ledger.state, ledger.status.missing_files, ledger.rows) == ("completed", 0, before[1])
        assert ledger.job.walk_files == before[0].walk_files

    def test_what_walks_are_remembered_of_is_bounded(self) -> None:
        ledger = Ledger()
        for number in range(3 * MAX_WALKS):
            walk = f"walk-{number}"
            ledger.tell(scanning(walk=walk, counted=True), seen("a", "b", walk=walk), *sealed([0], walk, files=[1, 1]))
        job = ledger.job
        assert {len(job.walk_files), len(job.seals), len(job.published), len(ledger.rows["a"].walks)} == {MAX_WALKS}
        ledger.tell(ended("stored", "a", "b"), *sealed([1], walk, files=[1, 1]))
        assert (ledger.state, ledger.status.missing_files) == ("completed", 0)

    @pytest.mark.parametrize(
        "told",
        [
            # Version 0.1.0 counts messages in its end markers, and its files name no walk. So may programs.
            [scanning(), seen("a"), *sealed(files=[1, 7])],
            [seen("a"), *sealed(files=[1, 7])],
            [scanning(counted=True), seen("a", walk="walk"), *sealed(files=[1, None])],
            [scanning(counted=True), seen("a", walk="walk"), *sealed(files=[None, 1])],
            # Two producers that name walks of their own, closed by the API.
            [seen("a", walk="mine"), seen("b", walk="yours"), ended("stored", "b"), *sealed(walk="close-job-1")],
        ],
    )
    def test_where_no_count_is_known_nothing_is_missing(self, told: list[events.AnyJobEvent]) -> None:
        ledger = Ledger(*told, ended("stored", "a"))
        assert (ledger.state, ledger.status.missing_files) == ("completed", 0)

    def test_a_job_that_version_0_1_0_has_half_sealed_is_not_checked(self) -> None:
        ledger = Ledger(scanning(counted=True), *sealed([0], files=[9, 9]))
        row = ledger.job.model_dump(exclude={"published", "walk_files"})
        ledger.job = Job.model_validate(row)
        assert (
            ledger.tell(seen("a", walk="walk"), ended("stored", "a"), *sealed([1], files=[9, 9])).state == "completed"
        )

    @given(stories)
    def test_nothing_completes_while_a_file_is_missing_but_by_a_walk_that_says_otherwise(
        self, story: list[events.AnyJobEvent]
    ) -> None:
        ledger = Ledger()
        for event in story:
            status = ledger.tell(event).status
            assert status.missing_files >= 0
            if status.status == "completed":
                assert status.missing_files == 0


class TestForgetting:
    def test_what_is_over_stays_as_it_is(self) -> None:
        ledger = Ledger(queued(), seen("a"), ended("failed", "a"), *sealed(), forget())
        status = ledger.status
        assert (status.status, status.forgotten, status.failed_files) == ("completed_with_errors", True, 1)
        ledger.rows.clear()
        ledger.tell(
            ended("stored", "a", replay=True), seen("b"), queued(START + 9), scanning(), asked("cancel"), forget()
        )
        assert (ledger.status, ledger.rows) == (status, {})

    def test_what_is_not_over_is_not_forgotten(self) -> None:
        ledger = Ledger(queued(), seen("a"), forget())
        assert ledger.status.forgotten is False
        assert ledger.tell(ended("stored", "a"), *sealed()).state == "completed"


class TestSources:
    def test_of_many_the_first_are_shown_and_all_are_counted(self) -> None:
        many = [f"/photos/{number}" for number in range(1000)]
        event = queued().model_copy(update={"sources": many})
        status = Ledger(event).status
        assert (status.sources, status.sources_total) == (many[:20], 1000)
        long = [f"/{'x' * 4000}/{number}" for number in range(20)]
        assert Ledger(queued().model_copy(update={"sources": long})).status.sources == long[:1]


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

    def test_files_of_a_walk_that_was_cut_off_change_nothing_behind_the_end(self) -> None:
        """Unchanged ones are seen by their outcome, which may come when the next walk has sealed what it counted."""
        ledger = Ledger(scanning(counted=True), asked("cancel"), *sealed(walk="again"))
        before = ledger.status
        assert before.status == "cancelled"
        after = ledger.tell(seen("a", walk="walk"), ended("skipped", "a")).status
        assert (after.status, after.total_files, after.end_time) == ("cancelled", 0, before.end_time)
        assert ledger.rows == {}

    def test_one_that_comes_too_late_changes_nothing(self) -> None:
        assert Ledger(seen("a"), ended("stored", "a"), *sealed(), asked("cancel")).state == "completed"


# How a job may end though nobody has seen all files of its walk: each cuts off the walk that has found `a`.
CUT_OFF: dict[str, list[events.AnyJobEvent]] = {
    "cancelled": [asked("cancel"), *sealed(walk="again")],
    "failed": [broken("/photos is gone."), *sealed(walk="again")],
    "completed_with_errors": [*sealed(files=[1, 1]), *sealed(walk="close-job-1")],
    "completed": [*sealed([0], files=[1, 1]), *sealed(walk="close-job-1")],
}


class TestBehindTheEnd:
    """Unchanged files of a walk that was cut off are seen by their outcome, which may come when the job is over."""

    @pytest.mark.parametrize("state", CUT_OFF)
    def test_a_job_that_is_over_does_not_change(self, state: str) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("failed", "a"), *CUT_OFF[state])
        over, rows = ledger.status, dict(ledger.rows)
        ledger.tell(ended("unchanged", "late"), seen("other", walk="walk"), ended("stored", "other"))
        status = ledger.status.model_copy(update={"offset": over.offset})
        assert (status, ledger.rows) == (over, rows)
        # A kill before the commit brings them again: they are none of its files even then.
        for offset in range(len(ledger.log)):
            assert ledger.deliver(offset) == []

    @pytest.mark.parametrize("state", CUT_OFF)
    def test_a_replay_lifts_the_failure_of_a_file_that_it_has(self, state: str) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("failed", "a"), *CUT_OFF[state])
        ledger.tell(ended("unchanged", "late"), ended("stored", "a", "late", replay=True))
        assert (ledger.job.seen, ledger.job.counts["stored"], ledger.job.counts["failed"]) == (1, 1, 0)

    @pytest.mark.parametrize("state", [state for state in CUT_OFF if state != "cancelled"])
    def test_a_request_that_is_replayed_has_all_files(self, state: str) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *CUT_OFF[state])
        ledger.tell(ended("unchanged", "late"), scanning(walk="third", counted=True))
        assert ledger.state == "scanning"
        ledger.tell(seen("a", "late", walk="third"), ended("unchanged", "a", "late"))
        ledger.tell(*sealed(walk="third", files=[1, 1]))
        assert (ledger.state, ledger.job.seen, ledger.status.missing_files) == ("completed", 2, 0)
        assert (ledger.job.counts["stored"], ledger.job.counts["unchanged"]) == (1, 1)
        for offset in range(len(ledger.log)):
            assert ledger.deliver(offset) == []

    def test_it_does_not_change_either_where_it_was_opened_and_has_ended_again(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *CUT_OFF["failed"])
        ledger.tell(ended("unchanged", "late"), scanning(walk="second", counted=True), *CUT_OFF["failed"])
        ledger.tell(ended("unchanged", "later"), scanning(walk="third", counted=True))
        for offset in range(len(ledger.log)):
            assert ledger.deliver(offset) == []
        assert [*ledger.rows] == ["a"]

    def test_a_walk_that_nobody_asked_for_a_file_is_not_taken_to_have_found_it_when_that_comes_again(self) -> None:
        """A kill before the commit; meanwhile the job was opened again, and asks its walks for all its files."""
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"), *CUT_OFF["failed"])
        ledger.tell(seen("a", walk="third"), scanning(walk="third", counted=True))
        for offset in range(len(ledger.log)):
            assert ledger.deliver(offset) == []
        ledger.tell(seen("a", walk="third"), *sealed(walk="third", files=[1, 0]))
        assert (ledger.state, ledger.status.missing_files) == ("completed", 0)

    def test_how_often_it_ended_is_bounded(self) -> None:
        ledger = Ledger(scanning(counted=True), seen("a", walk="walk"), ended("stored", "a"))
        for number in range(MAX_TURNS):
            ledger.tell(*CUT_OFF["failed"], scanning(walk=f"walk-{number}", counted=True))
        ledger.tell(*CUT_OFF["failed"], ended("unchanged", "late"))
        assert len(ledger.job.closed_turns) <= MAX_TURNS
        assert ledger.deliver(len(ledger.log) - 1) == []

    def test_what_a_program_publishes_behind_its_close_counts(self) -> None:
        ledger = Ledger(seen("a", walk="mine"), ended("stored", "a"), *sealed(walk="close-job-1"))
        assert ledger.tell(seen("b", walk="mine")).state == "running"
        assert ledger.tell(ended("stored", "b")).state == "completed"


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
        short = [str(number) for number in range(2 * LOG_LINES)]
        assert len(Ledger(ended("failed", *short)).job.logs) == LOG_LINES
        files = [f"{number}-{'x' * 4000}" for number in range(2 * LOG_LINES)]
        ledger = Ledger(seen(*files), ended("failed", *files, reason="y" * 8000))
        assert sum(map(len, ledger.job.logs)) <= LOG_CHARACTERS
        assert ledger.job.logs[-1].startswith(f"/photos/{2 * LOG_LINES - 1}-")

    def test_reasons_are_bounded(self) -> None:
        failed = Ledger(scanning(), seen("a"), broken("x" * 20_000), stalled("y" * 20_000))
        assert len(failed.job.model_dump_json()) < 10_000

    def test_a_failure_is_logged_once(self) -> None:
        ledger = Ledger(ended("failed", "a", reason="broken"), ended("failed", "a", reason="broken"))
        assert ledger.job.logs == ["/photos/a: failed: broken"]

    def test_a_failure_is_logged_with_its_reason_where_its_row_knows_a_better_outcome(self) -> None:
        ledger = Ledger(ended("failed", "a", reason="broken"), ended("stored", "a"))
        ledger.job = Ledger().job  # which a kill left behind its rows
        ledger.deliver(0)
        assert ledger.job.logs == ["/photos/a: failed: broken"]

    def test_a_failure_without_a_reason_is_logged_as_one(self) -> None:
        assert Ledger(ended("failed", "a")).job.logs == ["/photos/a: failed"]


class TestWaiting:
    def test_it_ends_by_word_or_by_work(self) -> None:
        ledger = Ledger(seen("a"), waiting("embed", "ml"), waiting("store", "qdrant"))
        assert ledger.job.waiting == {"embed": "ml", "store": "qdrant"}
        ledger.tell(waiting("embed", None), moved("store", 1))
        assert ledger.job.waiting == {}


class TestAccount:
    @given(stories, st.data())
    def test_what_is_for_people_does_not_change_it(self, story: list[events.AnyJobEvent], data: st.DataObject) -> None:
        ledger = Ledger(*story)
        fields = Account.model_fields.keys() - {"offset", "newest_at", "begun_at"}  # which events it has seen
        before = ledger.job.model_dump(include=fields)
        ledger.tell(*data.draw(st.lists(for_people, max_size=5)))
        assert ledger.job.model_dump(include=fields) == before


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

    def test_who_asks_how_it_stands_does_not_end_it(self) -> None:
        asked_for = events.StatusAsked(job_id=JOB, at=START)
        assert Ledger(seen("a"), stalled("no end marker"), asked_for).job.stalled == "no end marker"

    def test_its_own_word_is_no_sign_of_life(self) -> None:
        ledger = Ledger(seen("a"), stalled("no end marker"))
        assert (ledger.job.active_offset, ledger.job.offset) == (0, 1)

    def test_restarts_are_counted_and_told(self) -> None:
        ledger = Ledger(seen("a"), restarted(1, 1), restarted(1, 2), restarted(1, 1))
        assert ledger.job.restarts == 2
        assert ledger.job.logs[-1] == "1 file without an outcome begins again."


def test_the_bytes_of_a_path_are_kept() -> None:
    odd = events.SeenFile(file_id="a", path="/photos/\\xff.jpg", path_b64="L3Bob3Rvcy//LmpwZw==")
    ledger = Ledger(events.Seen(job_id=JOB, at=START, collection="photos", files=[odd]))
    assert ledger.rows["a"].report.path_b64 == odd.path_b64


def test_a_job_of_several_steps_says_how_far_it_is_and_how_it_ended() -> None:
    ledger = Ledger(seen("a"), step("Waiting for the end of job b."))
    assert ledger.status.message == "0 of 1 files so far have their outcome. Waiting for the end of job b."
    ledger.tell(ended("stored", "a"), step("All 1 pictures have vectors."), *sealed())
    assert ledger.status.message == "Completed: 1 stored. All 1 pictures have vectors."


@pytest.mark.parametrize("event", [sent(3), moved("hash", 3)], ids=["ml-sent", "moved"])
def test_numbers_are_added_once_for_each_message(event: events.AnyJobEvent) -> None:
    ledger = Ledger(event, event)
    ledger.deliver(0)
    ledger.deliver(1)
    assert ledger.job.ml_images_sent + ledger.job.moved["hash"] == 6


ROW = {
    "job_id": "j", "collection": "c", "sources": ["/photos"], "sources_total": 1, "caption": True, "reread": True,
    "task": "reembed", "accept_failed": True, "step": "Waiting.",
    "source": None, "removals": None,
    "model_id": "m", "queued_at": 1.0, "started_at": 2.0, "last_progress_at": 3.0, "offset": 9, "newest_at": 3.0,
    "begun_at": 0.5,
    "moved_by": 1, "walk_begun": True, "seals": {"w": [0, 1]}, "published": {"w": 2}, "partitions": 2, "walks_again": 1,
    "cancelled": True, "paused": True, "failed_reason": "no folder", "forgotten": True, "seen": 2,
    "closed_turns": [7], "whole_turns": [3, 5, 7],
    "counts": {"stored": 1, "cached": 0, "duplicate": 0, "unchanged": 0, "skipped": 1, "failed": 0},
    "walk_files": {"w": 2}, "keeps_counts": True, "skipped": {".mov": 1},
    "left_out": {"job_id": "j", "at": 2.0, "type": "left-out", "walk_id": "w", "files": 3, "folders": 1, "more": False},
    "moved": {"scan": 2, "hash": 2, "prepare": 1, "embed": 1, "store": 1, "track": 0}, "ml_images_sent": 1,
    "waiting": {"embed": "ml"}, "stalled": "no end marker", "active_offset": 8, "restarts": 1, "samples": [[2.0, 1]],
    "logs": ["Scan begun."],
}  # fmt: skip


def test_a_row_keeps_its_form() -> None:
    """Tables and views outlive a version, and workers of two versions write them during an upgrade."""
    assert Job.model_validate(ROW).model_dump(mode="json") == ROW
