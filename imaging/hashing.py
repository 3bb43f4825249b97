"""The identity of a content: SHA-256 over all bytes of a file, in bounded memory."""

import hashlib

from errors import FileChangedError
from imaging.files import FileStamp, Roots, check_size, open_regular, stamp, stamp_of
from rules.paths import readable

__all__ = ["FileStamp", "hash_file", "stamp"]


def hash_file(path: bytes, roots: Roots = None, *, max_bytes: int | None = None) -> tuple[str, FileStamp]:
    """Hash a regular file: SHA-256 in lower-case hex, and the stamp of what was hashed.

    Raises FileError when it cannot be read or lies outside the roots, FileChangedError when it changed meanwhile,
    ContentError when it has more than `max_bytes`.
    """
    with open_regular(path, roots) as file:
        before = stamp_of(file)
        check_size(path, before.size, max_bytes)
        digest = hashlib.file_digest(file, "sha256")
        if stamp_of(file) != before:
            raise FileChangedError(f"{readable(path)} changed while it was hashed; it has to be hashed again.")
    return digest.hexdigest(), before
