"""`hashed-file`: keyed by SHA-256, so that equal content meets on one partition. This makes dedupe correct."""

from topics.files import HashedFileOfJob, Nanoseconds
from topics.limits import Name
from topics.record import Topic


class HashedFile(HashedFileOfJob):
    """A file whose content has been hashed. `ctime_ns`: of what was hashed, where that tells every later write.

    `walk_id`: the walk that found it, where nobody has said yet that the file was seen.
    """

    ctime_ns: Nanoseconds | None = None
    walk_id: Name | None = None


HASHED_FILE: Topic[HashedFile] = Topic(
    "hashed-file", key="sha256", record=HashedFile, has_bundles=True, brings_files=True
)
