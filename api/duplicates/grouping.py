"""Groups of things that belong together, from pairs that do."""


class Groups:
    """A union-find: each member leads to another one of its group, and the last one leads to itself."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}
        self._best: dict[str, float] = {}

    def join(self, one: str, other: str, score: float) -> None:
        """Say that two belong together, and how much alike they are."""
        for member in (one, other):
            self._above.setdefault(member, member)
            self._best[member] = max(score, self._best.get(member, score))
        self._above[self._top(one)] = self._top(other)

    def groups(self) -> list[list[tuple[str, float]]]:
        """Return the groups, those that are most alike first; of each member how much it is like its nearest."""
        found: dict[str, list[tuple[str, float]]] = {}
        for member, score in self._best.items():
            found.setdefault(self._top(member), []).append((member, score))
        ordered = [sorted(group, key=lambda one: (-one[1], one[0])) for group in found.values()]
        return sorted(ordered, key=lambda group: (-group[0][1], group[0][0]))

    def _top(self, member: str) -> str:
        while (above := self._above[member]) != member:
            self._above[member] = self._above[above]
            member = above
        return member
