"""What hash hands on to prepare with a file: which file it is, and what its fingerprint says."""

from collections.abc import Mapping
from typing import Any

from rules import hashing
from rules.departures import PLAIN, former
from rules.hashing import Effects
from tables.fingerprints import Fingerprint
from topics.files import FileOfJob
from topics.hashed_file import HashedFile
from topics.raw_path import RawPath

_OF_CONTENT = ("size", "mtime_ns", "ctime_ns", "sha256")
_PASSED_ON = set(FileOfJob.model_fields) - {"size", "mtime_ns"}


def as_kept(file: RawPath) -> tuple[RawPath, Effects[Fingerprint]]:
    """Return a file that is not read, and what follows from what its point says that it held."""
    held = Fingerprint(size=file.size or 0, mtime_ns=file.mtime_ns or 0, sha256=file.reread or "")
    return file.model_copy(update={"kept": True}), hashing.kept(held)


def hashed_file(
    file: RawPath, content: Fingerprint, walk_id: str | None = None, before: Fingerprint | None = None
) -> HashedFile:
    """Return a file as it is handed on; `before`: what its path held when it was last read."""
    fields = {name: getattr(file, name) for name in _PASSED_ON}
    told = told_of(content.__dict__ | {"sequence": 0 if before is None else before.sequence})
    edited = None
    if before is not None and not file.reread:
        edited = former(before.held, before.sha256, content.sha256, file.collection)
    back = (before is not None and before.has_left(file.collection, content.sha256)) or None
    return HashedFile.model_validate(fields | told | {"walk_id": walk_id, "by_way_of": edited, "back": back})


def holder_of(file: RawPath) -> str | None:
    """Return who holds a file in its collection from now on; None for a file that is only read again."""
    return None if file.reread is not None else file.source or PLAIN


def told_of(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a fingerprint that are handed on."""
    told = {name: fingerprint[name] for name in _OF_CONTENT}
    if sequence := fingerprint.get("sequence"):
        told["sequence"] = sequence
    return told
