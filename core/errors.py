"""Every error that Darkroom raises on purpose, and what the code that catches it does.

    DarkroomError
    ├── RetryableError            wait, then try the same thing again
    │   ├── MLUnavailableError
    │   ├── QdrantUnavailableError
    │   ├── KafkaUnavailableError
    │   ├── ApiUnavailableError
    │   ├── HubUnavailableError    the hub that has the models
    │   └── BusyError              as many wait for it already as may
    ├── RejectedError             this one thing is refused; dead-letter it and go on
    │   ├── InvalidMessageError   the bytes of a message do not validate
    │   ├── FileError             about one path: it vanished, changed, or may not be read
    │   ├── ContentError          about the bytes: no copy of this content can be used
    │   ├── MLOutOfMemoryError    ML has no room for this batch; halve it
    │   ├── MLRejectedError       ML refuses these images (or this one)
    │   ├── QdrantRejectedError   Qdrant refuses these points (or this one)
    │   │   └── CollectionMissingError   there is no such collection (any more)
    │   └── RequestError          a person or program asked for something that cannot be done
    │       └── TooManyRequestsError   it was asked for too often
    ├── PartitionRevokedError     another worker owns the event now: leave it, it is redelivered there
    ├── DrainingError             the worker stops before this was begun: it comes again
    └── FatalError                stop the process: going on would break a promise

The message of each says what happened, to which file or part, and what to do.
"""

MISSING = (FileNotFoundError, NotADirectoryError)
"""What the system says of a path at which there is nothing. Every other error of it says nothing of that."""


class DarkroomError(Exception):
    """Base of every error raised on purpose."""


class RetryableError(DarkroomError):
    """The cause lies outside and may go away: wait and try again."""


class MLUnavailableError(RetryableError):
    """The ML service cannot be reached, is not ready, or answered nonsense."""


class QdrantUnavailableError(RetryableError):
    """Qdrant cannot be reached or is not ready."""


class KafkaUnavailableError(RetryableError):
    """Kafka cannot be reached, or did not confirm a message in time."""


class ApiUnavailableError(RetryableError):
    """Darkroom's own API cannot be reached, or answered nonsense."""


class HubUnavailableError(RetryableError):
    """The hub that models come from cannot be reached, or asks to wait for longer than a person does."""


class BusyError(RetryableError):
    """As many requests wait for this already as may wait at once."""


class RejectedError(DarkroomError):
    """Trying again will not help: dead-letter this one and go on."""


class InvalidMessageError(RejectedError):
    """A Kafka message does not validate against its topic's record."""


class FileError(RejectedError):
    """One path cannot be used; another path with the same content may."""


class UntrustedError(FileError):
    """A message does not say which folders its files lie in, and nothing else does."""


class FileChangedError(FileError):
    """The file is not what it was when it was hashed: hash it again."""


class ContentError(RejectedError):
    """These bytes cannot be used, under whatever path."""


class MLOutOfMemoryError(RejectedError):
    """The ML service has no room for a batch of this size: halve it."""


class MLRejectedError(RejectedError):
    """The ML service refuses the request; halve the batch to find the guilty image."""


class QdrantRejectedError(RejectedError):
    """Qdrant refuses the request; halve the batch to find the guilty point."""


class CollectionMissingError(QdrantRejectedError):
    """The collection does not exist, or was deleted meanwhile: every point for it is refused."""


class RequestError(RejectedError):
    """A request that cannot be granted.

    `status` is the HTTP status that says so: 400 for a wrong path, 404 for an unknown
    name, 409 for a conflict with what exists, 422 for an invalid value.
    `token_file`: what a user of the service's machine can read there would make it possible.
    """

    def __init__(self, message: str, status: int = 400, token_file: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.token_file = token_file


class TooManyRequestsError(RequestError):
    """Somebody asks too often: after `seconds` it may be tried again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message, 429)
        self.seconds = seconds


def wrong_cursor() -> RequestError:
    """Return what is said of a cursor that no page ended with, whatever is paged."""
    return RequestError("This cursor was not made by this service: start from the first page.", 422)


class PartitionRevokedError(DarkroomError):
    """A rebalance came while an event was in work: leave it unacked, it is delivered again."""


class DrainingError(DarkroomError):
    """The worker stops in order, and this was not begun: leave it unacked, or send it to its topic again."""


class FatalError(DarkroomError):
    """Stop: going on would break a promise (or a setting makes the start impossible)."""
