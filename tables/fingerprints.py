"""`fingerprints`: path → size, time of change, SHA-256. Written by hash; saves reading a file again.

It never decides an outcome: a file whose fingerprint is known goes on like any other.
"""

from collections.abc import Awaitable, Sequence
from typing import Any

import orjson
from pydantic import BaseModel

from imaging.hashing import FileStamp
from streams.rows import Rows


class Fingerprint(BaseModel):
    """What a path held when it was last read."""

    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    sha256: str

    def matches(self, stamp: FileStamp) -> bool:
        """Tell whether a file with this size and time of change can be taken as unread before."""
        return stamp == FileStamp(self.size, self.mtime_ns)


class Fingerprints:
    """The table, by path."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def get(self, path: bytes) -> Fingerprint | None:
        """Return what is known of a path."""
        row = self._rows.get(path)
        return None if row is None else Fingerprint.model_validate_json(row)

    def get_many(self, paths: Sequence[bytes]) -> "list[dict[str, Any] | None]":
        """Return the fields of what is known of each path, as JSON has them."""
        return [None if row is None else orjson.loads(row) for row in self._rows.get_many(paths)]

    def put(self, path: bytes, fingerprint: Fingerprint) -> Awaitable[object]:
        """Remember a path; await the result for the delivery of the changelog record."""
        return self._rows.put(path, fingerprint.model_dump_json().encode())
