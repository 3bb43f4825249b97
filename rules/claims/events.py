"""What happens to one content under one model: the input of the state machine in machine.py.

Some come from without, as a message on hashed-file or image-outcome. The others follow from an earlier decision, when
all that it asked for is delivered (`Effects.then`): what they clear or close was needed until then.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class File:
    """A file with this content. `number`: its place in the order of arrival, by which effects name it."""

    number: int
    file_id: str
    scope: str
    is_cancelled: bool = False  # its job is, or its content is forgotten: nothing is done for it


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file has come.

    `begun`: how often the watchdog had it begin. `rereads`: it is to be read though its content is known.
    `is_confirmed`: its path with this content is in the present incarnation of its collection.
    `first_unchanged`: id of the first file of its scope that was found unchanged, if any.
    """

    file: File
    begun: int = 1
    has_collection: bool = True
    is_confirmed: bool = False
    rereads: bool = False
    first_unchanged: str | None = None


@dataclass(frozen=True, slots=True)
class HasRead:
    """A file of a known content was read again. `is_same`: it shows the very picture that ML has seen."""

    file: File
    begun: int
    is_same: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """ML has answered for a file. `is_outdated`: a later reading of this content is known.

    `is_stored`: Qdrant has confirmed its point as well.
    """

    file_id: str
    scope: str
    is_outdated: bool = False
    is_stored: bool = False


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Qdrant has confirmed the path of a file whose content was known."""


@dataclass(frozen=True, slots=True)
class More:
    """The content is known, and files behind the one with this number still wait: the next few go on."""

    after: int


@dataclass(frozen=True, slots=True)
class ContentFailed:
    """The content cannot be used, as its owner says. Files up to this number have failed with it."""

    file_id: str
    after: int = -1


@dataclass(frozen=True, slots=True)
class FileFailed:
    """A file cannot be used, so where it is the owner, the next one takes over.

    `is_released`: someone wants its claim to be void; what becomes of the file is not known.
    """

    file_id: str
    begun: int = 1
    is_released: bool = False


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Someone wants the content to be embedded again."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The job of these files that wait is cancelled."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SentOn:
    """These files that waited are on their way to Qdrant."""

    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FailedToo:
    """These files that waited have failed with the content, as its owner did."""

    owner: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Promoted:
    """The file that waited under this number, and became the owner, is on its way to ML or has ended."""

    number: int


@dataclass(frozen=True, slots=True)
class Ended:
    """These files that waited have their outcome."""

    numbers: tuple[int, ...]


Event = Arrived | HasRead | Answered | Confirmed | More | ContentFailed | FileFailed | Forgotten | Cancelled
FollowUp = SentOn | FailedToo | Promoted | Ended
