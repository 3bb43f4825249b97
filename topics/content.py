"""What is known of a content once ML has seen it. Two topics and the dedupe cache carry it."""

from imaging.metadata import Metadata
from topics.record import Record


class Content(Record):
    """The content record: everything a point needs but the paths. Valid for one SHA-256 and one model."""

    vector: list[float]
    caption: str | None = None
    metadata: Metadata
    thumbnail_base64: str
