"""Where RAW formats that are no TIFF keep their EXIF: Canon's CR3 and Fujifilm's RAF."""

from collections.abc import Iterator
from typing import BinaryIO

_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
"""The UUID of Canon's box in a CR3's `moov`."""
_CANON_PARTS = (b"CMT1", b"CMT2", b"CMT3", b"CMT4")
_MAX_BOX, _MAX_BOXES = 4 << 20, 200
_FUJIFILM, _FUJIFILM_POINTER = b"FUJIFILMCCD-RAW ", 84
_MAX_SEGMENTS, _SEGMENT = 100, 65_537


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


def fujifilm_exif(file: BinaryIO, head: bytes) -> bytes | None:
    """Return the EXIF block of the JPEG within a RAF; None for another format."""
    if head != _FUJIFILM:
        return None
    file.seek(_FUJIFILM_POINTER)
    file.seek(int.from_bytes(file.read(4)))
    return exif_of_jpeg(file.read(2 * _SEGMENT)) or b""


def exif_of_jpeg(jpeg: bytes) -> bytes | None:
    """Return the EXIF block of a JPEG, of which the start is enough."""
    start = 2
    for _ in range(_MAX_SEGMENTS):
        if jpeg[start : start + 1] != b"\xff":
            return None
        size = int.from_bytes(jpeg[start + 2 : start + 4])
        body = jpeg[start + 4 : start + 2 + size]
        if jpeg[start + 1] == 0xE1 and body.startswith(b"Exif\0"):
            return body
        start += 2 + size
    return None
