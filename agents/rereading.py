"""How what is stored is brought up to what today's code reads from its files: the jobs of `darkroom reread`.

scan publishes one file of each content of a collection, which names that content in `reread`. It goes the way of all
files, but is decoded although its content is known. Where the rendition is the one that ML has seen, the answer of ML
is kept, and metadata and thumbnail are new; else ML sees it again, once, whatever collections hold it. See
docs/decisions/0034-reread.md.
"""

import base64
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, TypeGuard

from agents.scan.walking import Found, Refused
from core.errors import FileError
from imaging.files import FileStamp, Roots, open_regular, stamp_of
from imaging.hashing import hash_file, is_sha256
from imaging.prepared import Prepared
from rules.paths import from_readable
from topics.content import Content, Former
from topics.files import Task
from topics.limits import MAX_PATH

# Files of one content that are looked into, until one holds it.
READ_AT_MOST = 10


class Published:
    """The paths that a walk over a collection has published, on disk beyond a few megabytes.

    A file that was changed is named by the points of all that it held; so it may come more than once.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("CREATE TABLE paths (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def add(self, path: bytes) -> bool:
        """Tell whether a path is new. Blocks."""
        digest = hashlib.blake2b(path, digest_size=16).digest()
        return self._database.execute("INSERT OR IGNORE INTO paths VALUES (?)", (digest,)).rowcount == 1

    def close(self) -> None:
        """Forget them."""
        self._database.close()


def files_of(
    payloads: Iterable[Mapping[str, Any]], roots: Roots, published: Published, task: Task | None = None
) -> list[Found | Refused]:
    """Return the files to be read again for points; see `file_of`, and `kept_file` for what is kept. Blocks."""
    files = [file for payload in payloads if (file := _file_for(task, payload, roots))]
    return [replace(file, counts=published.add(file.path)) if isinstance(file, Found) else file for file in files]


def _file_for(task: Task | None, payload: Mapping[str, Any], roots: Roots) -> Found | Refused | None:
    if task == "caption":
        return kept_file(payload)
    file = file_of(payload, roots)
    return kept_file(payload) if task is not None and isinstance(file, Refused) else file


def kept_file(payload: Mapping[str, Any]) -> Found | None:
    """Return the first file of a point, not to be read; None for a point that Darkroom did not write."""
    sha256, first, size = (payload.get(name) for name in ("file_hash", "full_path", "file_size"))
    if not (is_sha256(sha256) and _is_path(first)):
        return None
    stamp = FileStamp(size if isinstance(size, int) and size >= 0 else 0, 0)
    return Found(_shown(first), stamp, reread=sha256, kept=True)


def file_of(payload: Mapping[str, Any], roots: Roots) -> Found | Refused | None:
    """Return the file to be read again for a point; None for a point that Darkroom did not write. Blocks.

    It is the first of the point's files that can be read, has its size, and holds its content, which is looked at where
    another file could do instead. What was archived is skipped; where no file is left, the first one says so.
    """
    sha256, first, known = (payload.get(name) for name in ("file_hash", "full_path", "paths"))
    if not (is_sha256(sha256) and _is_path(first) and isinstance(known, list)):
        return None
    paths = sorted(filter(_is_path, known), key=lambda path: path != first)
    if not paths:
        return Refused(_shown(first), "skipped", "its files are archived", reread=sha256)
    reasons: list[str] = []
    fitting = islice(_of_size(payload.get("file_size"), paths, roots, reasons), READ_AT_MOST)
    found = next(fitting, None)
    if found is None:
        return Refused(_shown(paths[0]), "failed", reasons[0], reread=sha256)
    for other in fitting:
        if _holds(found.path, roots, sha256):
            break
        found = other
    # The last one is read by hash alone, which says what is wrong with it.
    return replace(found, reread=sha256)


def _of_size(size: object, paths: Iterable[str], roots: Roots, reasons: list[str]) -> Iterator[Found]:
    """Yield the files that can be read and have a size; say of the others why not."""
    for path in (candidate for text in paths for candidate in from_readable(text)):
        try:
            with open_regular(path, roots) as file:
                stamp = stamp_of(file)
        except FileError as error:
            reasons.append(str(error))
        else:
            if stamp.size == size:
                yield Found(path, stamp)
            else:
                reasons.append(f"{os.fsdecode(path)} holds another picture than the one that is stored")


def _holds(path: bytes, roots: Roots, sha256: str) -> bool:
    """Tell whether a file has a content."""
    try:
        return hash_file(path, roots)[0] == sha256
    except FileError:
        return False


def _is_path(value: object) -> TypeGuard[str]:
    """Tell whether a text can be a path: any program may have written the payload."""
    return isinstance(value, str) and value.startswith("/") and "\0" not in value and len(value) <= MAX_PATH


def _shown(path: str) -> bytes:
    """Return a path that leads to no file, as the point shows it."""
    return next(from_readable(path))


def is_same_picture(content: Content, prepared: Prepared) -> bool:
    """Tell whether ML has seen this very rendition. Of a content of version 0.1.0 the thumbnail tells it."""
    if content.rendition_sha256 is not None:
        return content.rendition_sha256 == hashlib.sha256(prepared.rendition).hexdigest()
    return content.thumbnail_base64 == base64.b64encode(prepared.thumbnail).decode()


def read_again(content: Content, prepared: Prepared, read_at: float) -> Content:
    """Return a content with what was read anew, and ML's former answer; `read_at`: in seconds since 1970."""
    return content.model_copy(
        update={
            "metadata": prepared.metadata,
            "thumbnail_base64": base64.b64encode(prepared.thumbnail).decode(),
            "rendition_sha256": hashlib.sha256(prepared.rendition).hexdigest(),
            "read_at": read_at,
        }
    )


def taken_over(former: Former | None, prepared: Prepared, read_at: float) -> Content | None:
    """Return the content of an edit that ML need not see: its rendition is that of the former content."""
    rendition_sha256 = hashlib.sha256(prepared.rendition).hexdigest()
    if former is None or former.rendition_sha256 != rendition_sha256:
        return None
    return Content(
        vector=former.vector,
        caption=former.caption,
        metadata=prepared.metadata,
        thumbnail_base64=base64.b64encode(prepared.thumbnail).decode(),
        rendition_sha256=rendition_sha256,
        read_at=read_at,
    )
