"""`source-status`: what was found of sources. Written by scan alone; compacted.

A source has two records: under its name, when its schedule was last acted on; under `NAME/mounts`, what its folder was
on when it was last looked at as a whole. What a look found is in the status of its job, which names its source.
"""

from typing import Annotated

from pydantic import Field

from rules.mounts import Mount
from topics.files import JobId
from topics.record import Record, Topic
from topics.source import SourceName

MOUNTS = "/mounts"
"""Behind a name, in the key of what a folder is on."""


class SourceStatus(Record):
    """`due`: the newest time that was acted on, in seconds since 1970; `job_id`: the job that was begun for it.

    Or `mounts`: what the folder was on, and the source's `accepted` as it was then.
    """

    name: SourceName
    due: Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)] | None = None
    job_id: JobId | None = None
    mounts: tuple[Mount, ...] | None = None
    accepted: int = 0

    @property
    def key(self) -> str:
        """The key of its message."""
        return self.name if self.mounts is None else f"{self.name}{MOUNTS}"


SOURCE_STATUS: Topic[SourceStatus] = Topic(
    "source-status",
    key="name, or name/mounts",
    record=SourceStatus,
    compacted=True,
    event_id=lambda status, _: f"{status.key}/{status.due}",
)
