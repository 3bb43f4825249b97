"""`raw-path`: one file to be taken in. Also the entry point for other programs; a null value is a sentinel."""

from topics.files import FileOfJob
from topics.record import Topic


class RawPath(FileOfJob):
    """A file that nothing is known about but its path."""


# Never compacted: the null value of a sentinel would delete the files with the same key.
RAW_PATH: Topic[RawPath] = Topic(
    "raw-path", key="path", record=RawPath, event_id=lambda file, headers: f"{file.file_id}/{headers.attempt}"
)
