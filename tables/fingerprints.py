"""`fingerprints`: path → size, time of change, SHA-256. Written by hash; saves reading a file again.

It never decides an outcome: a file whose fingerprint is known goes on like any other. It also holds what the path was
taken in with, which is what leaves a collection when the path does (`rules.departures`).

A row `compared|collection|folder` says that all is held which prepare knew of a folder (`topics.departure.Compare`).
"""

from collections.abc import Awaitable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

from imaging.hashing import FileStamp
from rules.departures import PLAIN, Held, held_too
from rules.paths import is_within
from streams.rows import Rows

_STAMP = itemgetter("size", "mtime_ns")
"""A file with these as before is not read again."""


NEVER = -(1 << 63)
"""A time of change that no file has."""
MOST_LOOKS = 4
"""Looks that a row names (`leaving_in`): some under way, some that a person is asked about, some that kills repeat."""


class Fingerprint(BaseModel):
    """What a path held when it was last read.

    `held`: what was handed on for it and has not left, and who holds that. `sequence`: how often something has left.
    `leaving_in`: the newest looks that have found something that would. `edited_in`: the job that found another one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    sha256: str
    held: tuple[Held, ...] = ()
    sequence: int = 0
    leaving_in: tuple[str, ...] = ()
    edited_in: str | None = None

    def matches(self, stamp: FileStamp) -> bool:
        """Tell whether a file with this size and time of change need not be read again."""
        return stamp == FileStamp(*_STAMP(self.__dict__))

    def holds(self, collection: str, sha256: str) -> bool:
        """Tell whether the path is in a collection with a content, as far as was noted."""
        return any((one.collection, one.sha256) == (collection, sha256) for one in self.held)

    def has_left(self, collection: str, sha256: str) -> bool:
        """Tell whether the path may have left a collection with a content, and is not held there since."""
        # While it leaves it is held until prepare has been told.
        return self.sequence > 0 and (bool(self.leaving_in) or not self.holds(collection, sha256))

    def marked(self, job_id: str) -> "Fingerprint":
        """Return it as a look leaves it that has found something to leave: `leaving_in` names the look.

        The names of other looks stay, as each look removes what it has found itself. Another look may be about another
        collection, or an older one that a kill repeats.
        """
        return self.model_copy(update={"leaving_in": (*self._others(job_id), job_id)[-MOST_LOOKS:]})

    def without(self, job_id: str, held: tuple[Held, ...]) -> "Fingerprint":
        """Return it as a look leaves it that has removed what it had found. `held`: what is held then."""
        return self.model_copy(update={"held": held, "leaving_in": self._others(job_id) if held else ()})

    def _others(self, job_id: str) -> tuple[str, ...]:
        return tuple(one for one in self.leaving_in if one != job_id)


_NOTHING = Fingerprint(size=0, mtime_ns=NEVER, sha256="0" * 64)
"""The row of a path of which only this is known: that something has left."""


class Unchanged(NamedTuple):
    """A path that holds what it held: its row, and what that says, as JSON has it: no record is made of it."""

    row: bytes
    fields: dict[str, Any]


class Fingerprints:
    """The table, by path."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, path: bytes) -> Fingerprint | None:
        """Return what is known of a path."""
        row = self._rows.get(path)
        return None if row is None else Fingerprint.model_validate_json(row)

    def of_unchanged(
        self, files: Sequence[Mapping[str, Any]], job_id: str, collection: str, by: str
    ) -> list[Unchanged | None]:
        """Return the row of each file whose fingerprint it matches.

        `files`: path, size and time of change of each. Only those that are held in the collection `by` a source or a
        plain ingest: their row need not be written. Nor those that changed in this very job, as a kill repeats them:
        they go on as they did.
        """
        rows = self._rows.get_many([file["path"].encode() for file in files])
        found = [None if row is None else Unchanged(row, orjson.loads(row)) for row in rows]
        return [
            known
            if known is not None
            and _STAMP(known.fields) == _STAMP(file)
            and known.fields.get("edited_in") != job_id
            and _is_held(known.fields, collection, by)
            else None
            for known, file in zip(found, files, strict=True)
        ]

    def put(self, path: bytes, fingerprint: Fingerprint) -> Awaitable[object]:
        """Remember a path; await the result for the delivery of the changelog record."""
        return self._rows.put(path, _row(fingerprint))

    def hand_on(
        self, path: bytes, fresh: Fingerprint, job_id: str, collection: str, by: str | None
    ) -> list[Awaitable[object]]:
        """Remember what a path held that a job handed on to a collection, beside what is known of the path by now.

        `by`: who holds it there from now on; None: nobody who did not before.
        """
        before = self.get(path)
        known = before or fresh
        held = None if by is None else held_too(known.held, collection, fresh.sha256, by)
        kept = {
            "held": known.held if held is None else held,
            "sequence": known.sequence,
            "leaving_in": known.leaving_in,
            "edited_in": job_id if known.sha256 != fresh.sha256 else known.edited_in,
        }
        after = fresh.model_copy(update=kept)
        return [] if after == before else [self.put(path, after)]

    def hold_ahead(
        self, path: bytes, fresh: Fingerprint, job_id: str, collection: str, by: str
    ) -> list[Awaitable[object]]:
        """Note that what a path holds is about to be handed on to a collection; all else is noted by `hand_on`."""
        before = self.get(path)
        if before is None:
            return self.hand_on(path, fresh, job_id, collection, by)
        held = held_too(before.held, collection, fresh.sha256, by)
        return [] if held is None else [self.put(path, before.model_copy(update={"held": held}))]

    def hold(self, path: bytes, sha256: str, collection: str) -> list[Awaitable[object]]:
        """Note that a path is in a collection with a content, where its row does not say so yet."""
        before = self.get(path) or Fingerprint(size=0, mtime_ns=NEVER, sha256=sha256)
        if before.holds(collection, sha256):
            return []
        held = (Held(collection, sha256, (PLAIN,)), *before.held)
        return [self.put(path, before.model_copy(update={"held": held}))]

    def is_compared(self, collection: str, folder: bytes) -> bool:
        """Tell whether all that prepare knew of a folder, or of one above it, was noted here."""
        return any(row is not None for row in self._rows.get_many(_compared_above(collection, folder)))

    def note_compared(self, collection: str, folder: bytes) -> Awaitable[object]:
        """Note that all that prepare knew of a folder is noted here."""
        return self._rows.put(_compared(collection, folder), b"1")

    def forget_compared(self, collection: str, folder: bytes) -> list[Awaitable[object]]:
        """Note that prepare may know more of a folder, or of one above it, than is noted here."""
        names = _compared_above(collection, folder)
        found = zip(names, self._rows.get_many(names), strict=True)
        return [self._rows.delete(name) for name, row in found if row is not None]

    def within(self, places: Sequence[bytes], after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` rows of these paths and of those below them, from behind a path that was returned last.

        `places`: none of them lies in another; they are taken in their order.
        """
        begun = next((number for number, place in enumerate(places) if is_within(after, (place,))), 0)
        rows = chain.from_iterable(self._within(place, after) for place in places[begun:])
        return list(islice(rows, limit))

    def retire(self, path: bytes, sha256: str, collection: str, untold: int) -> list[Awaitable[object]]:
        """Have a path hold a content in a collection no more, as that is forgotten.

        The last one takes the row along, unless something has left before, beyond the sequence `untold`: then that
        stays, and the path with it, as other rows count on it.
        """
        known = self.get(path)
        if known is None:
            return []
        held = tuple(one for one in known.held if (one.collection, one.sha256) != (collection, sha256))
        if held or known.sha256 != sha256:
            return [] if held == known.held else [self.put(path, known.model_copy(update={"held": held}))]
        if known.sequence <= untold:
            return [self._rows.delete(path)]
        return [self.put(path, _NOTHING.model_copy(update={"sequence": known.sequence}))]

    def row(self, path: bytes) -> bytes | None:
        """Return the row of a path."""
        return self._rows.get(path)

    def is_as_it_was(self, path: bytes, row: bytes) -> bool:
        """Tell whether the row of a path is the same still."""
        return self._rows.get(path) == row

    def _within(self, place: bytes, after: bytes) -> Iterator[tuple[bytes, bytes]]:
        is_begun = is_within(after, (place,))
        if not is_begun and (row := self._rows.get(place)) is not None:
            yield place, row
        yield from self._rows.starting_with(place.rstrip(b"/") + b"/", after if is_begun else b"")


def _compared(collection: str, folder: bytes) -> bytes:
    """Name the row of a folder; no path begins so."""
    return b"compared|" + collection.encode() + b"|" + folder


def _compared_above(collection: str, folder: bytes) -> list[bytes]:
    """Name the rows of a folder and of those above it."""
    above = [folder, *(folder[:end] for end, byte in enumerate(folder) if byte == ord("/") and end), b"/"]
    return [_compared(collection, one) for one in above]


def holds_one(known: Mapping[str, Any]) -> bool:
    """Tell whether all that a row holds is the content that the path held last: nothing that another has replaced."""
    return all(sha256 == known["sha256"] for _, sha256, _ in known.get("held", ()))


def read_row(row: bytes) -> Fingerprint:
    """Return what a row says."""
    return Fingerprint.model_validate_json(row)


def _row(fingerprint: Fingerprint) -> bytes:
    fields = fingerprint.model_dump(mode="json", exclude_defaults=True)
    return orjson.dumps({"ctime_ns": None} | fields)


def _is_held(known: Mapping[str, Any], collection: str, by: str) -> bool:
    for at, sha256, holders in known.get("held", ()):
        if at == collection and sha256 == known["sha256"] and by in holders:
            return True
    return False
