"""What becomes of a file, and which of two reports about it counts.

The best report counts, in whatever order they come: a file that is `stored` stays so when a redelivery finds it
`cached`. Only for reports of a replay does the order matter: they lift a failure that stands before them, and change
nothing else. All readers agree all the same, as they read the topic in the same order. A report that was folded
changes nothing when it comes again.
"""

from dataclasses import dataclass
from typing import Literal, get_args

Outcome = Literal["stored", "cached", "duplicate", "unchanged", "skipped", "failed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)  # best first

_RANK: dict[Outcome | None, int] = {outcome: rank for rank, outcome in enumerate(OUTCOMES)} | {None: len(OUTCOMES)}


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file of one job: what was last known of it. `outcome` is None until it has one."""

    file_id: str
    path: str
    outcome: Outcome | None = None
    reason: str | None = None
    sha256: str | None = None
    path_b64: str | None = None  # as in rules.paths: the bytes of a path that is not UTF-8


def fold_file(known: FileReport | None, report: FileReport, *, replay: bool) -> FileReport:
    """Return what is known of a file after one more report.

    A report of a replay counts only where the file has failed, or has no outcome yet; one that says `failed` again does
    not change the reason. Of two reports of equal rank the one whose reason sorts first counts, so that the result
    depends on no order.
    """
    if known is None:
        return report
    lifts = known.outcome is None or known.outcome == "failed" != report.outcome
    if replay and not lifts:
        return known
    return min(known, report, key=_order)


def _order(report: FileReport) -> tuple[int, str, str, str, bool, str]:
    path_b64 = report.path_b64
    return (
        _RANK[report.outcome],
        report.reason or "",
        report.sha256 or "",
        report.path,
        path_b64 is None,
        path_b64 or "",
    )
