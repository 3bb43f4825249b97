"""`raw-path`: one file to be taken in. Also the entry point for other programs; a null value is a sentinel."""

from topics.files import FileOfJob
from topics.limits import Name
from topics.record import Topic


class RawPath(FileOfJob):
    """A file that nothing is known about but its path.

    `walk_id`: the walk that found it. Of a walk whose files say so, and whose end markers say how many they are, it
    is known how many were published and never seen.
    `counted`: the end markers of that walk say so. Then a file that has not changed need not be seen before it has its
    outcome, which is cheaper; of another walk, the end could come before these.
    """

    walk_id: Name | None = None
    counted: bool | None = None


# Never compacted: the null value of a sentinel would delete the files with the same key.
RAW_PATH: Topic[RawPath] = Topic(
    "raw-path",
    key="path",
    record=RawPath,
    has_bundles=True,
    brings_files=True,
    event_id=lambda file, headers: f"{file.file_id}/{headers.attempt}",
)
