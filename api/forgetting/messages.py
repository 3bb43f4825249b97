"""The messages by which the API asks the stages to forget, or to take in again."""

from api.jobs.publisher import Outgoing
from topics.erasure import AnyForHash, ForgetCollection, headers_of
from topics.image_outcome import IMAGE_OUTCOME, OfErasures
from topics.raw_path import RAW_PATH
from topics.record import Headers


def of_content(sha256: str, asked: OfErasures) -> Outgoing:
    """Return a message to prepare about one content."""
    return Outgoing(IMAGE_OUTCOME.name, sha256.encode(), IMAGE_OUTCOME.encode(asked), Headers().encode())


def of_collection(name: str, asked: ForgetCollection, partitions: int) -> list[Outgoing]:
    """Return a message to prepare about a whole collection, one for each partition."""
    value, headers = IMAGE_OUTCOME.encode(asked), Headers().encode()
    return [Outgoing(IMAGE_OUTCOME.name, name.encode(), value, headers, partition) for partition in range(partitions)]


def to_hash(key: bytes, asked: AnyForHash, partition: int | None = None) -> Outgoing:
    """Return a message to hash about paths; without a partition, to the one that the path lies in."""
    return Outgoing(RAW_PATH.name, key, None, headers_of(asked), partition)


def to_all_of_hash(asked: AnyForHash, partitions: int, key: bytes = b"forget") -> list[Outgoing]:
    """Return a message to hash about paths of all partitions."""
    return [to_hash(key, asked, partition) for partition in range(partitions)]
