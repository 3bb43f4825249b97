"""What happens to a sync once its walk is whole, on `job-event`: what has left is looked for, counted and removed."""

from typing import Annotated, Literal

from pydantic import Field

from rules.departures import GuardCode
from rules.tally import Way
from topics.files import JobId, OfJob, Sha256
from topics.limits import Count, PathText, Reason
from topics.record import Record
from topics.sweep import Sweep


class Sweeping(OfJob):
    """A source's walk is whole: what has left its folder is looked for, behind its end markers.

    A request that is delivered again is walked again. What all its walks find to have left is that of one sync.
    """

    type: Literal["sweeping"] = "sweeping"
    sweep: Sweep
    # In the collection, before the walk; and those that were lost by other syncs of the source within seven days.
    pictures: Count
    lost_lately: Count = 0


class Guarded(OfJob):
    """Nothing is removed for what a walk of a sync has not found, and why."""

    type: Literal["guarded"] = "guarded"
    code: GuardCode | None = None
    reason: Reason


class Overtaken(OfJob):
    """A newer look (`by`) at all that a sync of a source has looked at is whole: it asks anew, if anybody is asked."""

    type: Literal["overtaken"] = "overtaken"
    by: JobId


class Swept(OfJob):
    """Hash has looked for what would leave by a sync, in one partition of `raw-path`.

    `departed`: contents that would, each with its path. `unread`: paths of which the disk did not tell.
    """

    type: Literal["swept"] = "swept"
    partition: Count
    partitions: Annotated[int, Field(ge=1)]
    departed: Count = 0
    unread: Count = 0


class LeavingFile(Record):
    """A path that would leave with a content; `to`: where the file lies now. `lost`: its picture has no path then."""

    path: PathText
    sha256: Sha256
    way: Way
    to: PathText | None = None
    lost: bool = False


class WouldLeave(OfJob):
    """Which files prepare counts among those that would leave by a sync: for people, no part of the accounting."""

    type: Literal["would-leave"] = "would-leave"
    files: list[LeavingFile]


class Tallied(OfJob):
    """Prepare has counted what would leave by a sync, in one partition. `lost`: pictures that would have no path."""

    type: Literal["tallied"] = "tallied"
    partition: Count
    moved: Count
    gone: Count
    replaced: Count
    excluded: Count
    lost: Count


class LeftAll(OfJob):
    """Store has removed what `sent_from`, a partition of `raw-path`, had to be removed of one of `db-write`."""

    type: Literal["left-all"] = "left-all"
    round: Count
    sent_from: Count
    partition: Count


ToRemovals = Guarded | Overtaken | Swept | Tallied | LeftAll
"""What is told of a sync behind `Sweeping`, and changes where its removals stand."""
