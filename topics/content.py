"""What is known of a content once ML has seen it. Two topics and the dedupe cache carry it."""

from imaging.metadata import Metadata
from topics.files import Sha256
from topics.record import Record


class Content(Record):
    """The content record: everything a point needs but the paths. Valid for one SHA-256 and one model."""

    vector: list[float]
    caption: str | None = None
    metadata: Metadata
    thumbnail_base64: str
    # Of the rendition that ML has seen; None in what version 0.1.0 has written, as is `read_at`.
    rendition_sha256: Sha256 | None = None
    # When Kafka had the message that had it decoded, in seconds since 1970: of two readings the later one counts.
    read_at: float | None = None

    def is_older_than(self, other: "Content | None") -> bool:
        """Tell whether another reading of the same content was made later, by a newer version perhaps."""
        return other is not None and (self.read_at or 0.0) < (other.read_at or 0.0)
