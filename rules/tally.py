"""What leaves of one content: a path that left while another came is a move, not a loss."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rules.departures import Reason

Way = Literal["moved", "gone", "replaced", "excluded"]
"""How a path leaves."""


class Leaver(NamedTuple):
    """A path that leaves; `to`: where its file lies now, if it has moved. `is_lost`: its picture has no path then."""

    path: bytes
    way: Way
    to: bytes | None = None
    is_lost: bool = False


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


def leavers(leaving: Iterable[tuple[bytes, Reason]], stays: Iterable[tuple[bytes, bool]]) -> list[Leaver]:
    """Tell how the paths of one content in one collection leave.

    `leaving`: its paths that would leave, and why. `stays`: its other paths, and whether each came by the same walk.
    """
    reasons = dict(leaving)
    left = [(path, came) for path, came in stays if path not in reasons]
    came = iter(sorted({path for path, came in left if came}))
    is_lost = not left
    found = []
    for path, reason in sorted(reasons.items()):
        if reason == "gone" and (to := next(came, None)) is not None:
            found.append(Leaver(path, "moved", to))
        else:
            found.append(Leaver(path, reason, None, is_lost and reason != "replaced"))
    return found


def tally(found: Sequence[Leaver]) -> Tallied:
    """Count what leaves of one content."""
    ways = [one.way for one in found]
    return Tallied(
        moved=ways.count("moved"),
        gone=ways.count("gone"),
        replaced=ways.count("replaced"),
        excluded=ways.count("excluded"),
        lost=int(any(one.is_lost for one in found)),
    )
