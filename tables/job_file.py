"""One file of a job: what is known of it, and which event told what.

The counters of a job are written less often than the rows of its files, so after a kill a row may be ahead of them,
or behind. With the offsets in the row, what the counters hold of a file is known, however far they are: a job is
loaded without a look at its files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from rules.kinds import kind_of
from rules.outcomes import FileReport, Outcome, fold_file

# Requests may be delivered again and again, and each walk finds all files again; the newest few are remembered.
MAX_WALKS = 20


def kind_of_skipped(file: FileReport) -> str | None:
    """Return the kind of a file that is skipped, None for any other."""
    return kind_of(file.path, file.reason) if file.outcome == "skipped" else None


class Counted(NamedTuple):
    """What the counters of a job hold of a file that they know."""

    outcome: Outcome | None
    kind: str | None  # of a skipped file, as rules.kinds has them
    walks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file, the offsets of the events that changed its outcome, and of those that named a walk that found it.

    With each outcome goes the kind of a skipped file.
    """

    report: FileReport
    outcomes: tuple[tuple[int, Outcome | None, str | None], ...]
    walks: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, report: FileReport, walks: tuple[str, ...] = ()) -> "JobFile":
        """Return a file whose counters are never behind it or ahead: those of the API's view, or of a job's end."""
        return cls(report, ((-1, report.outcome, kind_of_skipped(report)),), tuple((-1, walk) for walk in walks))

    def at(self, offset: int) -> Counted | None:
        """Return what counters that include the events up to `offset` hold of this file; None: they do not know it."""
        known = [(outcome, kind) for told, outcome, kind in self.outcomes if told <= offset]
        return Counted(*known[-1], tuple(walk for told, walk in self.walks if told <= offset)) if known else None


@dataclass(frozen=True, slots=True)
class NewFiles:
    """Files, as columns, that had no row before one event told of them, and have all ended alike, without a reason."""

    offset: int
    outcome: Outcome
    walk_id: str | None
    file_ids: list[str]
    paths: list[str]
    sha256s: list[str]

    @property
    def outcomes(self) -> tuple[tuple[int, Outcome | None, str | None], ...]:
        """As each of them has it."""
        return ((self.offset, self.outcome, None),)

    @property
    def walks(self) -> tuple[tuple[int, str], ...]:
        """As each of them has it."""
        return () if self.walk_id is None else ((self.offset, self.walk_id),)

    def each(self) -> Iterator[JobFile]:
        """Yield the files, one by one."""
        outcomes, walks = self.outcomes, self.walks
        for file_id, path, sha256 in zip(self.file_ids, self.paths, self.sha256s, strict=True):
            yield JobFile(FileReport(file_id, path, self.outcome, None, sha256), outcomes, walks)


def fold(known: JobFile | None, report: FileReport, offset: int, *, replay: bool, walk_id: str | None) -> JobFile:
    """Return a file after one more report, of the event at `offset`; the same object where it says nothing new."""
    folded = fold_file(known.report if known else None, report, replay=replay)
    outcomes, walks = (known.outcomes, known.walks) if known else ((), ())
    newest = folded.outcome, kind_of_skipped(folded)
    if not outcomes or outcomes[-1][1:] != newest:
        outcomes = (*outcomes, (offset, *newest))
    if walk_id is not None and all(walk != walk_id for _, walk in walks):
        walks = (*walks, (offset, walk_id))[-MAX_WALKS:]
    changed = JobFile(folded, outcomes, walks)
    return known if known == changed else changed
