"""`fingerprints`: path → size, time of change, SHA-256. Written by hash; saves reading a file again.

It never decides an outcome: a file whose fingerprint is known goes on like any other.
"""

from collections.abc import Awaitable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson
from pydantic import BaseModel

from imaging.hashing import FileStamp
from streams.rows import Rows

_STAMP = itemgetter("size", "mtime_ns")
"""Whether a file need be read again is told by these."""


class Fingerprint(BaseModel):
    """What a path held when it was last read."""

    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    sha256: str

    def matches(self, stamp: FileStamp) -> bool:
        """Tell whether a file with this size and time of change need not be read again."""
        return stamp == FileStamp(*_STAMP(self.__dict__))


class Fingerprints:
    """The table, by path."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, path: bytes) -> Fingerprint | None:
        """Return what is known of a path."""
        row = self._rows.get(path)
        return None if row is None else Fingerprint.model_validate_json(row)

    def of_unchanged(self, files: Sequence[Mapping[str, Any]]) -> "list[dict[str, Any] | None]":
        """Return the fingerprint of each file that it matches, as JSON has it: no record is made of either.

        `files`: path, size and time of change of each.
        """
        rows = self._rows.get_many([file["path"].encode() for file in files])
        found = [None if row is None else orjson.loads(row) for row in rows]
        return [
            known if known is not None and _STAMP(known) == _STAMP(file) else None
            for known, file in zip(found, files, strict=True)
        ]

    def put(self, path: bytes, fingerprint: Fingerprint) -> Awaitable[object]:
        """Remember a path; await the result for the delivery of the changelog record."""
        return self._rows.put(path, fingerprint.model_dump_json().encode())
