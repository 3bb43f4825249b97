"""Has the system tell of changes in folders, by `watchfiles`: each net is one inotify instance, drained by a thread."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

from core.errors import FileError
from rules.watching import watches_to_allow
from rules.wording import plural

STEP_MILLISECONDS = 50
MOST_MILLISECONDS = 500
"""So long changes are gathered while more of them come."""
_LIMITS = Path("/proc/sys/fs/inotify")


class Told(NamedTuple):
    """A path that has changed, and when. `is_left`: something that was there was deleted or moved away."""

    path: bytes
    is_left: bool
    at: float


Lost = None
"""What was told is not known: anything may have changed."""


class Net:
    """Folders that are watched, not what is below them, until `close`."""

    def __init__(self, folders: Sequence[str], told: "SimpleQueue[list[Told] | None]") -> None:
        """Begin. Raises FileNotFoundError where one is gone, PermissionError; FileError where the system refuses."""
        try:
            self._notify = RustNotify(
                list(folders),
                debug=False,
                force_polling=False,
                poll_delay_ms=0,
                recursive=False,
                ignore_permission_denied=False,
            )
        except (FileNotFoundError, PermissionError):
            raise
        except (OSError, RuntimeError) as error:
            raise FileError(_why(error, len(folders))) from error
        self.folders = tuple(folders)
        self._told = told
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drain, name="net", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, within a moment. What is told until then may still come."""
        self._stop.set()

    def _drain(self) -> None:
        with self._notify:
            while True:
                try:
                    # Without a limit of its own: what comes at the end of one is lost.
                    changes = self._notify.watch(MOST_MILLISECONDS, STEP_MILLISECONDS, 0, self._stop)
                except RuntimeError:  # a name that is no text, say: it hides all others
                    self._told.put(Lost)
                    return
                if isinstance(changes, str):
                    return
                at = time.monotonic()
                self._told.put([Told(path.encode(), kind == Change.deleted, at) for kind, path in changes])


def _why(error: Exception, folders: int) -> str:
    if "MaxFilesWatch" in str(error):
        allowed = _limit("max_user_watches")
        wanted = watches_to_allow(allowed, folders)
        return (
            f"{plural(folders, 'folder is', 'folders are')} to be watched, and the system "
            f"allows {allowed:,} watches in all. `sysctl fs.inotify.max_user_watches={wanted}` allows enough"
        )
    if "os error 24" in str(error):
        allowed = _limit("max_user_instances")
        return (
            f"the system allows {allowed:,} watchers, or this process no further file. "
            f"`sysctl fs.inotify.max_user_instances={watches_to_allow(allowed, 128)}` allows more"
        )
    return f"the system refuses to watch: {error}"


def _limit(name: str) -> int:
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return 0
