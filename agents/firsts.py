"""Which files of known content a worker has found unchanged, lately: they have no row that says so.

A job's first file of a content is no duplicate of another. For a file that is written, its claim remembers the first;
an unchanged one matters only where a new path of its content comes behind it in the same job.
"""

from collections import OrderedDict

from agents.waiters import lot
from topics.files import HashedFileOfJob

REMEMBERED = 50_000


class Firsts:
    """The first unchanged files by job, collection and content; of many, the newest."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, str, str], str] = OrderedDict()

    def note(self, file: HashedFileOfJob) -> None:
        """Remember a file that has not changed, unless one of its content came before it."""
        self._files.setdefault((lot(file), file.sha256, file.model_id), file.file_id)
        if len(self._files) > REMEMBERED:
            self._files.popitem(last=False)

    def first(self, file: HashedFileOfJob) -> str | None:
        """Return the id of the first unchanged file of a job with the same content, or None."""
        return self._files.get((lot(file), file.sha256, file.model_id))
