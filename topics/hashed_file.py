"""`hashed-file`: keyed by SHA-256, so that equal content meets on one partition. This makes dedupe correct."""

from topics.files import HashedFileOfJob
from topics.record import Topic


class HashedFile(HashedFileOfJob):
    """A file whose content has been hashed. `ctime_ns`: of what was hashed, where that tells every later write."""

    ctime_ns: int | None = None


HASHED_FILE: Topic[HashedFile] = Topic("hashed-file", key="sha256", record=HashedFile, has_bundles=True)
