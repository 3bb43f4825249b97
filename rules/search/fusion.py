"""Several lists of hits as one: reciprocal rank fusion.

Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods" (SIGIR
2009). Hits of one score have one rank, so that of many that have the same words, the nearest by meaning come first.
"""

from collections import defaultdict
from collections.abc import Sequence

K = 60
"""As the authors have it."""

Order = Sequence[tuple[str, float]]
"""Ids with their scores, best first."""


def fused(orders: Sequence[Order]) -> list[tuple[str, float]]:
    """Return all ids, best first; of one score by their ids. The score is the share of what the first in all has."""
    found: defaultdict[str, float] = defaultdict(float)
    for order in orders:
        rank, before = 0, None
        for place, (one, score) in enumerate(order):
            if score != before:
                rank, before = place, score
            found[one] += K / (K + rank) / len(orders)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))
