"""Boxes of ISO base media files (ISO/IEC 14496-12): what HEIF (23008-12), AVIF and JP2 (15444-1) keep beside pixels.

Pillow and libheif decode the pixels; neither hands on all that is said about their colours, nor all metadata.
"""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

_MAX_META = 8 << 20
"""Bytes read of a box that describes pictures; it holds no pixels."""
_MAX_BOXES = 4096
_LAST_PLACE = 1 << 40
"""No file is longer; a box can say that it is, by more than any system can seek."""
EXIF_UUID, XMP_UUID = b"JpgTiffExif->JP2", bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_UUID = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
"""Boxes of metadata in JP2 and, of XMP (ISO 16684-3), in others."""


def code_points(file: BinaryIO) -> tuple[int, int] | None:
    """Return ColourPrimaries and TransferCharacteristics (H.273) of the primary picture; None where not stated."""
    try:
        return _code_points(_top_level(file, b"meta")[4:])
    except (struct.error, IndexError, ValueError):
        return None  # damaged: the decoder will say so, if it matters


def jp2_profile(file: BinaryIO) -> bytes | None:
    """Return the ICC profile in the header of a JP2."""
    try:
        for kind, content in _boxes(_top_level(file, b"jp2h")):
            if kind == b"colr" and content[0] in {2, 3}:
                return content[3:]
    except (struct.error, IndexError, ValueError):
        pass
    return None


def places(file: BinaryIO, kinds: tuple[bytes, ...]) -> Iterator[tuple[bytes, int]]:
    """Go through the boxes of the file that are of these kinds: kind, and where the content starts."""
    with suppress(struct.error):
        yield from ((kind, start) for kind, start, _ in _places(file) if kind in kinds)


def contents(file: BinaryIO, kinds: tuple[bytes, ...]) -> Iterator[tuple[bytes, bytes]]:
    """Go through the boxes of the file that are of these kinds: kind and content, up to a bound."""
    with suppress(struct.error):
        yield from ((kind, _read(file, start, size)) for kind, start, size in _places(file) if kind in kinds)


def of_uuid(file: BinaryIO, uuid: bytes) -> bytes:
    """Return the content of the box of the file that is named by a UUID of 16 bytes; empty where there is none."""
    with suppress(struct.error):
        for kind, start, size in _places(file):
            if kind == b"uuid" and _read(file, start, len(uuid)) == uuid:
                return _read(file, start + len(uuid), size - len(uuid))
    return b""


def _code_points(meta: bytes) -> tuple[int, int] | None:
    inside = dict(_boxes(meta))
    (primary,) = struct.unpack_from(">H" if inside[b"pitm"][0] == 0 else ">I", inside[b"pitm"], 4)
    properties = dict(_boxes(inside[b"iprp"]))
    listed = list(_boxes(properties[b"ipco"]))
    of_primary = _associated(properties[b"ipma"], primary)
    # A picture of tiles may leave it to them.
    for kind, content in [listed[one - 1] for one in of_primary if 0 < one <= len(listed)] + listed:
        if kind == b"colr" and content[:4] == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return primaries, transfer
    return None


def _associated(content: bytes, item: int) -> list[int]:
    """Return the numbers of an item's properties, from 1 on, of an `ipma` box."""
    version, wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, 4)
    position = 8
    for _ in range(min(count, _MAX_BOXES)):
        (found,) = struct.unpack_from(">I" if version else ">H", content, position)
        position += 4 if version else 2
        number = content[position]
        position += 1
        size = 2 if wide else 1
        entries = [content[position + size * one : position + size * (one + 1)] for one in range(number)]
        position += size * number
        if found == item:
            mask = 0x7FFF if wide else 0x7F
            return [int.from_bytes(entry, "big") & mask for entry in entries]
    return []


def _top_level(file: BinaryIO, wanted: bytes) -> bytes:
    """Return the content of a box of the file. Raises ValueError where there is none."""
    for kind, start, size in _places(file):
        if kind == wanted:
            return _read(file, start, size)
    raise ValueError("no such box")


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(min(size, _MAX_META))


def _places(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Go through the boxes of the file: kind, where the content starts, and its size. Raises struct.error."""
    position = 0
    for _ in range(_MAX_BOXES):
        file.seek(position)
        header = file.read(16)
        size, kind = struct.unpack_from(">I4s", header)
        length = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", header, 8)
            length = 16
        yield kind, position + length, size - length if size else _MAX_META
        position += size
        if size < length or position > _LAST_PLACE:
            return


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 8 > len(content):
            return
        size, kind = struct.unpack_from(">I4s", content, position)
        if size == 0:
            size = len(content) - position
        if size < 8:
            return
        yield kind, content[position + 8 : position + size]
        position += size
