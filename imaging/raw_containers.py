"""Where RAW formats that are no TIFF keep their EXIF: Canon's CR3 and Fujifilm's RAF."""

from collections.abc import Iterator
from typing import BinaryIO

_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
"""The UUID of Canon's box in a CR3's `moov`."""
_CANON_PARTS = (b"CMT1", b"CMT2", b"CMT3", b"CMT4")
_MAX_BOX, _MAX_BOXES = 4 << 20, 200
_FUJIFILM, _FUJIFILM_POINTER = b"FUJIFILMCCD-RAW ", 84
_MAX_SEGMENTS, _SEGMENT = 100, 65_537
EXIF_MARK, XMP_MARK = b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0"
"""What APP1 segments of a JPEG begin with."""


def canon_parts(file: BinaryIO, head: bytes) -> list[bytes] | None:
    """Return the TIFF blocks of a CR3: main, camera, maker's notes, GPS; None for another format."""
    if head[4:12] != b"ftypcrx ":
        return None
    file.seek(0)
    movie = _child(file.read(_MAX_BOX), b"moov")
    ours = next((body[16:] for kind, body in _boxes(movie) if kind == b"uuid" and body.startswith(_CANON)), b"")
    return [_child(ours, part) for part in _CANON_PARTS]


def _child(data: bytes, wanted: bytes) -> bytes:
    return next((body for kind, body in _boxes(data) if kind == wanted), b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through the boxes of ISO/IEC 14496-12."""
    start = 0
    for _ in range(_MAX_BOXES):
        size, kind = int.from_bytes(data[start : start + 4]), data[start + 4 : start + 8]
        header = 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16]), 16
        if size < header or len(kind) < 4:
            return
        yield kind, data[start + header : start + size]
        start += size


def fujifilm_jpeg(file: BinaryIO, head: bytes) -> bytes | None:
    """Return the start of the JPEG within a RAF, which has its metadata; None for another format."""
    if head != _FUJIFILM:
        return None
    file.seek(_FUJIFILM_POINTER)
    file.seek(int.from_bytes(file.read(4)))
    return file.read(3 * _SEGMENT)


def in_jpeg(jpeg: bytes, mark: bytes) -> bytes:
    """Return the APP1 segment of a JPEG that begins with a mark, without that; empty where there is none."""
    start = 2
    for _ in range(_MAX_SEGMENTS):
        if jpeg[start : start + 1] != b"\xff":
            return b""
        size = int.from_bytes(jpeg[start + 2 : start + 4])
        body = jpeg[start + 4 : start + 2 + size]
        if jpeg[start + 1 : start + 2] == b"\xe1" and body.startswith(mark):
            return body.removeprefix(mark)
        start += 2 + size
    return b""
