"""Paths are bytes. JSON holds text, so a path that is not UTF-8 travels twice: readable, and as base64."""

import base64
import os
import re
from collections.abc import Iterable, Iterator

from core.errors import InvalidMessageError

FIRST_PATHS = 20
FIRST_CHARACTERS = 4000

ARCHIVE_FOLDER = b".darkroom-archive"
"""Below each root: where archived files are. No scan goes there."""


def readable(path: bytes) -> str:
    r"""Return text for people: bytes that are not UTF-8 are shown as escapes such as `\xff`."""
    return path.decode("utf-8", "backslashreplace")


def from_readable(text: str) -> Iterator[bytes]:
    r"""Yield the paths that `readable` may have shown so: the text itself, then with each `\xff` as the byte."""
    plain = text.encode("utf-8", "backslashreplace")
    yield plain
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), plain)
    if raw != plain and readable(raw) == text:
        yield raw


def to_wire(path: bytes) -> tuple[str, str | None]:
    """Return the fields `path` and `path_b64` for a path; the latter only where the former loses something."""
    text = readable(path)
    if text.encode() == path:
        return text, None
    return text, base64.b64encode(path).decode()


def from_wire(path: str, path_b64: str | None) -> bytes:
    """Return the bytes of a path from its two fields. Raises InvalidMessageError unless it is absolute."""
    try:
        raw = path.encode() if path_b64 is None else base64.b64decode(path_b64, validate=True)
    except ValueError as error:
        raise InvalidMessageError(f"The path {path!r} cannot be read: {error}. Send valid UTF-8 or base64.") from error
    if not raw.startswith(b"/") or b"\0" in raw:
        raise InvalidMessageError(f"The path {path!r} is not an absolute path. Send the whole path from / on.")
    return normal(raw)


def normal(path: bytes) -> bytes:
    """Return the one form of an absolute path: `//a/./b/` is `/a/b`. Looks at no disk."""
    # normpath keeps two leading slashes: POSIX lets them mean something else, Linux does not.
    return b"/" + os.path.normpath(path).lstrip(b"/")


def outermost(paths: Iterable[bytes]) -> list[bytes]:
    """Return the paths without those that lie inside another."""
    kept: list[bytes] = []
    # In this order what lies in a folder follows it directly.
    for path in sorted(paths, key=lambda path: path.split(b"/")):
        if not (kept and is_within(path, (kept[-1],))):
            kept.append(path)
    return kept


def is_within(path: bytes, roots: tuple[bytes, ...]) -> bool:
    """Tell whether a path is one of the roots or lies below one; all of them absolute and without links."""
    return any(path == root or path.startswith(root.rstrip(b"/") + b"/") for root in roots)


def places_within(folder: bytes, paths: Iterable[str]) -> list[bytes]:
    """Return those of the paths that lie in a folder, without those that lie inside another."""
    return outermost(path for path in (normal(os.fsencode(path)) for path in paths) if is_within(path, (folder,)))


def parent_of(path: bytes) -> bytes:
    """Return the folder that an absolute path lies in."""
    return path.rpartition(b"/")[0] or b"/"


def common_roots(asked: Iterable[bytes], granted: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return what lies in both: folders that are asked for and granted, or lie in a granted one, and the reverse."""
    asked, granted = tuple(asked), tuple(granted)
    within = [root for root in asked if is_within(root, granted)]
    return tuple(outermost([*within, *(root for root in granted if is_within(root, asked))]))


def first_paths(paths: list[str]) -> list[str]:
    """Return the first of many paths, for a document that is written again and again; at least one."""
    first: list[str] = []
    for path in paths[:FIRST_PATHS]:
        if first and sum(map(len, first)) + len(path) > FIRST_CHARACTERS:
            break
        first.append(path)
    return first


def end_of(path: str) -> str:
    """Return the last three parts of a path: JOB/INDEX/NAME of an upload, which name it wherever the others lie."""
    return "/".join(path.split("/")[-3:])
