"""When a source is looked at, and what the job of that look is called."""

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime

from core.errors import RequestError
from rules.identity import new_id
from rules.paths import is_within, normal
from rules.watchdog import NO_END_MARKER

CLOCKS_DIFFER_SECONDS = 60.0
"""By so much those of two machines may; what lies further ahead was noted by a clock that was wrong."""
SILENT_SECONDS = 6 * 3600
"""After so long without a word of it, a look holds up no other one of its source."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def due(wanted_at: float, every: float | None, done: float | None, now: float) -> float | None:
    """Return the time for which a source is to be looked at now; None: not yet.

    `wanted_at`: when it was added or changed, by Kafka's clock: that is its first time. `every`: seconds between two.
    `done`: the time that was acted on last; one that is yet to come says nothing, or the source would not be looked at
    until then. However many times were missed, the newest of them stands for all.
    """
    newest = wanted_at
    if every is not None and now > wanted_at:
        newest += (now - wanted_at) // every * every
    is_to_come = done is not None and done > max(now, wanted_at) + CLOCKS_DIFFER_SECONDS
    return newest if done is None or newest > done or is_to_come else None


def following(wanted_at: float, every: float | None, now: float) -> float | None:
    """Return when a source is looked at by itself for the next time, behind now; None: never."""
    return None if every is None else wanted_at + max(0, (now - wanted_at) // every + 1) * every


def overtakes(looked_at: Iterable[str], before: Iterable[str]) -> bool:
    """Tell whether a look at some folders and files sees all that an earlier one has seen."""
    places = tuple(normal(os.fsencode(path)) for path in looked_at)
    return all(is_within(normal(os.fsencode(path)), places) for path in before)


def is_look_at(folder: str, collection: str, *, looked_at: Iterable[str], into: str) -> bool:
    """Tell whether a look at some places, for a collection `into`, is one at a source that keeps a folder in step.

    Another source, of another folder or collection, may have had its name before.
    """
    return into == collection and overtakes([folder], looked_at)


def holds_up(silent: float, *, stalled: str | None, paused: bool) -> bool:
    """Tell whether an unfinished look at a source is waited for, before it is looked at anew.

    `silent`: seconds since anything was heard of it. Any program may say that it looks at a source, and never say that
    it has ended; and what stages had of a look may be lost. A look that was only slow is then under way twice, which
    changes nothing. What a person has paused is waited for.
    """
    return paused or (stalled != NO_END_MARKER and silent < SILENT_SECONDS)


def scheduled_job(name: str, due: float) -> str:
    """Return the id of the job for a time: the same for whoever computes it, so that there is one."""
    moment = datetime.fromtimestamp(round(due * 1000) / 1000, UTC)
    return f"sync-{name}-{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}"


def asked_job(name: str) -> str:
    """Return a fresh id for a look that somebody asks for."""
    return f"sync-{name}-{new_id()}"


def seconds_of(text: str) -> int:
    """Return the seconds of a time such as `90s`, `30m`, `6h`, `1d`, `2w`. Raises RequestError(422)."""
    found = re.fullmatch(r"\s*([0-9]{1,9})\s*([smhdw])\s*", text.casefold())
    if found is None:
        raise RequestError(f"{text[:40]!r} is no time: write a number and s, m, h, d or w, such as 30m, 6h or 1d.", 422)
    return int(found[1]) * _UNITS[found[2]]


def in_words(seconds: int) -> str:
    """Return a time as `seconds_of` reads it, in its largest unit."""
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if seconds % size == 0)
    return f"{seconds // size}{unit}"


def name_for(folder: str, taken: set[str]) -> str:
    """Return a name for the source of a folder that no other has: `photos`, then `photos-2`."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.rstrip("/").rpartition("/")[2])[:56].strip("-._") or "source"
    names = (plain if number == 1 else f"{plain}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)
