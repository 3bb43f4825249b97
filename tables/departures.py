"""Rows of `known_images` about paths that leave. Written by prepare alone; every row is on its content's partition.

    g|job|SHA-256|collection|path     the reason; until what would leave by that sync is counted
    r|SHA-256|collection|path         `sequence|since`: the sequence up to which what was handed on is void, and since
                                      when, in seconds since 1970; `sequence=|since`: it has come back

A path row names the job that first had the path confirmed, behind the incarnation: `incarnation|job`.
"""

from collections.abc import Awaitable, Iterator
from itertools import islice
from typing import NamedTuple

from rules.departures import Reason
from streams.rows import Rows
from topics.departure import Departed, Left
from topics.files import HashedFileOfJob

_BACK = b"="


class Leaving(NamedTuple):
    """A row of what would leave."""

    key: bytes
    sha256: str
    collection: str
    path: bytes
    reason: Reason


class KnownPath(NamedTuple):
    """A path of a content in a collection, under whatever model, and the job that first had it confirmed."""

    key: bytes
    path: bytes
    incarnation: str
    job_id: str


class Departures:
    """These rows. Methods that write return deliveries of changelog records, to be awaited before the ack."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def put_leaving(self, departed: Departed) -> Awaitable[object]:
        """Note what would leave."""
        key = b"|".join((b"g", departed.job_id.encode(), _place(departed)))
        return self._rows.put(key, departed.reason.encode())

    def leaving(self, job_id: str, after: bytes, limit: int) -> list[Leaving]:
        """Return what would leave by a sync, from behind a key: `limit` rows, and all others of the last content."""
        found: list[Leaving] = []
        for one in self._leaving(job_id, after):
            if len(found) >= limit and one.sha256 != found[-1].sha256:
                break
            found.append(one)
        return found

    def drop_leaving(self, rows: list[Leaving]) -> list[Awaitable[object]]:
        """Forget what was counted."""
        return [self._rows.delete(one.key) for one in rows]

    def paths(self, sha256: str, collection: str) -> list[KnownPath]:
        """Return the known paths of a content in a collection."""
        prefix = b"p|" + sha256.encode() + b"|"
        found = []
        for key, row in self._rows.starting_with(prefix):
            model_id, _, rest = key[len(prefix) :].partition(b"|" + collection.encode() + b"|/")
            if b"|" not in model_id and rest:
                incarnation, _, job_id = row.decode().partition("|")
                found.append(KnownPath(key, b"/" + rest, incarnation, job_id))
        return found

    def in_folder(
        self, collection: str, folder: bytes, job_id: str, after: bytes, limit: int
    ) -> tuple[list[tuple[bytes, str]], bytes | None]:
        """Read `limit` rows from behind a key. Return the paths below a folder that they name, each with its content.

        Also the key of the last row, to go on behind it; None: no row is left. Paths that the job has brought are left
        out.
        """
        below = b"|" + collection.encode() + b"|" + folder.rstrip(b"/") + b"/"
        found: dict[tuple[bytes, str], None] = {}
        looked, last = 0, None
        for last, row in islice(self._rows.starting_with(b"p|", after), limit):
            looked += 1
            content, _, rest = last[len(b"p|") :].partition(below)
            sha256, _, model_id = content.partition(b"|")
            if rest and b"|" not in model_id and not row.endswith(b"|" + job_id.encode()):
                found[below[len(collection.encode()) + 2 :] + rest, sha256.decode()] = None
        return [*found], last if looked == limit else None

    def void(self, left: Left, at: float) -> list[Awaitable[object]] | None:
        """Note that a path has left with a content, under all models.

        None: the path has come back since, and a kill repeats an older message. `at`: now; what was handed on before
        leaves Kafka when its retention is over.
        """
        place = _place(left)
        sequence, is_back = self._void(place) or (-1, False)
        if is_back and sequence >= left.sequence:
            return None
        of = left.sha256.encode()
        keys = [b"|".join((b"p", of, model_id, place[len(of) + 1 :])) for model_id in self._models(of)]
        known = [key for key in keys if self._rows.get(key) is not None]
        kept = self._rows.put(b"r|" + place, b"%d|%d" % (max(sequence, left.sequence), at))
        return [kept, *map(self._rows.delete_held, known)]

    def voided(self, file: HashedFileOfJob) -> int | None:
        """Return up to which sequence what was handed on for a file's path is void.

        None: the path has never left, or came back.
        """
        sequence, is_back = self._void(_place(file)) or (-1, True)
        return None if is_back else sequence

    def note_back(self, file: HashedFileOfJob, sequence: int, at: float) -> Awaitable[object]:
        """Note that a path has come back with a content: that it has left, up to this sequence, holds no more."""
        before, _ = self._void(_place(file)) or (0, True)
        return self._rows.put(b"r|" + _place(file), b"%d%b|%d" % (max(before, sequence), _BACK, at))

    def _void(self, place: bytes) -> tuple[int, bool] | None:
        row = self._rows.get(b"r|" + place)
        if row is None:
            return None
        sequence = row.partition(b"|")[0]
        return int(sequence.rstrip(_BACK)), sequence.endswith(_BACK)

    def _models(self, sha256: bytes) -> Iterator[bytes]:
        """Yield the models under which paths of a content are known, with one look at each: there may be many paths."""
        prefix = b"p|" + sha256 + b"|"
        after = b""
        while (found := next(self._rows.starting_with(prefix, after), None)) is not None:
            model_id = found[0][len(prefix) :].partition(b"|")[0]
            yield model_id
            after = prefix + model_id + b"|\xff"

    def _leaving(self, job_id: str, after: bytes) -> Iterator[Leaving]:
        prefix = b"g|" + job_id.encode() + b"|"
        for key, row in self._rows.starting_with(prefix, after):
            sha256, collection, path = key[len(prefix) :].split(b"|", 2)
            yield Leaving(key, sha256.decode(), collection.decode(), path, row.decode())  # type: ignore[arg-type]


def _place(of: Departed | Left | HashedFileOfJob) -> bytes:
    return b"|".join((of.sha256.encode(), of.collection.encode(), of.path_bytes))
