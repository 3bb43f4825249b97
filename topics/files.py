"""The fields that say which file a message is about; the records of several topics extend them."""

from functools import cached_property
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from core.errors import InvalidMessageError
from imaging.hashing import FileStamp
from rules import identity, paths
from topics.limits import MAX_NAME, Moment, Name, Paths, PathText, clipped
from topics.record import Headers, Record
from topics.source import SourceName

JOB_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
JobId = Annotated[str, Field(pattern=JOB_ID)]
# As a file system has them: 64 bits, with a sign.
Size = Annotated[int, Field(ge=0, lt=1 << 63)]
Nanoseconds = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Sequence = Annotated[int, Field(ge=0, lt=1 << 63)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Task = Literal["reembed", "caption"]
"""What a job does with the pictures of a collection, other than to read their files again.

See agents.scan.reembedding.
"""


class OfJob(Record):
    """What happens to a job, and when (seconds since 1970)."""

    job_id: JobId
    at: Moment


class HasPath(Protocol):
    """A record that is about a path."""

    @property
    def path_bytes(self) -> bytes:
        """The path as the file system has it."""


def check_path(record: HasPath) -> None:
    """Raise ValueError, for pydantic, unless a record has an absolute path: every stage counts on it."""
    try:
        record.path_bytes  # noqa: B018 - it is read here for the first time
    except InvalidMessageError as error:
        raise ValueError(clipped(str(error), MAX_NAME)) from error


class FileOfJob(Record):
    """A path, the job it belongs to and the collection it goes to."""

    job_id: JobId
    collection: Name
    path: PathText
    path_b64: PathText | None = None
    caption: bool = False
    model_id: Name | None = None
    size: Size | None = None
    mtime_ns: Nanoseconds | None = None
    # The folders, absolute and without links, that the file must lie in when it is read. Without them it must lie in
    # the worker's INGEST_ROOTS, or TRUST_KAFKA be set; see agents.roots.
    roots: Paths | None = None
    # The content that is stored, and to be read again for what a newer version sees in it; see agents.rereading.
    reread: Sha256 | None = None
    # What that is done for; and whether the file is not read, but what is kept of it: its thumbnail.
    task: Task | None = None
    kept: bool | None = None
    # Who holds it in the collection from now on; None: a plain ingest. Any record may have to begin the file anew.
    source: SourceName | None = None

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        if (self.task is not None or self.kept) and self.reread is None:
            raise ValueError("a task names the content of each file (reread)")
        check_path(self)
        return self

    @cached_property
    def path_bytes(self) -> bytes:
        """The path as the file system has it."""
        return paths.from_wire(self.path, self.path_b64)

    @cached_property
    def file_id(self) -> str:
        """Name of this path in this job."""
        return identity.file_id(self.job_id, self.collection, self.path_bytes)

    @property
    def filename(self) -> str:
        """The last part of the readable path."""
        return self.path.rpartition("/")[2]

    @property
    def stamp(self) -> FileStamp | None:
        """Size and time of change as the publisher saw them."""
        if self.size is None or self.mtime_ns is None:
            return None
        return FileStamp(self.size, self.mtime_ns)

    def headers(self, received: Headers | None = None) -> Headers:
        """Return the headers for a message about this file, caused by a message with `received`."""
        received = received or Headers()
        return Headers(
            job_id=self.job_id,
            file_id=self.file_id,
            model_id=self.model_id or "",
            attempt=received.attempt,
            replay=received.replay,
            traceparent=received.traceparent,
        )


class HashedFileOfJob(FileOfJob):
    """A file whose content is known by its SHA-256.

    `sequence`: how often its path had left a collection when hash handed it on, where it had; see topics.departure.
    """

    sequence: Sequence | None = None
    size: Size
    mtime_ns: Nanoseconds
    model_id: Name
    sha256: Sha256

    def file_fields(self) -> dict[str, Any]:
        """Return the fields that say which file this is about, for another record about it."""
        return {name: getattr(self, name) for name in HashedFileOfJob.model_fields}
