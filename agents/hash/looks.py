"""Looks of sweeps at the disk, and the paths that were in work meanwhile."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from agents.hash.absence import Absence
from agents.hash.in_work import InWork
from agents.leaving_out import Chosen
from agents.roots import allowed_roots
from core.errors import FileError
from core.settings import Settings
from rules.departures import Guard
from rules.leaving_out import Patterns
from topics.sweep import Sweep


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the disk, or why there can be none. `in_work`: the paths that were in work since it began.

    Such a path may have been written after its folder was listed, and would look gone.
    """

    absence: Absence | Guard
    in_work: set[bytes]


@dataclass(slots=True)
class _Shared:
    """A look, what ends it, and how many steps take part in it."""

    look: Look
    end: ExitStack
    steps: int = 0


class Looks:
    """Gives looks, as context managers."""

    def __init__(self, settings: Settings, in_work: InWork) -> None:
        self._settings = settings
        self._in_work = in_work
        self._shared: dict[tuple[str, int | None], _Shared] = {}

    @contextmanager
    def of(self, sweep: Sweep, partition: int) -> Iterator[Look]:
        """Give the look of a step: one for all partitions that are looked at at once, as the folders are the same."""
        key = (sweep.job_id, None if sweep.phase == "look" else partition)
        if (shared := self._shared.get(key)) is None:
            end = ExitStack()
            shared = self._shared[key] = _Shared(end.enter_context(self.anew(sweep)), end)
        shared.steps += 1
        try:
            yield shared.look
        finally:
            shared.steps -= 1
            if not shared.steps:
                del self._shared[key]
                shared.end.close()

    @contextmanager
    def anew(self, sweep: Sweep) -> Iterator[Look]:
        """Give a look of its own."""
        with self._in_work.watched() as in_work:
            yield Look(self._absence(sweep), in_work)

    def _absence(self, sweep: Sweep) -> Absence | Guard:
        try:
            roots = allowed_roots(sweep.roots, self._settings)
            chosen = Chosen(Patterns(sweep.exclude), Patterns(self._settings.scan_exclude), frozenset({sweep.root}))
        except (FileError, ValueError) as error:
            return Guard("unreadable", str(error))
        return Absence(sweep.root, roots, chosen, sweep.mounts, links=sweep.links, away=sweep.away)
