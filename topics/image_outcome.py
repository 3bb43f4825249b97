"""`image-outcome`: what became of a content. Closes the claim that prepare made and fills the dedupe cache."""

from typing import Annotated, Literal

from pydantic import Field

from topics.content import Content
from topics.files import HashedFileOfJob
from topics.limits import Name, Reason
from topics.record import Topic


class Embedded(HashedFileOfJob):
    """ML has embedded the content, though its point is not stored: accepted in whatever state the claim is."""

    kind: Literal["embedded"] = "embedded"
    content: Content


class Stored(HashedFileOfJob):
    """Qdrant has confirmed the point for this path, in this incarnation of the collection.

    With the content where ML has embedded it for this file: it says what `embedded` says as well.
    """

    kind: Literal["stored"] = "stored"
    incarnation: Name
    content: Content | None = None


class FailedContent(HashedFileOfJob):
    """The content cannot be used: every file that waits for it fails with it."""

    kind: Literal["failed-content"] = "failed-content"
    stage: Name
    error_class: Name
    reason: Reason


class FailedFile(HashedFileOfJob):
    """The path cannot be used (vanished, changed, forbidden): the next file with this content takes over."""

    kind: Literal["failed-file"] = "failed-file"
    reason: Reason


class Forgotten(HashedFileOfJob):
    """Someone wants the content to be embedded again: its next file is taken as new."""

    kind: Literal["forgotten"] = "forgotten"


AnyImageOutcome = Embedded | Stored | FailedContent | FailedFile | Forgotten
ImageOutcome = Annotated[AnyImageOutcome, Field(discriminator="kind")]

IMAGE_OUTCOME: Topic[AnyImageOutcome] = Topic("image-outcome", key="sha256", record=ImageOutcome)
