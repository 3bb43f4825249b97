"""`known_images`: the dedupe cache. Written by prepare alone; every row is on its content's partition.

    i|content                       Claim: who may send it to ML, who was first in each job
    c|content                       Content: ML's answer and all else that a point needs
    w|content|number                Waiter: a file that waits for the claim's end
    p|content|collection|path       the incarnation of the collection that holds this path

where `content` is SHA-256|model id.
"""

from collections.abc import Awaitable, Iterable, Iterator

from rules.claims import Claim
from tables.rows import Rows
from topics.content import Content
from topics.files import HashedFileOfJob
from topics.hashed_file import HashedFile
from topics.record import Headers


class Waiter(HashedFile):
    """A file that waits, and what its message's headers said about how it came."""

    attempt: int = 1
    replay: bool = False
    traceparent: str = ""

    @property
    def received(self) -> Headers:
        """The headers that the file came with, for those of what follows from it."""
        return Headers(attempt=self.attempt, replay=self.replay, traceparent=self.traceparent)


class KnownImages:
    """The table. Methods that write return deliveries of changelog records, to be awaited before the ack."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def claim(self, file: HashedFileOfJob) -> Claim | None:
        """Return the claim on a file's content, or None for a new content."""
        row = self._rows.get(_key(b"i", file))
        return None if row is None else Claim.model_validate_json(row)

    def put_claim(self, file: HashedFileOfJob, claim: Claim) -> Awaitable[object]:
        """Write the claim on a file's content."""
        return self._rows.put(_key(b"i", file), claim.model_dump_json().encode())

    def drop_claim(self, file: HashedFileOfJob) -> Awaitable[object]:
        """Forget a content, so that its next file is taken as new."""
        return self._rows.delete(_key(b"i", file))

    def content(self, file: HashedFileOfJob) -> Content | None:
        """Return what is known of a file's content, or None."""
        row = self._rows.get(_key(b"c", file))
        return None if row is None else Content.model_validate_json(row)

    def put_content(self, file: HashedFileOfJob, content: Content) -> Awaitable[object]:
        """Write what is known of a file's content."""
        return self._rows.put(_key(b"c", file), content.model_dump_json(exclude_none=True).encode())

    def drop_content(self, file: HashedFileOfJob) -> Awaitable[object]:
        """Forget what is known of a file's content."""
        return self._rows.delete(_key(b"c", file))

    def waiters(self, file: HashedFileOfJob) -> Iterator[int]:
        """Yield the numbers of the files that wait for the content of a file, in the order of arrival."""
        prefix = _key(b"w", file, b"")
        for key, _ in self._rows.starting_with(prefix):
            yield int(key[len(prefix) :])

    def waiter(self, file: HashedFileOfJob, number: int) -> Waiter | None:
        """Return a file that waits, or None."""
        row = self._rows.get(_key(b"w", file, b"%020d" % number))
        return None if row is None else Waiter.model_validate_json(row)

    def put_waiter(self, file: HashedFile, number: int, headers: Headers) -> Awaitable[object]:
        """Let a file wait for the end of the claim on its content.

        `number` is the offset of its message: the same for every worker that takes it, so that one that has lost
        the partition and does not know it yet overwrites no other file.
        """
        row = Waiter(
            **file.model_dump(), attempt=headers.attempt, replay=headers.replay, traceparent=headers.traceparent
        )
        return self._rows.put(_key(b"w", file, b"%020d" % number), row.model_dump_json(exclude_none=True).encode())

    def drop_waiters(self, file: HashedFileOfJob, numbers: Iterable[int]) -> list[Awaitable[object]]:
        """Forget files that waited; their effects are delivered."""
        return [self._rows.delete(_key(b"w", file, b"%020d" % number)) for number in numbers]

    def is_confirmed(self, file: HashedFileOfJob, incarnation: str) -> bool:
        """Tell whether Qdrant confirmed this path with this content in this incarnation of its collection."""
        return self._rows.get(_path_key(file)) == incarnation.encode()

    def confirm(self, file: HashedFileOfJob, incarnation: str) -> Awaitable[object]:
        """Note that Qdrant confirmed this path with this content."""
        return self._rows.put(_path_key(file), incarnation.encode())


def _key(kind: bytes, file: HashedFileOfJob, *rest: bytes) -> bytes:
    return b"|".join((kind, file.sha256.encode(), file.model_id.encode(), *rest))


def _path_key(file: HashedFileOfJob) -> bytes:
    return _key(b"p", file, file.collection.encode(), file.path_bytes)
