"""Where a reader of a partition begins: what it remembers, against what the log holds now. Pure."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LastRead:
    """The last message that was read of a partition: its offset, and its time as the log has it, in milliseconds.

    Together they name a log: one that lost its end and has grown again, or was made anew, has another time there.
    """

    offset: int
    at: int

    def encode(self) -> str:
        """Return it as a commit's metadata has it."""
        return f"last={self.offset}@{self.at}"


def decode_last_read(metadata: str) -> LastRead | None:
    """Return what a commit's metadata says; None where others have committed, or a version before this."""
    found = re.fullmatch(r"last=(\d{1,19})@(\d{1,19})", metadata, re.ASCII)
    return LastRead(*map(int, found.groups())) if found else None


def is_another_log(remembered: LastRead, stands_there: int | None, younger: int | None) -> bool:
    """Tell whether a log is another one than was read.

    `stands_there`: the time of the message at the remembered offset, None where there is none; `younger`: the first
    offset whose message is younger than the remembered one, None where none is. Messages that were deleted, compacted
    or damaged since say nothing; but what is younger than the last that was read stands behind it.
    """
    if stands_there is not None:
        return stands_there != remembered.at
    return younger is not None and younger <= remembered.offset


@dataclass(frozen=True, slots=True)
class Begin:
    """The offset to read first; `deleted`: messages between what is remembered and it, which are gone.

    `anew`: the log is another one than was read, or has lost its end. What it holds now was never read, maybe: all of
    it is.
    """

    offset: int
    deleted: int = 0
    anew: bool = False


def begin_at(remembered: int | None, first: int, end: int, *, is_another: bool = False) -> Begin:
    """Return where to begin, given the offset to be read next (None: nothing was read), and where the log begins, ends.

    `end` is the end of the log, not of what is committed: a transaction that is open says nothing of what was read.
    `is_another`: whether it is known to be another log than was read, though it may have grown beyond that.
    """
    if remembered is None:
        return Begin(first)
    if is_another or remembered > end:
        return Begin(first, anew=True)
    return Begin(max(remembered, first), deleted=max(0, first - remembered))
