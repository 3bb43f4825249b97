"""The mark at the end of a walk: a null value on every partition of `raw-path`, all facts in its headers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from errors import InvalidMessageError
from topics.record import HeaderList


@dataclass(frozen=True, slots=True)
class Sentinel:
    """No further file of this walk comes through the partition; `files` is what it carried, where known."""

    job_id: str
    walk_id: str
    files: int | None = None


def sentinel_headers(job_id: str, walk_id: str, files: int | None = None) -> HeaderList:
    """Return the headers of a sentinel. Its key is the job id."""
    headers = [("job_id", job_id.encode()), ("walk_id", walk_id.encode())]
    if files is not None:
        headers.append(("files", str(files).encode()))
    return headers


def read_sentinel(headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None) -> Sentinel:
    """Return what a sentinel says. Raises InvalidMessageError where it names no job or no walk."""
    found = {name: value.decode("utf-8", "replace") for name, value in dict(headers or {}).items()}
    if not found.get("job_id") or not found.get("walk_id"):
        raise InvalidMessageError("A null value without the headers job_id and walk_id ends no job.")
    files = found.get("files", "")
    return Sentinel(found["job_id"], found["walk_id"], int(files) if files.isdecimal() else None)
