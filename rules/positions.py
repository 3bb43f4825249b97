"""Where a reader of a partition begins: what it remembers, against what the log holds now. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Begin:
    """The offset to read first; `deleted`: messages between what is remembered and it, which are gone.

    `anew`: the log ends before what is remembered, so it is another one, or has lost its end. What it holds now was
    never read, maybe: all of it is.
    """

    offset: int
    deleted: int = 0
    anew: bool = False


def begin_at(remembered: int | None, first: int, end: int) -> Begin:
    """Return where to begin, given the offset to be read next (None: nothing was read), and where the log begins, ends.

    `end` is the end of the log, not of what is committed: a transaction that is open says nothing of what was read.
    """
    if remembered is None:
        return Begin(first)
    if remembered > end:
        return Begin(first, anew=True)
    return Begin(max(remembered, first), deleted=max(0, first - remembered))
