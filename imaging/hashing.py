"""The identity of a content: SHA-256 over all bytes of a file, in bounded memory."""

import hashlib
import time
from dataclasses import replace

from errors import FileChangedError
from imaging.files import FileStamp, Roots, check_size, open_regular, stamp, stamp_of
from rules.paths import readable

__all__ = ["FileStamp", "hash_file", "stamp"]


SETTLED_NS = 2_000_000_000
"""Two writes this close together may have the same time: file systems keep some to the second."""


def hash_file(path: bytes, roots: Roots = None, *, max_bytes: int | None = None) -> tuple[str, FileStamp]:
    """Hash a regular file: SHA-256 in lower-case hex, and the stamp of what was hashed.

    The stamp has a `ctime_ns` only if that is old enough to tell every later write.
    Raises FileError when it cannot be read or lies outside the roots, FileChangedError when it changed meanwhile,
    ContentError when it has more than `max_bytes`.
    """
    with open_regular(path, roots) as file:
        before = stamp_of(file)
        check_size(path, before.size, max_bytes)
        digest = hashlib.file_digest(file, "sha256")
        now = time.time_ns()
        after = stamp_of(file)
        if (after, after.ctime_ns) != (before, before.ctime_ns):
            raise FileChangedError(f"{readable(path)} changed while it was hashed; it has to be hashed again.")
    settled = before.ctime_ns is not None and now - before.ctime_ns > SETTLED_NS
    return digest.hexdigest(), before if settled else replace(before, ctime_ns=None)
