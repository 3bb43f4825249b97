"""`hashed-file`: keyed by SHA-256, so that equal content meets on one partition. This makes dedupe correct."""

from typing import Literal

from topics.content import Former
from topics.files import HashedFileOfJob, Nanoseconds, Sha256
from topics.limits import Name
from topics.record import Topic


class HashedFile(HashedFileOfJob):
    """A file whose content has been hashed. `ctime_ns`: of what was hashed, where that tells every later write.

    `walk_id`: the walk that found it, where nobody has said yet that the file was seen.
    `by_way_of`: the content that its path held before. The message is on the partition of that one, whose key it has;
    prepare passes it on to its own, with what is known of the `former` content.
    `back`: its path has left with this content before, and nobody holds it there since. What prepare knows of it may be
    from before.
    """

    ctime_ns: Nanoseconds | None = None
    walk_id: Name | None = None
    by_way_of: Sha256 | None = None
    former: Former | None = None
    back: Literal[True] | None = None

    @property
    def lies_by(self) -> str:
        """The content that is the key of its message."""
        return self.by_way_of or self.sha256


HASHED_FILE: Topic[HashedFile] = Topic(
    "hashed-file", key="sha256", record=HashedFile, has_bundles=True, brings_files=True
)
