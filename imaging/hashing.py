"""The identity of a content: SHA-256 over all bytes of a file, in bounded memory."""

import hashlib
import re
import time
from dataclasses import replace
from typing import BinaryIO, TypeGuard

from core.errors import FileChangedError
from imaging.files import FileStamp, Roots, check_size, open_regular, stamp, stamp_of
from imaging.steps import step
from rules.paths import readable

__all__ = ["FileStamp", "digest", "hash_file", "is_sha256", "stamp"]

CHUNK_BYTES = 256 << 10
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
        sha256 = digest(file)
        now = time.time_ns()
        after = stamp_of(file)
        if (after, after.ctime_ns) != (before, before.ctime_ns):
            raise FileChangedError(f"{readable(path)} changed while it was hashed; it has to be hashed again.")
    settled = before.ctime_ns is not None and now - before.ctime_ns > SETTLED_NS
    return sha256, before if settled else replace(before, ctime_ns=None)


def is_sha256(value: object) -> TypeGuard[str]:
    """Tell whether this is a hash as `hash_file` gives it: any program writes payloads, so it may be anything."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def digest(file: BinaryIO) -> str:
    """Read an open file from its position to its end, and return the SHA-256 of that in lower-case hex."""
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK_BYTES))
    while True:
        with step("read"):
            count = file.readinto(buffer)  # type: ignore[attr-defined]  # every file that is opened has it
        if not count:
            return sha256.hexdigest()
        with step("hash"):
            sha256.update(buffer[:count])
