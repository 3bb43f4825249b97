"""Whether a worker goes on with a local table: not where its changelog may have lost tombstones since the last use.

A row that was deleted meanwhile would live on. A file beside the table says when it was last in use. Where a clock was
wrong, then or now, the table is made anew, which costs reading its changelog.
"""

import shutil
from pathlib import Path

import structlog

NOTE = "last-used"
# Half of what tombstones stay: the other half is for clocks.
SAFE = 0.5

log = structlog.get_logger()


def is_too_old(noted: float | None, now: float, kept_seconds: float) -> bool:
    """Tell whether rows may have been deleted unseen. `noted`: when the table was last in use; None: nobody knows.

    Times in seconds since 1970. One that lies ahead says that a clock is wrong.
    """
    return noted is None or noted > now or now - noted > kept_seconds * SAFE


def open_tables(folder: Path, *, now: float, newest: float, kept_seconds: float) -> None:
    """Remove a stage's tables if they are too old. `newest`: the time of the newest message that Kafka has shown.

    Where that is ahead of our clock, ours is behind, and tells nothing.
    """
    if any(folder.glob("*/tables/*.db")):
        noted = _read(folder)
        if is_too_old(noted, now, kept_seconds) or newest > now + 60:
            log.warning("tables-made-anew", folder=str(folder), last_used=noted)
            for tables in folder.glob("*/tables"):
                shutil.rmtree(tables)
    note(folder, now)


def note(folder: Path, now: float) -> None:
    """Note that a stage's tables are in use. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{NOTE}.new"
    draft.write_text(f"{now:.0f}\n")
    draft.replace(folder / NOTE)


def _read(folder: Path) -> float | None:
    try:
        return float((folder / NOTE).read_text())
    except (OSError, ValueError):
        return None
