"""`known_images`: the dedupe cache. Written by prepare alone; every row is on its content's partition.

    i|content                       Claim: who may send it to ML, who was first in each job
    c|content                       Content: ML's answer and all else that a point needs
    w|content|number                Waiter: a file that waits for the claim's end
    p|content|collection|path       the incarnation of the collection that holds this path, and the job that brought it

where `content` is SHA-256|model id. The claim's end, the content and the path of the file that ML answered for are
written at once, as one record of the changelog.
"""

from collections.abc import Awaitable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from rules.claims.claim import Claim
from streams.rows import Rows
from topics.content import Content
from topics.files import HashedFileOfJob
from topics.hashed_file import HashedFile
from topics.image_outcome import Stored
from topics.record import PACKED, Headers

# Paths of a content that its new record takes over, where ML answers for it again. After a disk is lost, the others are
# not known any more: their files are looked at again.
PATHS_KEPT = 1000
# How the row of a claim begins that nobody owns: its first field is the owner.
_ANSWERED = Claim(owner=None).row()[: len('{"owner":null')]


class OfContent(Protocol):
    """Whatever tells a content under one model."""

    @property
    def sha256(self) -> str:
        """Of the content."""

    @property
    def model_id(self) -> str:
        """Of the model."""


class ContentKey(NamedTuple):
    """A content under one model."""

    sha256: str
    model_id: str


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

    def claim(self, file: OfContent) -> Claim | None:
        """Return the claim on a file's content, or None for a new content."""
        row = self._rows.get(_key(b"i", file))
        return None if row is None else Claim.model_validate_json(row)

    def put_claim(self, file: OfContent, claim: Claim) -> Awaitable[object]:
        """Write the claim on a file's content."""
        return self._rows.put(_key(b"i", file), claim.row())

    def drop_claim(self, file: OfContent) -> Awaitable[object]:
        """Forget a content, so that its next file is taken as new."""
        return self._rows.delete(_key(b"i", file))

    def content(self, file: OfContent) -> Content | None:
        """Return what is known of a file's content, or None."""
        row = self._rows.get(_key(b"c", file))
        return None if row is None else Content.model_validate_json(row)

    def has_content(self, file: OfContent) -> bool:
        """Tell whether anything is known of a file's content, which is read without a look into it."""
        return self._rows.get(_key(b"c", file)) is not None

    def put_answer(
        self, file: OfContent, content: Content, claim: Claim, stored: Stored | None = None
    ) -> Awaitable[object]:
        """Write what is known of a file's content, the claim that ended so, and the path that is stored: as one record.

        What becomes of the claim later, and other paths, have records of their own. A record of an earlier answer is
        replaced, so the paths that it may hold go with this one.
        """
        key = _key(b"c", file)
        paths = {}
        if self._rows.get(key) is not None:
            paths = dict(islice(self._rows.starting_with(_key(b"p", file, b"")), PATHS_KEPT))
        if stored is not None:
            place = _path_key(stored)
            paths[place] = self._confirmed(place, stored, stored.incarnation)
        answer = {
            key: content.model_dump_json(exclude_none=True, context=PACKED).encode(),
            _key(b"i", file): claim.row(),
        }
        return self._rows.put_together(key, answer | paths)

    def drop_content(self, file: OfContent) -> Awaitable[object]:
        """Forget what is known of a file's content."""
        return self._rows.delete(_key(b"c", file))

    def waiters(self, file: OfContent, after: int = -1) -> Iterator[tuple[int, bytes]]:
        """Yield the numbers and rows of the files that wait for a content, in the order of arrival, from behind one."""
        behind = _waiter_key(file, after) if after >= 0 else b""
        for key, row in self._rows.starting_with(_key(b"w", file, b""), behind):
            yield waiter_of(key)[1], row

    def waiter(self, file: OfContent, number: int) -> bytes | None:
        """Return the row of a file that waits, or None."""
        return self._rows.get(_waiter_key(file, number))

    def waiters_of_all(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` rows of files that wait for whatever content, from behind a key."""
        return list(islice(self._rows.starting_with(b"w|", after), limit))

    def claims_of_all(self, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` rows of claims, from behind a key."""
        return list(islice(self._rows.starting_with(b"i|", after), limit))

    def put_waiter(self, file: HashedFile, number: int, headers: Headers) -> Awaitable[object]:
        """Let a file wait for the end of the claim on its content.

        `number` follows from where the file stands in its partition (`streams.item.Item.number`), so it is the same for
        every worker: one that has lost the partition, and does not know it yet, overwrites no other file.
        """
        row = Waiter(
            **file.model_dump(), attempt=headers.attempt, replay=headers.replay, traceparent=headers.traceparent
        )
        return self._rows.put(
            _waiter_key(file, number), row.model_dump_json(exclude_none=True, context=PACKED).encode()
        )

    def drop_waiters(self, file: OfContent, numbers: Iterable[int]) -> list[Awaitable[object]]:
        """Forget files that waited; their effects are delivered."""
        return [self._rows.delete(_waiter_key(file, number)) for number in numbers]

    def is_confirmed(self, file: HashedFileOfJob, incarnation: str) -> bool:
        """Tell whether Qdrant confirmed this path with this content in this incarnation of its collection."""
        return _is_of(self._rows.get(_path_key(file)), incarnation.encode())

    def are_confirmed(
        self, of: HashedFileOfJob, sha256s: Sequence[str], paths: Sequence[str], incarnation: str
    ) -> list[bool]:
        """Tell of many files whether each is confirmed (`is_confirmed`), and ML has answered for its content.

        `of`: one of them; all share its collection and model. The paths are plain: their bytes are those of the text.
        """
        answer, collection = incarnation.encode(), of.collection.encode()
        contents = [ContentKey(sha256, of.model_id) for sha256 in sha256s]
        claims = self._rows.get_many([_key(b"i", content) for content in contents])
        keys = [_key(b"p", content, collection, path.encode()) for content, path in zip(contents, paths, strict=True)]
        return [
            claim is not None and claim.startswith(_ANSWERED) and _is_of(confirmed, answer)
            for claim, confirmed in zip(claims, self._rows.get_many(keys), strict=True)
        ]

    def confirm(self, file: HashedFileOfJob, incarnation: str) -> Awaitable[object]:
        """Note that Qdrant confirmed this path with this content."""
        place = _path_key(file)
        return self._rows.put(place, self._confirmed(place, file, incarnation))

    def _confirmed(self, place: bytes, file: HashedFileOfJob, incarnation: str) -> bytes:
        """Return the row of a path: it names the job that first had it confirmed."""
        known = self._rows.get(place)
        if known is not None and _is_of(known, incarnation.encode()):
            return known
        return f"{incarnation}|{file.job_id}".encode()


def _is_of(row: bytes | None, incarnation: bytes) -> bool:
    """Tell whether the row of a path is of an incarnation; older rows name no job."""
    return row is not None and (row == incarnation or row.startswith(incarnation + b"|"))


def content_of(key: bytes) -> ContentKey:
    """Return the content that the key of a claim's row names."""
    _, sha256, model_id = key.decode().split("|", 2)
    return ContentKey(sha256, model_id)


def waiter_of(key: bytes) -> tuple[ContentKey, int]:
    """Return the content and the number that the key of a waiter's row names."""
    claim_key, _, number = key.rpartition(b"|")
    return content_of(claim_key), int(number)


def _key(kind: bytes, file: OfContent, *rest: bytes) -> bytes:
    return b"|".join((kind, file.sha256.encode(), file.model_id.encode(), *rest))


def _waiter_key(file: OfContent, number: int) -> bytes:
    return _key(b"w", file, b"%020d" % number)


def _path_key(file: HashedFileOfJob) -> bytes:
    return _key(b"p", file, file.collection.encode(), file.path_bytes)
