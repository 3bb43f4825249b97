"""How pictures leave for good: asked of prepare on `image-outcome`, done by store (`db-write`), concluded by prepare.

A *purge* is of a picture that is gone, at the time that it names: a path that came since voids it. What is *forgotten*
leaves whatever files it has, and its files are skipped from then on, until someone has that forgotten in turn. See
docs/decisions/0074-forgetting.md.
"""

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from rules import paths
from topics.departure import names_its_kind
from topics.files import Sequence, Sha256, check_path
from topics.limits import AbsolutePath, Moment, Name, PathText
from topics.record import HeaderList, Headers, RawHeaders, Record, Topic, header_texts
from topics.source import SourceName
from topics.stepped import Stepped

Why = Literal["purge", "forget", "collection"]
"""Why a content is taken from a collection: purged, forgotten, or as that went as a whole."""


def _is_a_time(text: str) -> str:
    datetime.fromisoformat(text)  # or it raises a ValueError
    return text


PointInTime = Annotated[Name, AfterValidator(_is_a_time)]
"""ISO 8601, as it stands in a point."""
_KIND = ConfigDict(json_schema_extra=names_its_kind)


class OfPath(Record):
    """A path."""

    path: PathText
    path_b64: PathText | None = None

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        check_path(self)
        return self

    @cached_property
    def path_bytes(self) -> bytes:
        """The path as the file system has it."""
        return paths.from_wire(self.path, self.path_b64)


class Purge(Record):
    """A picture that is gone since `gone_at` is due to be purged, as of `at`: seconds since 1970."""

    model_config = _KIND

    kind: Literal["purge"] = "purge"
    sha256: Sha256
    collection: Name
    gone_at: PointInTime
    at: Moment


class LeftPath(OfPath):
    """A path that hash holds no more; `sequence`: as in topics.departure."""

    sequence: Sequence


class ForgetPicture(Record):
    """A content is to be forgotten in a collection; None: in all that it is known in. `at`: when that was said.

    `left`: only this path has left, and others of the content stay.
    """

    model_config = _KIND

    kind: Literal["forget-picture"] = "forget-picture"
    sha256: Sha256
    collection: Name | None = None
    at: Moment
    left: LeftPath | None = None


class UnforgetPicture(Record):
    """The files of a content are to be taken in again by a collection; None: by all."""

    model_config = _KIND

    kind: Literal["unforget-picture"] = "unforget-picture"
    sha256: Sha256
    collection: Name | None = None
    at: Moment


class ForgetCollection(Stepped):
    """All that is known of a collection is to go, which is there no more. `after`: a row of prepare.

    `undo`: all that is forgotten in it is to be taken in again.
    """

    model_config = _KIND

    kind: Literal["forget-collection"] = "forget-collection"
    collection: Name
    at: Moment
    undo: bool = False


class _Leaving(Record):
    """A content that leaves a collection; `at`: when that was said."""

    model_config = _KIND

    sha256: Sha256
    collection: Name
    why: Why
    gone_at: PointInTime | None = None
    at: Moment

    @model_validator(mode="after")
    def _says_since_when(self) -> Self:
        if self.why == "purge" and self.gone_at is None:
            raise ValueError("gone_at: a purge names the time since which the picture is gone")
        return self


class Erase(_Leaving):
    """A content is to leave a collection: store takes the point, and tells who holds the content still."""

    kind: Literal["erase"] = "erase"


class Erased(_Leaving):
    """A content has left a collection, or not: `is_gone`. `held`: the models of the points that there are of it."""

    kind: Literal["erased"] = "erased"
    is_gone: bool
    held: tuple[Name, ...] = ()


# To hash: messages without a value on `raw-path`, what they ask for in the header.


class RetirePath(OfPath):
    """A path holds a content in a collection no more, on the partition of the path: prepare has forgotten it.

    `untold`: where the path's sequence is no higher, nothing that another row remembers has left with it.
    """

    kind: Literal["retire"] = "retire"
    sha256: Sha256
    collection: Name
    untold: Sequence = 0


class ForgetPath(OfPath, Stepped):
    """What a path, and all below it, was taken in with is to be forgotten, in one or (None) all collections.

    Of a file on the path's partition; of a folder on each. `after`: a path.
    """

    kind: Literal["path"] = "path"
    collection: Name | None = None
    at: Moment


class ForgetSource(Stepped):
    """What a source alone holds is to be forgotten; on each partition. `after`: a path."""

    kind: Literal["source"] = "source"
    source: SourceName
    collection: Name
    folder: AbsolutePath
    at: Moment


class ForgetPaths(Stepped):
    """No path is held by a collection any more; on each partition. `after`: a path."""

    kind: Literal["collection"] = "collection"
    collection: Name


AnyForHash = Annotated[RetirePath | ForgetPath | ForgetSource | ForgetPaths, Field(discriminator="kind")]
HEADER = "forget"
_FOR_HASH: Topic[AnyForHash] = Topic("raw-path", key="path", record=AnyForHash)


def headers_of(asked: AnyForHash) -> HeaderList:
    """Return the headers of a message that asks hash for this."""
    return [*Headers().encode(), (HEADER, _FOR_HASH.encode(asked))]


def read_for_hash(headers: RawHeaders) -> AnyForHash | None:
    """Return what a message without a value asks for; None where it is another one. Raises InvalidMessageError."""
    text = header_texts(headers).get(HEADER)
    return None if text is None else _FOR_HASH.decode(text.encode())
