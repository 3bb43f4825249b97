"""The end marker of a walk: a message without a value, one to each partition of `raw-path`, key = job id.

The stages pass it on, so that each knows that no further file of this walk comes to it through this partition.
"""

import re
from dataclasses import dataclass

from core.errors import InvalidMessageError
from topics.files import JOB_ID
from topics.limits import MAX_NAME
from topics.record import HeaderList, Headers, RawHeaders, header_texts, whole_number


@dataclass(frozen=True, slots=True)
class Sentinel:
    """What an end marker says. `files`: how many different ones the walk sent to this partition; None: not counted.

    It is a check where the files name their walk, see topics.raw_path.
    """

    job_id: str
    walk_id: str
    files: int | None


def sentinel_headers(job_id: str, walk_id: str, files: int | None) -> HeaderList:
    """Return the headers that make a message without a value an end marker."""
    headers = [*Headers(job_id=job_id).encode(), ("walk_id", walk_id.encode())]
    return headers if files is None else [*headers, ("files", str(files).encode())]


def read_sentinel(headers: RawHeaders) -> Sentinel:
    """Read an end marker. Raises InvalidMessageError where it does not say which walk of which job has ended."""
    found = header_texts(headers)
    for name in ("job_id", "walk_id"):
        if not found.get(name):
            raise InvalidMessageError(f"A message without a value lacks the header {name!r}: whose end does it mark?")
    # `$` of `re` lets a line feed follow.
    if not re.match(JOB_ID, found["job_id"]) or found["job_id"].endswith("\n"):
        raise InvalidMessageError(
            f"A message without a value has the header job_id {found['job_id'][:200]!r}: no job id."
        )
    if len(found["walk_id"]) > MAX_NAME:
        raise InvalidMessageError(f"A message without a value has a header walk_id of more than {MAX_NAME} letters.")
    return Sentinel(found["job_id"], found["walk_id"], whole_number(found.get("files", "")))
