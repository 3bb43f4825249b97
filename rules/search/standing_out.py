"""How many hits stand clear of the rest, where a model tells no probability: those before a fall that is no chance.

Of pictures that a text or a picture has nothing to do with, the best similarities lie ever closer together: with n the
place, the falls between them times n are about alike, whatever the model (Rényi, "On the theory of order statistics",
1953; it holds for the top of all distributions with a light tail, such as cosines have). So what falls between two hits
is compared with what falls over many hits behind them.
"""

from collections.abc import Sequence
from itertools import pairwise

FOLLOWING = 20
"""Hits behind a fall that are looked at, at least: with fewer pictures nothing is claimed."""
FOR_EACH = 2
"""The same, for each hit before the fall."""
TIMES = 4.0
"""A fall must be so many times what falls over the hits behind it. By chance 4 of 10,000 searches have one: the product
of j / (j + 4) for j from 2 to 21 behind the first place, and next to nothing behind the others."""
_EQUAL = 1e-4
"""Share of the whole fall within which similarities are one: copies of a picture are one picture here."""


def standing_out(similarities: Sequence[float]) -> int | None:
    """Return how many of the first hits stand clear of those behind them; None where nothing can be claimed.

    `similarities`: of the nearest pictures, as many as there are, up to some hundred; or distances, the nearest first.
    """
    if not similarities:
        return None
    close = _EQUAL * abs(similarities[0] - similarities[-1])
    falls = [place for place, (one, other) in enumerate(pairwise(similarities), 1) if abs(one - other) > close]
    levels = [similarities[0], *(similarities[place] for place in falls)]
    clearest, found = TIMES, None
    for before, place in enumerate(falls, 1):
        last = before + max(FOLLOWING, FOR_EACH * before)
        if last >= len(levels):
            break
        fall = abs(similarities[place - 1] - similarities[place])
        behind = abs(levels[before] - levels[last])
        if fall >= clearest * behind:
            clearest, found = fall / behind, place
    return found
