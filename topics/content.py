"""What is known of a content once ML has seen it. Two topics and the dedupe cache carry it."""

import base64
import binascii
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, SerializationInfo, SerializerFunctionWrapHandler, WithJsonSchema, WrapSerializer

from imaging.metadata import Metadata
from topics.files import Sha256
from topics.record import PACKED, Record

_FLOATS = np.dtype("<f4")


def _unpacked(vector: Any) -> Any:
    if not isinstance(vector, str):
        return vector
    return np.frombuffer(binascii.a2b_base64(vector, strict_mode=True), _FLOATS).tolist()


def _packed(vector: list[float], as_numbers: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
    if info.context != PACKED:
        return as_numbers(vector)
    return base64.b64encode(np.array(vector, _FLOATS).tobytes()).decode()


Vector = Annotated[
    list[float],
    BeforeValidator(_unpacked),
    WrapSerializer(_packed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "string", "contentEncoding": "base64", "description": "32-bit floats, little-endian"},
            ]
        }
    ),
]
"""Numbers; in a bundle, and in a row, the base64 of them as 32-bit floats: a quarter of the size."""


class Content(Record):
    """The content record: everything a point needs but the paths. Valid for one SHA-256 and one model."""

    vector: Vector
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
