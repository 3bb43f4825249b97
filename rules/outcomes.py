"""What becomes of a file, and which of two reports about it counts.

The fold is free of order: a file's outcome is the best of all that was reported, so a
redelivery that now sees a worse one changes nothing.
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


def fold_file(known: FileReport | None, report: FileReport, *, replay: bool) -> FileReport:
    """Return what is known of a file after one more report.

    A report of a replay can lift a failure (or tell of a file that has no outcome yet) and nothing else.
    Equal ranks are settled by the reason, so that the result depends on no order.
    """
    if known is None:
        return report
    if report.outcome is None:
        return known
    if replay and known.outcome not in {"failed", None}:
        return known
    if _order(report) < _order(known):
        return report
    return known


def _order(report: FileReport) -> tuple[int, str, str, str]:
    return _RANK[report.outcome], report.reason or "", report.sha256 or "", report.path
