"""What walks of sources brought, and hash found unchanged: a look for what has left need not ask the disk of it."""

from collections.abc import Iterable, Sequence

MOST = 250_000
"""Rows that are remembered, some 16 MB. Of all others the disk is asked."""
MOST_WALKS = 100
"""Walks that are remembered: of a source that is looked at each minute, each may bring a few rows alone, or none."""

_Row = tuple[bytes, bytes]


class Brought:
    """Paths with their rows, by the walk that brought them, as long as this process lives.

    A row that has changed since is another one: what it says by now is looked at.
    """

    def __init__(self) -> None:
        self._walks: dict[str, set[int]] = {}

    def note(self, walk_id: str, rows: Sequence[_Row]) -> None:
        """Note what a walk brought, in place of what older walks did where that is too much."""
        walk = self._walks.setdefault(walk_id, set())
        while len(self._walks) > MOST_WALKS or sum(map(len, self._walks.values())) + len(rows) > MOST:
            oldest = next(iter(self._walks))
            if oldest == walk_id:
                return
            del self._walks[oldest]
        walk.update(map(hash, rows))

    def others(self, walk_id: str, rows: Iterable[_Row]) -> list[_Row]:
        """Return the rows that a walk did not bring, as far as is known here."""
        walk = self._walks.get(walk_id, set())
        return [row for row in rows if hash(row) not in walk]
