"""What a decode gives: apart from the decoders, which only the processes that decode need in memory."""

from dataclasses import dataclass

from imaging.metadata import Metadata


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is kept of a content: facts, a JPEG within 200 x 200 for people, a JPEG for the ML service."""

    metadata: Metadata
    thumbnail: bytes
    rendition: bytes
