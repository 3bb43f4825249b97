"""Points at which a test can end the process: each stands where the design says that a kill is harmless.

`DARKROOM_FAILPOINT=name` makes the process kill itself with SIGKILL when it first reaches the point
of that name, `name:3` at the third time. Nothing happens at points that are not armed.
"""

import os
import signal
from typing import Literal, cast, get_args

from core.errors import FatalError

Point = Literal[
    "sync-asked",  # the scan request of a source that is due is delivered, nothing says that it was acted on
    "watch-news",  # a watcher has told what is to be looked at, nobody is asked to
    "scan-walked",  # all files are delivered, no sentinel is sent
    "hash-seen",  # seen is delivered, hashed-file is not sent
    "hash-sent",  # hashed-file is delivered, its event is not acked
    "edit-passed-on",  # an edited file is sent on with what is known of its former content, its event is not acked
    "edit-written",  # its db-write is delivered, image-outcome does not say yet that its content is known
    "known-told",  # what prepare knows of a folder is told, the next step is not asked for
    "sweep-step",  # what a step of a sweep found is sent, the next step is not
    "sweep-sent",  # what leaves is sent, the rows still hold it
    "left-kept",  # prepare has noted what leaves, store is not told
    "store-left",  # a path has left its point, its message is not acked
    "forget-told",  # hash has told prepare what is forgotten, its rows still hold it
    "erase-noted",  # prepare has noted that a content leaves for good, store is not told
    "store-erased",  # its points are gone, prepare is not told
    "erase-concluded",  # what is known of it is gone, the message that says so is not acked
    "hash-sealed",  # sealed is sent, the tombstones are not
    "unchanged-told",  # the outcome of unchanged files is delivered, their hashed-file is not acked
    "prepare-claimed",  # the claim is written, ml-request is not sent
    "prepare-sent",  # ml-request is delivered, its event is not acked
    "prepare-waiting",  # the row of a waiter is delivered, its event is not acked
    "waiters-emitted",  # db-write of the waiters is delivered, their rows are still there
    "waiter-promoted",  # ml-request of a new owner is delivered, it is still among those that wait
    "claim-ended",  # the rows of a claim that ended are delivered, image-outcome is not acked
    "dead-lettered",  # the dead letter is delivered, the outcome is not sent
    "failure-reported",  # the outcome is delivered, image-outcome is not sent
    "fingerprints-row-written",  # a row is in RocksDB, its changelog record is not sent
    "known_images-row-written",
    "jobs-row-written",
    "embed-answered",  # ML has answered, db-write is not sent
    "embed-written",  # db-write is delivered, ml-request is not acked
    "store-upserted",  # Qdrant confirmed, job-event is not sent
    "store-reported",  # the outcome is delivered, image-outcome is not sent
    "store-concluded",  # image-outcome is delivered, db-write is not acked
    "track-checkpoint",  # the row of a job is written, its status is not sent
    "reembed-filled",  # the next generation of a collection is whole, the former one serves
    "reembed-switched",  # the next one serves, the former is not gone
]

_armed: tuple[str, int] | None = None
_reached = 0


def arm(setting: str) -> None:
    """Arm the point that the setting names; an empty setting arms none. Raises FatalError for an unknown one."""
    global _armed, _reached
    name, _, times = setting.partition(":")
    if name and name not in get_args(Point):
        raise FatalError(f"DARKROOM_FAILPOINT names {name!r}; there are {', '.join(get_args(Point))}.")
    _armed, _reached = ((name, int(times or 1)) if name else None), 0


def row_written(table: str) -> Point:
    """Return the point behind the write of a row of a table."""
    return cast(Point, f"{table}-row-written")


def reach(name: Point) -> None:
    """Kill this process if this point is armed and it is time."""
    global _reached  # noqa: PLW0603 - see above
    if _armed is None or _armed[0] != name:
        return
    _reached += 1
    if _reached == _armed[1]:
        os.kill(os.getpid(), signal.SIGKILL)
