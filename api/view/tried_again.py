"""Closes dead letters of files that a look at a source has failed on, where a newer look no longer fails on them.

The file may be mended, replaced, left out or gone. `job-event` and `dead-letter` are read in no common order, so
nothing here depends on one: what is closed follows from the looks that have ended, and is worked out anew whenever a
letter of a source comes, and whenever a look at it ends.

A look is newer than a letter if it began behind it, by Kafka's clock. What its events tell decides, and no status that
was published: of a look whose events Kafka has no more, it is not known what it has failed on.
"""

import base64
import json
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from rules.dead_letters import is_mended
from rules.paths import is_within, normal
from tables.job import Job
from topics.job_status import COMPLETED, REMOVALS_SETTLED

LOOKS_AT_ONCE = 20
"""Of newer looks that might have tried a file again, the latest so many are asked."""
_WHOLE = REMOVALS_SETTLED - {"guarded"}


class _Letter(NamedTuple):
    partition: int
    offset: int
    path: bytes
    at: float  # seconds since 1970


def places(job: Job) -> str | None:
    """Return what a look has looked at, as JSON; None for what is no look, or has not seen all of what it looked at."""
    removals = job.removals
    if job.source is None or removals is None or job.forgotten or job.state not in COMPLETED:
        return None
    has_seen_all = removals.state in _WHOLE and not removals.unread and not removals.sweep.away
    return json.dumps(job.sources) if has_seen_all else None


def close_letters(connection: sqlite3.Connection, sources: Iterable[str]) -> None:
    """Close the letters of looks at these sources that newer looks have left nothing of."""
    for source in sources:
        letters = [
            _Letter(partition, offset, _bytes(path, path_b64), at / 1000)
            for partition, offset, path, path_b64, at in connection.execute(
                "SELECT partition, offset, path, path_b64, at FROM letters"
                " WHERE source = ? AND source != '' AND state = 'open'",
                (source,),
            )
        ]
        if letters:
            connection.executemany(
                "UPDATE letters SET state = 'replayed' WHERE partition = ? AND offset = ?",
                [letter[:2] for letter in _mended(connection, source, letters)],
            )


def _mended(connection: sqlite3.Connection, source: str, letters: list[_Letter]) -> list[_Letter]:
    looks = connection.execute(
        "SELECT number, begun, looked_at FROM jobs WHERE source = ? AND begun > ? AND looked_at IS NOT NULL"
        " ORDER BY begun DESC",
        (source, min(letter.at for letter in letters)),
    )
    mended: set[_Letter] = set()
    asked = 0
    for number, begun, looked_at in looks:
        roots = tuple(_bytes(path) for path in json.loads(looked_at))
        tried = [one for one in letters if one not in mended and one.at < begun and is_within(one.path, roots)]
        if tried:
            failed = set(_failed(connection, number))
            mended.update(one for one in tried if is_mended(one.path, failed))
            asked += 1
        if asked == LOOKS_AT_ONCE or len(mended) == len(letters):
            break
    return list(mended)


def _failed(connection: sqlite3.Connection, job: int) -> Iterable[bytes]:
    rows = connection.execute("SELECT path, path_b64 FROM files WHERE job = ? AND outcome = 'failed'", (job,))
    return (_bytes(path, path_b64) for path, path_b64 in rows)


def _bytes(path: str, path_b64: str | None = None) -> bytes:
    if path_b64 is not None:
        # Any program may have written the message that tells of it.
        with suppress(ValueError):
            return normal(base64.b64decode(path_b64, validate=True))
    return normal(path.encode("utf-8", "backslashreplace"))
