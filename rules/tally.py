"""What leaves of one content, counted: a path that left while another came is a move, not a loss."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rules.departures import Reason


class Tallied(NamedTuple):
    """Paths by what became of them; `lost`: whether the picture has no path then, and not for an edit alone."""

    moved: int = 0
    gone: int = 0
    replaced: int = 0
    excluded: int = 0
    lost: int = 0

    def plus(self, other: "Tallied") -> "Tallied":
        """Return the sums."""
        return Tallied(*(one + two for one, two in zip(self, other, strict=True)))


def tally(leaving: Sequence[tuple[bytes, Reason]], stays: Iterable[tuple[bytes, bool]]) -> Tallied:
    """Count one content in one collection.

    `leaving`: its paths that would leave, and why. `stays`: its other paths, and whether each came by the same walk.
    """
    paths = {path for path, _ in leaving}
    left = [(path, came) for path, came in stays if path not in paths]
    came = len({path for path, came in left if came})
    absent = sum(reason == "gone" for _, reason in leaving)
    excluded = sum(reason == "excluded" for _, reason in leaving)
    moved = min(absent, came)
    return Tallied(
        moved=moved,
        gone=absent - moved,
        replaced=len(leaving) - absent - excluded,
        excluded=excluded,
        lost=int(not left and absent + excluded > 0),
    )
