"""What is known of a content once ML has seen it. Two topics and the dedupe cache carry it."""

import binascii
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import PlainSerializer, PlainValidator, SerializationInfo, WithJsonSchema

from imaging.metadata import Metadata
from topics.files import Sha256
from topics.record import PACKED, Record


def _read(vector: Any) -> "array[float]":
    if isinstance(vector, str):
        found = array("f")
        found.frombytes(binascii.a2b_base64(vector, strict_mode=True))
        return _little_endian(found)
    try:
        return vector if isinstance(vector, array) else array("f", vector)
    except TypeError as error:
        raise ValueError("a vector is a list of numbers, or the base64 of 32-bit floats") from error


def _written(vector: "array[float]", info: SerializationInfo) -> list[float] | str:
    if info.context != PACKED:
        return vector.tolist()
    return binascii.b2a_base64(_little_endian(vector), newline=False).decode()


def _little_endian(vector: "array[float]") -> "array[float]":
    """Return the numbers in the order of their bytes that the wire has, or back."""
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return vector


Vector = Annotated[
    Sequence[float],
    PlainValidator(_read),
    PlainSerializer(_written),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}},
                {"type": "string", "contentEncoding": "base64", "description": "32-bit floats, little-endian"},
            ]
        }
    ),
]
"""An array of 32-bit floats, as vector stores keep. In JSON: numbers; in bundles and rows the base64 of their bytes."""


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
    # Its file was gone when it was embedded: ML has seen the thumbnail.
    from_thumbnail: bool | None = None

    @classmethod
    def of_point(cls, vector: Sequence[float], payload: Mapping[str, Any]) -> Self:
        """Return what a point tells of its content. Raises ValidationError for one that others wrote."""
        return cls(
            vector=vector,
            caption=payload.get("caption"),
            metadata=Metadata.model_validate(payload),
            thumbnail_base64=payload.get("thumbnail_base64", ""),
            read_at=payload.get("read_at"),
            from_thumbnail=payload.get("from_thumbnail"),
        )

    def as_former(self, sha256: str) -> "Former | None":
        """Return what another content may take over from this one; None where no rendition of it is known."""
        if self.rendition_sha256 is None:
            return None
        return Former(sha256=sha256, rendition_sha256=self.rendition_sha256, vector=self.vector, caption=self.caption)

    def is_older_than(self, other: "Content | None") -> bool:
        """Tell whether another reading of the same content was made later, by a newer version perhaps."""
        return other is not None and (self.read_at or 0.0) < (other.read_at or 0.0)


class Former(Record):
    """What ML has answered for the content that a path held before: it holds for whatever has the same rendition."""

    sha256: Sha256
    rendition_sha256: Sha256
    vector: Vector
    caption: str | None = None
