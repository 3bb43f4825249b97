"""A look for what has left the folder of a source: a message without a value on `raw-path`, as the end of its walk is.

It goes on in steps, in each partition by itself: each looks at some rows of hash's table, and asks for the next with a
message that says how far it came. It stands in the header `sweep`, as JSON.

Where a folder is looked at for the first time, prepare's rows are compared before that (`topics.departure.Compare`), as
version 0.1.0 did not note in hash's what is in collections: what prepare knows stands in the header `known`.
"""

import os
from typing import Literal

from rules.mounts import Linked, Mount
from rules.paths import from_wire, normal
from topics.files import JobId, Sha256
from topics.limits import AbsolutePath, Base64Text, Count, Name, Paths
from topics.record import HeaderList, Headers, RawHeaders, Record, Topic, header_texts
from topics.source import SourceName
from topics.stepped import Stepped

HEADER = "sweep"
BEHIND = "sweep-behind"
"""The header of an end marker that asks for a sweep behind it."""
KNOWN = "known"
"""The header of a message that tells what prepare knows."""


class Sweep(Stepped):
    """What is looked for, and how far it is.

    `mounts`: what the folder was on as the walk began; where it is on something else, nothing is gone. `phase`: `look`
    finds what would leave; `remove` has that removed which was found, and is allowed: with `gone`, also what a person
    may be asked about (`rules.departures.ASKED_ABOUT`). `asked_before`: looks that brought files since one began by
    which nothing that is gone was removed, as nobody has said yes: what has moved to these files has moved.
    `links`: as `mounts`, of links in it to other mounts; `away`: those behind which another disk is than was.
    `touched`: only what was taken in from these paths and below them. `after`: the last path that was looked at.
    `compared`: all that prepare knows of the folder was told. `anew`: this was asked for before, and messages
    were lost. So that is told again, now or before the next look.
    """

    job_id: JobId
    walk_id: Name
    source: SourceName
    collection: Name
    folder: AbsolutePath
    exclude: Paths = []
    roots: Paths | None = None
    mounts: tuple[Mount, ...] = ()
    links: tuple[Linked, ...] = ()
    away: Paths = []
    touched: Paths = []
    phase: Literal["look", "remove"] = "look"
    gone: bool = True
    round: Count = 1
    departed: Count = 0
    unread: Count = 0
    compared: bool = False
    anew: bool = False
    asked_before: list[JobId] = []

    @property
    def root(self) -> bytes:
        """The folder, as the file system has it."""
        return normal(os.fsencode(self.folder))

    def behind(self, path: bytes, departed: int, unread: int = 0) -> "Sweep":
        """Return the step that goes on behind a path, with what this one has found."""
        return self.step_behind(path, departed=self.departed + departed, unread=self.unread + unread)

    def headers(self) -> HeaderList:
        """Return the headers of the message. To a worker of an older version it is one more end of the walk."""
        named = ("walk_id", self.walk_id.encode())
        return [*Headers(job_id=self.job_id).encode(), named, (HEADER, _SWEEP.encode(self))]

    def header_of_end(self) -> tuple[str, bytes]:
        """Return the header of an end marker that asks for it."""
        return BEHIND, _SWEEP.encode(self)


class KnownPaths(Record):
    """Paths of one partition that are in a collection, as base64, and the content of each."""

    job_id: JobId
    walk_id: Name
    collection: Name
    paths: list[tuple[Base64Text, Sha256]]

    def headers(self) -> HeaderList:
        """Return the headers of the message. To a worker of an older version it is one more end of the walk."""
        named = ("walk_id", self.walk_id.encode())
        return [*Headers(job_id=self.job_id).encode(), named, (KNOWN, _KNOWN_PATHS.encode(self))]


_KNOWN_PATHS: Topic[KnownPaths] = Topic("raw-path", key="job id", record=KnownPaths)
_SWEEP: Topic[Sweep] = Topic("raw-path", key="job id", record=Sweep)


def read_sweep(headers: RawHeaders, header: str = HEADER) -> Sweep | None:
    """Return the step that a message without a value asks for; None where it is an end marker.

    `header`: BEHIND for what an end marker asks for. Nothing, in a replay: it says nothing of the folder as it is now.
    Raises InvalidMessageError.
    """
    text = header_texts(headers).get(header)
    if text is None or Headers.decode(headers).replay:
        return None
    return _SWEEP.decode(text.encode())


def read_known(headers: RawHeaders) -> list[tuple[bytes, str, str]] | None:
    """Return the paths that a message tells to be in a collection, with content and collection; None for another.

    Nothing, in a replay. Raises InvalidMessageError.
    """
    text = header_texts(headers).get(KNOWN)
    if text is None or Headers.decode(headers).replay:
        return None
    known = _KNOWN_PATHS.decode(text.encode())
    return [(from_wire("", path), sha256, known.collection) for path, sha256 in known.paths]
