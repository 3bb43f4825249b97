"""`image-outcome`: what became of a content. Closes the claim that prepare made and fills the dedupe cache."""

from typing import Annotated, Literal

from pydantic import Field

from topics.content import Content
from topics.departure import Compare, Departed, Left, LeftEnd, Tally
from topics.erasure import Erased, ForgetCollection, ForgetPicture, Purge, UnforgetPicture
from topics.files import HashedFileOfJob, JobId, Sha256
from topics.limits import Name, Reason
from topics.record import Record, Topic


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
    # Of many that wait, those up to this number have failed; prepare sends the message again for the next ones.
    after: int = -1


class FailedFile(HashedFileOfJob):
    """The path cannot be used (vanished, changed, forbidden): the next file with this content takes over."""

    kind: Literal["failed-file"] = "failed-file"
    reason: Reason


class Forgotten(HashedFileOfJob):
    """Someone wants the content to be embedded again: its next file is taken as new."""

    kind: Literal["forgotten"] = "forgotten"


class MoreWaiters(HashedFileOfJob):
    """The content is known, and files behind the one with this number still wait for it: the next few go on."""

    kind: Literal["more-waiters"] = "more-waiters"
    after: int


class Released(Record):
    """The claim that a file (`owner`, its id) has on a content is void: the next file with this content takes over."""

    kind: Literal["released"] = "released"
    sha256: Sha256
    model_id: Name
    owner: Name


class JobCancelled(Record):
    """A job is cancelled: its files that wait for a claim of another wait no longer. `after`: a row, for the next."""

    kind: Literal["job-cancelled"] = "job-cancelled"
    job_id: JobId
    after: str = ""


class ClaimsCleared(Record):
    """Someone wants all claims in flight of a collection to be void. `after`: a row, for the step behind it."""

    kind: Literal["claims-cleared"] = "claims-cleared"
    collection: Name
    after: str = ""


OfDepartures = Departed | Left | Tally | LeftEnd | Compare
"""What is about paths that leave."""
OfErasures = Purge | ForgetPicture | UnforgetPicture | ForgetCollection | Erased
"""What is about pictures that leave for good."""
AnyImageOutcome = (
    Embedded
    | Stored
    | FailedContent
    | FailedFile
    | Forgotten
    | MoreWaiters
    | Released
    | JobCancelled
    | ClaimsCleared
    | OfDepartures
    | OfErasures
)
ContentOutcome = Embedded | Stored | FailedContent | FailedFile | Forgotten
"""What became of a content; the others are for prepare alone."""
AboutContent = ContentOutcome | MoreWaiters | Released
"""What is about one content, not about all on a partition."""
ImageOutcome = Annotated[AnyImageOutcome, Field(discriminator="kind")]

IMAGE_OUTCOME: Topic[AnyImageOutcome] = Topic("image-outcome", key="sha256", record=ImageOutcome, has_bundles=True)
