"""`source-status`: what was found of sources. Written by scan alone; compacted.

A source has up to three records: under its name, when its schedule was last acted on; under `NAME/mounts`, what its
folder was on when it was last looked at as a whole; under `NAME/watch`, whether it is watched, where it is to be. What
a look found is in the status of its job, which names its source.
"""

from rules.mounts import Linked, Mount
from rules.watching import State
from topics.files import JobId
from topics.limits import Count, Moment
from topics.record import Record, Topic
from topics.source import SourceName

MOUNTS = "/mounts"
"""Behind a name, in the key of what a folder is on."""
WATCH = "/watch"
"""Behind a name, in the key of whether it is watched."""


class Watching(Record):
    """Whether a source is watched: how many folders are, or how often it is looked at in place of that, and why."""

    state: State
    folders: Count = 0
    every_seconds: Count | None = None
    reason: str | None = None


class SourceStatus(Record):
    """`due`: the newest time that was acted on, in seconds since 1970; `job_id`: the job that was begun for it.

    Or `mounts`: what the folder was on, and `links` in it to other mounts, with the source's `accepted` as it was then.
    Or `watching`.
    """

    name: SourceName
    due: Moment | None = None
    job_id: JobId | None = None
    mounts: tuple[Mount, ...] | None = None
    links: tuple[Linked, ...] = ()
    accepted: int = 0
    watching: Watching | None = None

    @property
    def key(self) -> str:
        """The key of its message."""
        if self.watching is not None:
            return f"{self.name}{WATCH}"
        return self.name if self.mounts is None else f"{self.name}{MOUNTS}"


SOURCE_STATUS: Topic[SourceStatus] = Topic(
    "source-status",
    key="name, name/mounts or name/watch",
    record=SourceStatus,
    compacted=True,
    event_id=lambda status, _: f"{status.key}/{status.due}",
)
