"""What a watcher makes of what it is told: which changes are looked at, when, and in which folders.

Pure: times are seconds of one clock, paths are those of files.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from rules.paths import outermost, parent_of

State = Literal["watching", "by_schedule", "not_possible"]

QUIET_SECONDS = 1.0
"""So long nothing has been told of a file that is looked at: a copy pauses, a program writes a file in several goes.
Longer than hash waits for (`rules.hashing.STILL_SECONDS`), which so finds it still at once."""
OPEN_SECONDS = 60.0
"""As long, of a file that somebody has open for writing: a copy whose source or network hangs."""
LATEST_SECONDS = 600.0
"""So long after its first change a file is looked at as it is: one that is written to for ever."""
SECONDS_A_FILE = 0.01
LEAST_GATHERED_SECONDS = 0.5
MOST_GATHERED_SECONDS = 30.0
"""While more changes come, a look waits for as long as taking them in would take, about: so a burst is one look, and
both ends of a move are in one."""
MOST_NAMED = 100
MOST_NAMED_BYTES = 20_000
"""Paths that one look names, which stand in each message about it; of more, their folders."""
MOST_PENDING = 20_000
"""Files that are waited for one by one; of more, the whole source is looked at."""
EVERY_SECONDS = 300
"""How often a source is looked at that cannot be watched."""


class Change(NamedTuple):
    """When a file has changed: for the first time since it was looked at, and for the last.

    `is_open`: it was found to be open for writing since.
    """

    first: float
    last: float
    is_open: bool = False


def noted(before: Change | None, now: float) -> Change:
    """Return what is known of a file that has just changed."""
    return Change(now if before is None else before.first, now)


def is_settled(change: Change, now: float) -> bool:
    """Tell whether a file may be looked at, unless somebody has it open for writing."""
    return now - change.last >= QUIET_SECONDS or now - change.first >= LATEST_SECONDS


def may_be_open(change: Change, now: float) -> bool:
    """Tell whether a file that somebody has open for writing is waited for still."""
    return now - change.last < OPEN_SECONDS and now - change.first < LATEST_SECONDS


def ready(changes: Mapping[bytes, Change], now: float) -> list[bytes]:
    """Return the files that are looked at now, in one look; none where it is better to wait for more."""
    settled = [path for path, change in changes.items() if is_settled(change, now)]
    coming = [change for change in changes.values() if not change.is_open and not is_settled(change, now)]
    if settled and coming:
        since = min(changes[path].first for path in settled)
        patience = min(MOST_GATHERED_SECONDS, max(LEAST_GATHERED_SECONDS, len(changes) * SECONDS_A_FILE))
        if now - since < QUIET_SECONDS + patience:
            return []
    return settled


def merged(paths: Iterable[bytes]) -> list[bytes]:
    """Return what one look names: these paths, or the folders that they lie in.

    None of them lies in another.
    """
    found = outermost(paths)
    while len(found) > MOST_NAMED or sum(map(len, found)) > MOST_NAMED_BYTES:
        deepest = max(path.count(b"/") for path in found)
        found = outermost(parent_of(path) if path.count(b"/") == deepest else path for path in found)
    return found


def watches_to_allow(allowed: int, folders: int) -> int:
    """Return a limit of inotify watches that has room for so many folders beside all that is watched now."""
    return 1 << (allowed + folders - 1).bit_length()
