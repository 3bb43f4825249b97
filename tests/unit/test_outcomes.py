"""What a file ends as does not depend on the order of the reports, nor on how often they come."""

from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.outcomes import OUTCOMES, FileReport, fold_file

reports = st.builds(
    FileReport,
    file_id=st.just("f"),
    path=st.sampled_from(["/a", "//a"]),
    outcome=st.sampled_from([*OUTCOMES, None]),
    reason=st.sampled_from([None, "gone", "broken"]),
    sha256=st.sampled_from([None, "0" * 64]),
)
Told = tuple[FileReport, bool]  # the report, and whether it is a replay's
told_reports = st.lists(st.tuples(reports, st.booleans()), min_size=1, max_size=6)


def fold(reports: list[Told], known: FileReport | None = None) -> FileReport | None:
    return reduce(lambda known, told: fold_file(known, told[0], replay=told[1]), reports, known)


def rank(report: FileReport | None) -> int:
    return len(OUTCOMES) if report is None or report.outcome is None else OUTCOMES.index(report.outcome)


@settings(max_examples=200)
@given(st.lists(reports, min_size=1, max_size=6), st.data())
def test_any_order_and_any_repetition_end_the_same(reports: list[FileReport], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(reports), max_size=4))
    other = data.draw(st.permutations([*reports, *again]))
    assert fold([(r, False) for r in other]) == fold([(r, False) for r in reports])


@settings(max_examples=200)
@given(st.lists(reports, min_size=1, max_size=6))
def test_the_best_report_counts(reports: list[FileReport]) -> None:
    assert rank(fold([(r, False) for r in reports])) == min(map(rank, reports))


@settings(max_examples=200)
@given(told_reports, st.data())
def test_what_was_folded_changes_nothing_when_it_comes_again(told: list[Told], data: st.DataObject) -> None:
    end = fold(told)
    again = data.draw(st.lists(st.sampled_from(told), max_size=6))
    assert fold(again, end) == end


@settings(max_examples=200)
@given(told_reports)
def test_no_report_makes_an_outcome_worse(told: list[Told]) -> None:
    known = None
    for report, replay in told:
        folded = fold_file(known, report, replay=replay)
        assert rank(folded) <= rank(known)
        known = folded


@settings(max_examples=200)
@given(reports, reports)
def test_a_replay_lifts_a_failure_and_nothing_else(known: FileReport, report: FileReport) -> None:
    folded = fold_file(known, report, replay=True)
    if known.outcome == "failed":
        assert folded == (known if report.outcome in {"failed", None} else report)
    elif known.outcome is not None:
        assert folded == known


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_replay_tells_of_a_file_without_an_outcome(outcome: str) -> None:
    report = FileReport("f", "/a", outcome)  # type: ignore[arg-type]
    assert fold_file(None, report, replay=True) == report
    assert fold_file(FileReport("f", "/a"), report, replay=True) == report
